"""The source schema as contracts see it: leaves, addressed by dotted path. Any Avro record that the registry knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sluice.avro import Json, NotAvro, expanded
from sluice.errors import SluiceError

UNCATEGORISED = "user"
"""A field without a data category is taken for any personal data: only a grant for everything reaches it."""

_PRIMITIVES = frozenset({"boolean", "int", "long", "float", "double", "bytes", "string"})
_CONTAINERS = {"array": "items", "map": "values"}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A field without fields of its own. `branches` are its types but null, with every named type spelled out."""

    path: str
    branches: tuple[Json, ...]
    category: str
    doc: str

    @property
    def is_text(self) -> bool:
        return [_kind(branch) for branch in self.branches] == ["string"]

    @property
    def is_date(self) -> bool:
        return len(self.branches) == 1 and _logical(self.branches[0]) == "date"

    @property
    def is_integer(self) -> bool:
        return [_kind(branch) for branch in self.branches] in (["int"], ["long"]) and not self.is_date

    def can_be(self, value: str | int | bool) -> bool:  # noqa: FBT001 - a value, not a choice
        """Whether a record can hold this value here."""
        return any(_can_be(branch, value) for branch in self.branches)


def leaves(schema: str) -> Mapping[str, Leaf]:
    """Every leaf of an Avro record schema (JSON text), in its order.

    Records inside arrays, maps, themselves or unions with several branches have no path: nothing in them can be shared.
    Raises SluiceError when the schema is no record.
    """
    try:
        record = expanded(schema)
    except NotAvro as error:
        raise SluiceError(f"The source schema is not an Avro record: {error}.") from None
    if _kind(record) != "record":
        raise SluiceError(
            "The source schema is not an Avro record; register a record under the source topic's subject."
        )
    return {leaf.path: leaf for leaf in _walk(record, "", UNCATEGORISED)}


def _walk(record: Json, prefix: str, category: str) -> Iterator[Leaf]:
    """`category` is that of the field the record stands in, for fields that have none of their own."""
    for field in record["fields"]:
        path = prefix + field["name"]
        own = field.get("data_category", category)
        branches = _branches(field["type"])
        if len(branches) == 1 and _kind(branches[0]) == "record":
            yield from _walk(branches[0], path + ".", own)
        elif all(_is_flat(branch) for branch in branches):
            yield Leaf(path, branches, own, field.get("doc", ""))


def _branches(avro: Json) -> tuple[Json, ...]:
    union = avro if isinstance(avro, list) else [avro]
    return tuple(branch for branch in union if branch != "null")


def _is_flat(avro: Json) -> bool:
    """Whether no record is inside; a name that is left is that of a record inside itself."""
    if isinstance(avro, list):
        return all(_is_flat(branch) for branch in avro)
    kind = _kind(avro)
    if kind in _CONTAINERS:
        return _is_flat(avro[_CONTAINERS[kind]])
    return kind in _PRIMITIVES | {"enum", "fixed", "null"}


def _can_be(avro: Json, value: str | int | bool) -> bool:  # noqa: FBT001
    match _kind(avro):
        case "string":
            return isinstance(value, str)
        case "enum":
            return value in avro["symbols"]
        case "boolean":
            return isinstance(value, bool)
        case "int" | "long" | "float" | "double":
            return isinstance(value, int) and not isinstance(value, bool)
        case _:
            return False


def _kind(avro: Json) -> str:
    return str(avro["type"]) if isinstance(avro, dict) else str(avro)


def _logical(avro: Json) -> str | None:
    return avro.get("logicalType") if isinstance(avro, dict) else None
