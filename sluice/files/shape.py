"""The shape of a registered Avro schema, for conversion: names are resolved, defaults are Avro values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sluice.errors import SluiceError
from sluice.files.scalars import AvroType, AvroValue, Json, Scalar, scalar

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Items:
    """An array."""

    item: Shape


@dataclass(frozen=True, slots=True)
class Entries:
    """A map."""

    value: Shape


@dataclass(frozen=True, slots=True)
class Choice:
    """A union: null, if it has it, and the other branches in their order."""

    branches: tuple[Shape, ...]
    nullable: bool


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """A record. Its fields are filled in while it is read, for it may hold itself."""

    fields: dict[str, Part]


@dataclass(frozen=True, slots=True)
class Part:
    """A field of a record. `default` stands for a missing value, unless the field is required."""

    shape: Shape
    required: bool
    default: AvroValue


Shape: TypeAlias = Scalar | Items | Entries | Choice | Parts


@dataclass(frozen=True, slots=True)
class Leaf:
    """What one cell can be written to."""

    shape: Scalar | Items | Entries | Choice
    nullable: bool


def read_shape(schema: str) -> Parts:
    """The shape of a record schema (JSON text). Raises SluiceError when it is something else."""
    shape = _shape(json.loads(schema), {}, "")
    if not isinstance(shape, Parts):
        raise SluiceError("The registered schema is no Avro record; rows can be published to records only.")
    return shape


def leaf(record: Parts, path: str) -> Leaf | None:
    """The field at a dotted path, if there is one and it is no record."""
    shape: Shape = record
    nullable = False
    for name in path.split("."):
        if not isinstance(shape, Parts) or name not in shape.fields:
            return None
        shape, nullable = without_null(shape.fields[name].shape)
    return None if isinstance(shape, Parts) else Leaf(shape, nullable)


def paths(record: Parts) -> list[str]:
    """The dotted paths of all leaves; a record inside itself is not entered again."""
    return list(_paths(record, "", ()))


def _paths(record: Parts, prefix: str, inside: tuple[Parts, ...]) -> Iterator[str]:
    for name, part in record.fields.items():
        shape, _ = without_null(part.shape)
        if not isinstance(shape, Parts):
            yield prefix + name
        elif shape not in (*inside, record):
            yield from _paths(shape, f"{prefix}{name}.", (*inside, record))


def without_null(shape: Shape) -> tuple[Shape, bool]:
    """What stands there if it is not null, and whether it may be."""
    match shape:
        case Choice(branches=(only,), nullable=nullable):
            return only, nullable
        case Choice(nullable=nullable):
            return shape, nullable
        case _:
            return shape, False


def _shape(avro: AvroType, names: dict[str, Shape], space: str) -> Shape:
    if isinstance(avro, list):
        branches = tuple(_shape(branch, names, space) for branch in avro if branch != "null")
        return Choice(branches, nullable="null" in avro)
    if isinstance(avro, dict) and isinstance(avro["type"], dict | list):
        return _shape(avro["type"], names, space)
    kind = avro["type"] if isinstance(avro, dict) else avro
    match kind:
        case "array":
            return Items(_shape(avro["items"], names, space))
        case "map":
            return Entries(_shape(avro["values"], names, space))
        case "record" | "error":
            return _record(avro, names, space)
    found = scalar(avro)
    if found is None:
        return names[_full_name(kind, space)]
    if isinstance(avro, dict) and "name" in avro:
        names[_full_name(avro["name"], avro.get("namespace", space))] = found
    return found


def _record(avro: AvroType, names: dict[str, Shape], space: str) -> Parts:
    full = _full_name(avro["name"], avro.get("namespace", space))
    record = Parts({})
    names[full] = record
    for field in avro["fields"]:
        record.fields[field["name"]] = _part(field, _shape(field["type"], names, full.rpartition(".")[0]))
    return record


def _part(field: AvroType, shape: Shape) -> Part:
    if "default" in field:
        return Part(shape, required=False, default=_default(shape, field["default"]))
    return Part(shape, required=not (isinstance(shape, Choice) and shape.nullable), default=None)


def _default(shape: Shape, written: Json) -> AvroValue:
    """A default, which JSON writes its own way: a union's is of its first branch, bytes are code points."""
    match shape:
        case Scalar(binary=True):
            return str(written).encode("latin-1")
        case Items(item=item):
            return [_default(item, value) for value in written]
        case Entries(value=inner):
            return {key: _default(inner, value) for key, value in written.items()}
        case Choice(branches=branches):
            return None if written is None else _default(branches[0], written)
        case Parts(fields=fields):
            return {
                name: _default(part.shape, written[name]) if name in written else part.default
                for name, part in fields.items()
            }
        case _:
            return written


def _full_name(name: str, space: str) -> str:
    return name if "." in name or not space else f"{space}.{name}"
