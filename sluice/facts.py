"""What the law asks about a customer beside consent: residence, age, whether sharing is suspended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import msgspec

from sluice.model import Millis

_EPOCH = date(1970, 1, 1)
_DAY_MS = 24 * 60 * 60 * 1000
_FIRST_DAY, _LAST_DAY = (date.min - _EPOCH).days, (date.max - _EPOCH).days
_LONGEST_CODE = 6


UNREADABLE_BIRTH = _LAST_DAY
"""Stands for a birth date that cannot be read: somebody who is never of age."""


class Facts(msgspec.Struct, frozen=True, array_like=True):
    """Of one customer, as the profile states them. What is not stated is None."""

    residence: str | None = None
    """ISO 3166-1 or -2."""
    collected_in: str | None = None
    """Where the data was collected, likewise."""
    born: int | None = None
    """Days since 1970-01-01; UNREADABLE_BIRTH for something that is no date."""
    restricted: bool = False
    """Processing is restricted (GDPR 18)."""
    deceased: bool = False
    rectified_at: Millis | None = None
    """When the source last put right what was wrong (GDPR 16)."""


@dataclass(frozen=True, slots=True)
class FactPaths:
    """The source's fields that state the facts, as dotted paths."""

    residence: str = "residence"
    collected_in: str = "collected_in"
    birth_date: str = "birth_date"
    restricted: str = "restricted"
    deceased: str = "deceased"
    rectified_at: str = "rectified_at"
    """Milliseconds since the epoch."""
    updated_at: str = "updated_at"
    """When the source last changed the customer, milliseconds since the epoch: retention is counted from it."""

    @property
    def stated(self) -> tuple[str, ...]:
        """All that `read_facts` asks for."""
        return (
            self.residence,
            self.collected_in,
            self.birth_date,
            self.restricted,
            self.deceased,
            self.rectified_at,
        )


AS_IN_OUR_PROFILE = FactPaths()
"""As `schemas/customer_profile` has them."""


def read_facts(value: Callable[[str], object], paths: FactPaths) -> Facts:
    """The facts in a profile; `value` gives what stands at a path, None if there is nothing.

    What stands there and cannot be read is not taken for nothing: a place that is no code means that it is not known,
    and a birth date that is none means the youngest of all.
    """
    return Facts(
        _place(value(paths.residence)),
        _place(value(paths.collected_in)),
        _day(value(paths.birth_date)),
        _is_set(value(paths.restricted)),
        _is_set(value(paths.deceased)),
        _instant(value(paths.rectified_at)),
    )


def age(born: int, at: Millis) -> int:
    """Whole years at an instant, by the UTC date; who was born on 29 February has their birthday on 1 March.

    An instant that no calendar has counts as the first or last that it has: sources date answers as they like.
    """
    birth, day = _EPOCH + timedelta(days=born), _EPOCH + timedelta(days=min(max(at // _DAY_MS, _FIRST_DAY), _LAST_DAY))
    return max(0, day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day)))


@lru_cache(1 << 15)
def birthdays(born: int, ages: tuple[int, ...]) -> tuple[Millis, ...]:
    """The first instants at which somebody is that old, as far as a calendar has them. Kept: few days are birthdays."""
    return tuple(at for years in ages if (at := birthday(born, years)) is not None)


def birthday(born: int, years: int) -> Millis | None:
    """The first instant at which somebody is that old; None if no calendar has it."""
    birth = _EPOCH + timedelta(days=born)
    try:
        day = birth.replace(year=birth.year + years)
    except ValueError:
        if birth.year + years > date.max.year:
            return None
        day = date(birth.year + years, 3, 1)
    return Millis((day - _EPOCH).days * _DAY_MS)


def _place(value: object) -> str | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, str) and len(value) <= _LONGEST_CODE else "?"


def _day(value: object) -> int | None:
    if value is None or value == "":
        return None
    day = value if isinstance(value, int) else _days(str(value)[:10])
    return day if _FIRST_DAY <= day <= _LAST_DAY else UNREADABLE_BIRTH


@lru_cache(1 << 15)
def _days(written: str) -> int:
    try:
        return (date.fromisoformat(written) - _EPOCH).days
    except ValueError:
        return UNREADABLE_BIRTH


def _instant(value: object) -> Millis | None:
    return Millis(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _is_set(value: object) -> bool:
    """Anything but false and nothing suspends: a date of death, say, or a reason."""
    return value not in (None, False, "")
