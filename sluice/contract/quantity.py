"""Times and amounts as contracts write them."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, WithJsonSchema

from sluice.document import Strict
from sluice.model import Millis

_RATE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?([kMG]?B)/s")
_UNITS = {"B": 1, "kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}

_DURATION = re.compile(
    r"P(?!$)([0-9]{1,6}Y)?([0-9]{1,6}M)?([0-9]{1,6}W)?([0-9]{1,6}D)?"
    r"(T(?!$)([0-9]{1,6}H)?([0-9]{1,6}M)?([0-9]{1,6}S)?)?"
)
_MOMENT = r"^\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?( ?([Zz]|[+-]\d{2}:?\d{2}))?)?$"

_MOMENT_SCHEMA: dict[str, Any] = {
    "type": "string",
    "pattern": _MOMENT,
    "examples": ["2026-01-01", "2026-01-01T09:00:00"],
}
_DURATION_SCHEMA: dict[str, Any] = {
    "type": "string",
    "pattern": f"^{_DURATION.pattern}$",
    "examples": ["P3D", "P30D", "PT12H"],
}
_RATE_SCHEMA: dict[str, Any] = {"type": "string", "pattern": f"^{_RATE.pattern}$", "examples": ["2 MB/s"]}


def _known_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone `{name}`; use an IANA name such as Asia/Tokyo") from None
    return name


def _duration(written: object) -> timedelta:
    if isinstance(written, timedelta):
        return written
    if not isinstance(written, str) or _DURATION.fullmatch(written) is None:
        raise ValueError(f"`{written}` is not an ISO 8601 duration such as P3D")
    try:
        return TypeAdapter(timedelta).validate_python(written)
    except ValueError:
        raise ValueError(f"`{written}` is too long a duration") from None


def _takes_time(duration: timedelta) -> timedelta:
    if duration <= timedelta(0):
        raise ValueError("a duration has to be above zero")
    return duration


def _rate(written: object) -> int:
    match = _RATE.fullmatch(written) if isinstance(written, str) else None
    if match is None:
        raise ValueError(f"`{written}` is not a rate such as 2 MB/s; units are B/s, kB/s, MB/s and GB/s")
    rate = round(float(match[1]) * _UNITS[match[2]])
    if rate < 1:
        raise ValueError("a rate has to be at least 1 B/s")
    return rate


Duration = Annotated[
    timedelta, BeforeValidator(_duration), AfterValidator(_takes_time), WithJsonSchema(_DURATION_SCHEMA)
]
"""A year counts as 365 days, a month as 30."""
Moment = Annotated[date | datetime, WithJsonSchema(_MOMENT_SCHEMA)]
Rate = Annotated[int, BeforeValidator(_rate), WithJsonSchema(_RATE_SCHEMA)]
"""Bytes a second; units are powers of ten, as in `2 MB/s`."""


def in_millis(written: date | datetime, timezone: str) -> Millis:
    if not isinstance(written, datetime):
        written = datetime.combine(written, time())
    aware = written if written.tzinfo else written.replace(tzinfo=ZoneInfo(timezone))
    return Millis(int(aware.timestamp() * 1000))


class Validity(Strict):
    """`from` is included, `until` is not; a date is midnight in `timezone`."""

    start: Moment = Field(alias="from")
    """The first day, or instant, on which the contract is in force."""
    until: Moment | None = None
    """The first day, or instant, on which it no longer is."""
    timezone: Annotated[str, AfterValidator(_known_timezone)] = "UTC"
    """Where a date's midnight is: an IANA name such as Asia/Tokyo."""

    @property
    def start_ms(self) -> Millis:
        return self._millis(self.start)

    @property
    def until_ms(self) -> Millis | None:
        return None if self.until is None else self._millis(self.until)

    def _millis(self, written: date | datetime) -> Millis:
        return in_millis(written, self.timezone)


class Limits(Strict):
    rate: Rate | None = None
    """How fast the partner may read."""
    retain: Duration | None = None
    """How long after the source's last change the partner may hold a customer."""
    acknowledge_within: Duration = timedelta(days=3)
    """How long the partner has to carry out a recall and say so."""
    pause_when_overdue: bool = False
    """Nobody and no field is added while the partner has left a recall unacknowledged beyond that time."""

    @property
    def retain_ms(self) -> int | None:
        return None if self.retain is None else self.retain // timedelta(milliseconds=1)
