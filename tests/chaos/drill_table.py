"""What a drill found, as docs/alerts.md shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.chaos.drill_faults import FAULTS

_HEAD = (
    "| fault | wakes somebody with | its condition holds after | it fires after | all is calm after its end |",
    "|---|---|---|---|---|",
)


def table(faults: Sequence[Mapping[str, Any]]) -> str:
    """`faults`: as in the report. One that is not among them, or could not be done, was not drilled."""
    return "\n".join((*_HEAD, *_rows({one["fault"]: one for one in faults}))) + "\n"


def _rows(drilled: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for fault in FAULTS:
        found = drilled.get(fault.name)
        if found is None or found["not_done"]:
            yield f"| `{fault.name}` | not drilled | | | |"
            continue
        seconds = [_seconds(found[name]) for name in ("condition_seconds", "fired_seconds", "calm_seconds")]
        woken = ", ".join(found["woken_for"]) or "nothing"
        yield f"| `{fault.name}` | {woken} | {' | '.join(seconds)} |"


def _seconds(found: float | None) -> str:
    return "" if found is None else f"{found:.0f} s"
