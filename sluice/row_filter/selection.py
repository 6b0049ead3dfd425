"""Which customers a contract is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from sluice import field_path
from sluice.field_path import FieldPath
from sluice.model import Millis
from sluice.row_filter.condition import EPOCH, Age, Condition, OneOf, Range, Value

Find: TypeAlias = Callable[[FieldPath], object]
"""What stands at a path of one record: the value, None for null, or ABSENT."""


@dataclass(frozen=True, slots=True)
class RowFilter:
    """The conditions of one contract, all of which have to hold."""

    conditions: tuple[tuple[FieldPath, Condition], ...]

    @classmethod
    def of(cls, where: Mapping[str, Condition]) -> RowFilter:
        return cls(tuple((field_path.parse(path), _in_avro(wanted)) for path, wanted in where.items()))

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(path.text for path, _ in self.conditions)

    def admits(self, find: Find, now: Millis) -> bool:
        for path, wanted in self.conditions:  # noqa: SIM110 - a generator costs more, for each record and partner
            if not wanted.admits(find(path), now):
                return False
        return True

    def next_change(self, find: Find, now: Millis) -> Millis | None:
        """The next instant at which the answer may change although the record does not; None if there is none."""
        if not self.conditions:
            return None
        changes = (wanted.next_change(find(path), now) for path, wanted in self.conditions if isinstance(wanted, Age))
        return min((at for at in changes if at is not None), default=None)


def _in_avro(wanted: Condition) -> Condition:
    """Dates to compare with become what Avro holds: days since 1970-01-01."""
    match wanted:
        case OneOf(values=values):
            return OneOf(values=tuple(_number(value) for value in values))
        case Range():
            bounds = {name: _number(bound) for name, bound in wanted if bound is not None}
            return Range.model_validate(bounds)
        case _:
            return wanted


def _number(written: Value) -> str | float:
    return (written - EPOCH).days if isinstance(written, date) else written
