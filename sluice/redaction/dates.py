"""Less than a date of birth."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from datetime import date, timedelta
from typing import ClassVar

from sluice.avro import Json
from sluice.redaction.rule import Rule, Untransformable, text_of
from sluice.source_schema import Leaf

_EPOCH = date(1970, 1, 1)

BANDS: Mapping[int, str] = {
    0: "0-12",
    13: "13-15",
    16: "16-17",
    18: "18-24",
    25: "25-34",
    35: "35-44",
    45: "45-54",
    55: "55-64",
    65: "65-89",
    90: "90+",
}
"""By first age. The lower ones end where laws on children do.

Ages from 90 on are pooled (45 CFR 164.514(b)(2)(i)(C), to be checked).
"""

_FIRST_AGES = list(BANDS)
_NAMES = list(BANDS.values())


class _DateRule(Rule):
    """Takes a date, or text that begins with one in ISO 8601."""

    def refusal(self, leaf: Leaf) -> str | None:
        return None if leaf.is_date or leaf.is_text else "applies to dates and strings only"


class BirthYear(_DateRule):
    """The year of a date, or of text that begins with one in ISO 8601."""

    def output(self, leaf: Leaf) -> tuple[Json, ...]:  # noqa: ARG002
        return ("int",)

    def of(self, value: object) -> object:
        return _day(value).year


class AgeBand(_DateRule):
    """The band of the age that was reached `on` a day: the contract's, for a view has no today."""

    shorthand: ClassVar[str | None] = "on"
    on: date

    def output(self, leaf: Leaf) -> tuple[Json, ...]:  # noqa: ARG002
        return ("string",)

    def of(self, value: object) -> object:
        born = _day(value)
        if born > self.on:
            raise Untransformable("not born by then")
        # Who was born on 29 February is a year older on 1 March, as in the row filter by age.
        age = self.on.year - born.year - ((self.on.month, self.on.day) < (born.month, born.day))
        return _NAMES[bisect_right(_FIRST_AGES, age) - 1]


def _day(value: object) -> date:
    try:
        return _EPOCH + timedelta(days=value) if isinstance(value, int) else date.fromisoformat(text_of(value)[:10])
    except (ValueError, OverflowError):
        raise Untransformable("not a date") from None
