"""A leaf of the source schema: its Avro types, and what can be asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sluice.avro import Json

CONTAINERS = {"array": "items", "map": "values"}
_PRIMITIVES = frozenset({"boolean", "int", "long", "float", "double", "bytes", "string"})
_NUMBERS = frozenset({"int", "long", "float", "double"})


@dataclass(frozen=True, slots=True)
class Leaf:
    """A field without fields of its own. `branches` are its types but null, with every named type spelled out."""

    path: str
    branches: tuple[Json, ...]
    category: str
    doc: str

    @property
    def is_text(self) -> bool:
        return [kind(branch) for branch in self.branches] == ["string"]

    @property
    def is_date(self) -> bool:
        return len(self.branches) == 1 and _logical(self.branches[0]) == "date"

    @property
    def is_millis(self) -> bool:
        """A time in milliseconds, by its type or by nothing that says otherwise."""
        return self.is_integer and _logical(self.branches[0]) in (None, "timestamp-millis")

    @property
    def is_integer(self) -> bool:
        return [kind(branch) for branch in self.branches] in (["int"], ["long"]) and not self.is_date

    @property
    def is_number(self) -> bool:
        return bool(self.branches) and {kind(branch) for branch in self.branches} <= _NUMBERS and not self.is_date

    @property
    def symbols(self) -> tuple[str, ...]:
        """What an enum can be; nothing for other types."""
        return tuple(symbol for branch in self.branches if kind(branch) == "enum" for symbol in branch["symbols"])

    def can_be(self, value: str | float | date) -> bool:
        """Whether a record can hold this value here."""
        return any(_can_be(branch, value) for branch in self.branches)


def kind(avro: Json) -> str:
    return str(avro["type"]) if isinstance(avro, dict) else str(avro)


def branches(avro: Json) -> tuple[Json, ...]:
    """The types of a union, or the only type, but null."""
    union = avro if isinstance(avro, list) else [avro]
    return tuple(branch for branch in union if branch != "null")


def is_flat(avro: Json) -> bool:
    """Whether no record is inside; a name that is left is that of a record inside itself."""
    if isinstance(avro, list):
        return all(is_flat(branch) for branch in avro)
    if kind(avro) in CONTAINERS:
        return is_flat(avro[CONTAINERS[kind(avro)]])
    return kind(avro) in _PRIMITIVES | {"enum", "fixed", "null"}


def _can_be(avro: Json, value: str | float | date) -> bool:
    match kind(avro):
        case "int" | "long" if _logical(avro) == "date":
            return isinstance(value, date)
        case "string":
            return isinstance(value, str)
        case "enum":
            return value in avro["symbols"]
        case "boolean":
            return isinstance(value, bool)
        case "int" | "long":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float" | "double":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            return False


def _logical(avro: Json) -> str | None:
    return avro.get("logicalType") if isinstance(avro, dict) else None
