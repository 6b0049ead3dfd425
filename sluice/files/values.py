"""Values of files with types, where the libraries' own reading would round them, or give up at the first odd one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sluice.files.shape import Entries, Items, Parts, Shape, without_null

if TYPE_CHECKING:
    from sluice.files.scalars import Json

UNREADABLE: Final = object()
"""Stands for a value that Python cannot hold, such as a day of the year 10000. It fits no field."""

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the zone is set where there is one
_MICROSECONDS: Final = 1_000_000


def local_time(ticks: int, per_second: int) -> Json:
    """A time without a zone. What is finer than a microsecond is cut off, as it is from text."""
    try:
        return _EPOCH + timedelta(microseconds=ticks * _MICROSECONDS // per_second)
    except OverflowError:
        return UNREADABLE


def instant(ticks: int, per_second: int) -> Json:
    """So many ticks after 1970 in UTC."""
    time = local_time(ticks, per_second)
    return time.replace(tzinfo=UTC) if isinstance(time, datetime) else time


def day(days: int) -> Json:
    """So many days after 1970-01-01."""
    try:
        return date.fromordinal(_EPOCH.toordinal() + days)
    except (ValueError, OverflowError):
        return UNREADABLE


def given(shape: Shape, value: Json) -> Json:
    """The value without fields that are null where null is not allowed: no row can leave a column out but so."""
    shape, _ = without_null(shape)
    match shape, value:
        case Parts(fields=fields), dict():
            return {
                name: given(fields[name].shape, inner) if name in fields else inner
                for name, inner in value.items()
                if inner is not None or name not in fields or without_null(fields[name].shape)[1]
            }
        case Items(item=item), list():
            return [given(item, inner) for inner in value]
        case Entries(value=entry), dict():
            return {key: given(entry, inner) for key, inner in value.items()}
        case _:
            return value


def at(row: Json, path: tuple[str, ...]) -> Json:
    """The value at a path of fields; null where one on the way is."""
    for name in path:
        row = row.get(name) if isinstance(row, dict) else None
    return row
