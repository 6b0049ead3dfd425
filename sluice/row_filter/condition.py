"""Conditions on one field: a closed set.

A null never passes any but `{present: false}`, and a field that the record lacks passes none: unknown means no.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from sluice.document import Strict, nearest
from sluice.facts import age, birthday
from sluice.field_path import ABSENT
from sluice.model import Millis
from sluice.source_schema import Leaf

EPOCH = date(1970, 1, 1)
_DAY_MS = 24 * 60 * 60 * 1000
_FIRST_DAY, _LAST_DAY = (date.min - EPOCH).days, (date.max - EPOCH).days
_OLDEST_YEARS = 150


def _comparable(written: object) -> object:
    if isinstance(written, float) and not math.isfinite(written):
        raise ValueError("a filter compares with numbers that are finite")
    if not isinstance(written, str | int | float | date) or isinstance(written, datetime):
        raise ValueError(  # noqa: TRY004 - pydantic reports ValueErrors alone
            "a filter compares with text, a number, true, false or a date such as 2026-01-31"
        )
    return written


def _orderable(written: object) -> object:
    if isinstance(written, str | bool):
        raise ValueError("a range is of numbers or of dates such as 2026-01-31")  # noqa: TRY004 - likewise
    return _comparable(written)


Value = Annotated[str | int | float | bool | date, BeforeValidator(_comparable)]
_Values = Annotated[list[Value], Field(min_length=1)]
Bound = Annotated[int | float | date, BeforeValidator(_orderable)]
Years = Annotated[int, Field(ge=0, le=_OLDEST_YEARS)]


class OneOf(Strict):
    """The value equals one of these."""

    values: tuple[Value, ...]

    @model_validator(mode="after")
    def _leaves_something(self) -> OneOf:
        if not self.values:
            raise ValueError("an empty list lets nobody pass")
        return self

    def admits(self, value: object, now: Millis) -> bool:  # noqa: ARG002
        return value in self.values

    def misfit(self, path: str, leaf: Leaf) -> str | None:
        """Why no record of the source schema can pass, or None."""
        impossible = next((value for value in self.values if not leaf.can_be(value)), None)
        if impossible is None:
            return None
        shown = impossible.isoformat() if isinstance(impossible, date) else repr(impossible)
        return f"`{path}` can never be {shown}{nearest(str(impossible), leaf.symbols)}"


class _Bounds(Strict):
    at_least: Any = None
    above: Any = None
    below: Any = None
    at_most: Any = None

    @model_validator(mode="after")
    def _leaves_something(self) -> _Bounds:
        low = [bound for bound in (self.at_least, self.above) if bound is not None]
        high = [bound for bound in (self.below, self.at_most) if bound is not None]
        if not low and not high:
            raise ValueError("a range needs `at_least` or `above`, `below` or `at_most`, or one of each")
        if len(low) > 1 or len(high) > 1:
            raise ValueError("a range has one lower and one upper bound: `at_least` or `above`, `below` or `at_most`")
        if len({isinstance(bound, date) for bound in low + high}) > 1:
            raise ValueError("a range is of numbers or of dates, not of both")
        if low and high and (low > high or (low == high and (self.at_least, self.at_most) != (*low, *high))):
            raise ValueError("nothing lies between these bounds")
        return self

    def holds(self, value: Any) -> bool:  # noqa: ANN401 - comparable with the bounds
        return bool(
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
            and (self.at_most is None or value <= self.at_most)
        )


class Range(_Bounds):
    """The value is a number, or a date, within these bounds."""

    at_least: Bound | None = None
    above: Bound | None = None
    below: Bound | None = None
    at_most: Bound | None = None

    @property
    def of_dates(self) -> bool:
        return any(isinstance(bound, date) for bound in (self.at_least, self.above, self.below, self.at_most))

    def admits(self, value: object, now: Millis) -> bool:  # noqa: ARG002
        return type(value) in (int, float) and self.holds(value)

    def misfit(self, path: str, leaf: Leaf) -> str | None:
        if self.of_dates and not leaf.is_date:
            return f"`{path}` is no date; a range of dates cannot hold it"
        if not self.of_dates and not leaf.is_number:
            return f"`{path}` is no number; {'write dates as 2026-01-31' if leaf.is_date else 'it has no range'}"
        return None


class Presence(Strict):
    """The field has a value, or it has none."""

    present: bool

    def admits(self, value: object, now: Millis) -> bool:  # noqa: ARG002
        return value is not ABSENT and (value is not None) == self.present

    def misfit(self, path: str, leaf: Leaf) -> str | None:  # noqa: ARG002
        return None


class AgeBounds(_Bounds):
    at_least: Years | None = None
    above: Years | None = None
    below: Years | None = None
    at_most: Years | None = None

    @property
    def turns(self) -> tuple[int, ...]:
        """The ages at which the answer changes. Below zero nobody has one, so it may change at birth."""
        inclusive = (0, self.at_least, self.below)
        exclusive = (self.above, self.at_most)
        return (*(years for years in inclusive if years is not None), *(y + 1 for y in exclusive if y is not None))


class Age(Strict):
    """The field is a date of birth, and the age now, in whole years and by UTC's date, is within bounds."""

    age: AgeBounds

    def admits(self, value: object, now: Millis) -> bool:
        born = _born(value)
        today = now // _DAY_MS
        return born is not None and born <= today and self.age.holds(_age(born, today))

    def next_change(self, value: object, now: Millis) -> Millis | None:
        """The next instant at which the answer may change; None if it never will."""
        born = _born(value)
        if born is None:
            return None
        changes = (birthday(born, years) for years in self.age.turns)
        return min((at for at in changes if at is not None and at > now), default=None)

    def misfit(self, path: str, leaf: Leaf) -> str | None:
        return None if leaf.is_date else f"`{path}` is no date, so it has no age"


Condition = OneOf | Range | Presence | Age


def condition(written: object) -> Condition:
    """A condition from what a contract says: a value, a list, or a mapping that says which kind it is.

    Raises pydantic's ValidationError.
    """
    if isinstance(written, OneOf | Range | Presence | Age):
        return written
    if not isinstance(written, Mapping):
        return OneOf.model_validate({"values": tuple(written) if isinstance(written, list) else (written,)})
    if "present" in written:
        return Presence.model_validate(written)
    return Age.model_validate(written) if "age" in written else Range.model_validate(written)


Written = Annotated[
    Condition, BeforeValidator(condition, json_schema_input_type=Value | _Values | Range | Presence | Age)
]


@lru_cache(maxsize=100_000)
def _age(born: int, today: int) -> int:
    """Asked for each record: as many answers as there are birthdays, until the day is over."""
    return age(born, Millis(today * _DAY_MS))


def _born(value: object) -> int | None:
    """A day that the calendar has, as Avro holds it."""
    return value if type(value) is int and _FIRST_DAY <= value <= _LAST_DAY else None
