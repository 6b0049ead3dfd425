"""The source schema as contracts see it: leaves, addressed by dotted path. Any Avro record that the registry knows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sluice.errors import SluiceError

AvroType: TypeAlias = Any
UNCATEGORISED = "user"
"""A field without a data category is taken for any personal data: only a grant for everything reaches it."""

_PRIMITIVES = frozenset({"boolean", "int", "long", "float", "double", "bytes", "string"})


@dataclass(frozen=True, slots=True)
class Leaf:
    """A field without fields of its own. `branches` are its types but null, with every named type spelled out."""

    path: str
    branches: tuple[AvroType, ...]
    category: str
    doc: str

    @property
    def is_text(self) -> bool:
        return self.branches == ("string",)

    @property
    def is_date(self) -> bool:
        return len(self.branches) == 1 and _logical(self.branches[0]) == "date"

    @property
    def is_integer(self) -> bool:
        return self.branches in (("int",), ("long",))


def leaves(schema: str) -> Mapping[str, Leaf]:
    """Every leaf of an Avro record schema (JSON text), in its order.

    Records inside arrays, maps or unions with several branches have no path, so nothing in them can be shared.
    Raises SluiceError when the schema is not a record.
    """
    parsed = json.loads(schema)
    if not isinstance(parsed, dict) or parsed.get("type") != "record":
        raise SluiceError(
            "The source schema is not an Avro record; register a record under the source topic's subject."
        )
    return {leaf.path: leaf for leaf in _walk(parsed, "", {}, (), parsed.get("namespace", ""))}


def _walk(
    record: dict[str, Any], prefix: str, names: dict[str, AvroType], inside: tuple[str, ...], space: str
) -> Iterator[Leaf]:
    space = record.get("namespace", space)
    full = _full_name(record["name"], space)
    names[full] = record
    for field in record["fields"]:
        path = prefix + field["name"]
        branches = tuple(_spelled_out(b, names, space) for b in _branches(field["type"]))
        if len(branches) == 1 and _kind(branches[0]) == "record":
            inner = branches[0]
            if _full_name(inner["name"], inner.get("namespace", space)) not in (*inside, full):
                yield from _walk(inner, path + ".", names, (*inside, full), space)
        elif all(_is_flat(branch) for branch in branches):
            yield Leaf(path, branches, field.get("data_category", UNCATEGORISED), field.get("doc", ""))


def _branches(avro: AvroType) -> list[AvroType]:
    union = avro if isinstance(avro, list) else [avro]
    return [branch for branch in union if branch != "null"]


def _spelled_out(avro: AvroType, names: dict[str, AvroType], space: str) -> AvroType:
    """The type with names replaced by what they name, and full names in enums and fixed."""
    if isinstance(avro, str):
        return avro if avro in _PRIMITIVES or avro == "null" else names[_full_name(avro, space)]
    if isinstance(avro, list):
        return [_spelled_out(branch, names, space) for branch in avro]
    kind = _kind(avro)
    if kind in ("enum", "fixed"):
        full = _full_name(avro["name"], avro.get("namespace", space))
        names[full] = {**{k: v for k, v in avro.items() if k != "namespace"}, "name": full}
        return names[full]
    if kind == "record":
        names[_full_name(avro["name"], avro.get("namespace", space))] = avro
        return avro
    if kind == "array":
        return {**avro, "items": _spelled_out(avro["items"], names, space)}
    if kind == "map":
        return {**avro, "values": _spelled_out(avro["values"], names, space)}
    return avro["type"] if set(avro) == {"type"} else avro


def _is_flat(avro: AvroType) -> bool:
    if isinstance(avro, list):
        return all(_is_flat(branch) for branch in avro)
    match _kind(avro):
        case "record":
            return False
        case "array":
            return _is_flat(avro["items"])
        case "map":
            return _is_flat(avro["values"])
        case _:
            return True


def _kind(avro: AvroType) -> str:
    return str(avro["type"]) if isinstance(avro, dict) else str(avro)


def _logical(avro: AvroType) -> str | None:
    return avro.get("logicalType") if isinstance(avro, dict) else None


def _full_name(name: str, space: str) -> str:
    return name if "." in name or not space else f"{space}.{name}"
