"""What is filled into rows that came without: the id and the time of a consent event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sluice.files.scalars import Json

_UUID_VERSION: Final = 0x7
_UUID_VARIANT: Final = 0b10

Filling = Callable[[], Mapping[str, Json]]
"""Fresh values for the fields that publishing fills in."""


def nothing_filled() -> Mapping[str, Json]:
    return {}


def record_filling(now_ms: Callable[[], int], randomness: Callable[[int], int]) -> Filling:
    """Id and time of a consent event that came without. `randomness` gives that many random bits."""

    def fill() -> Mapping[str, Json]:
        now = now_ms()
        return {"record_id": uuid7(now, randomness(74)), "recorded_at": now}

    return fill


def uuid7(millis: int, randomness: int) -> str:
    """A UUID of version 7 (RFC 9562, 5.7): 48 bits of time, and 74 bits of `randomness` round version and variant."""
    bits = (millis & (1 << 48) - 1) << 80 | _UUID_VERSION << 76
    bits |= (randomness >> 62 & (1 << 12) - 1) << 64 | _UUID_VARIANT << 62 | randomness & (1 << 62) - 1
    digits = f"{bits:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
