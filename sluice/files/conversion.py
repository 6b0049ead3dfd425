"""A row, as JSON has it, to the Avro record of a schema: whole or not at all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sluice.document import nearest
from sluice.files.scalars import UNFIT, AvroValue, Json, Scalar
from sluice.files.shape import Choice, Entries, Items, Parts, Shape

if TYPE_CHECKING:
    from sluice.avro import Record

_SAYABLE = re.compile(r"[A-Za-z_$][A-Za-z0-9_.$-]{0,99}")


class Unfit(Exception):
    """A row does not fit the schema. One sentence that names the field and the type, never the value."""


def convert(record: Parts, row: Json) -> Record:
    """The record, every field of it present. Raises Unfit.

    A missing field takes the schema's default, or null; a field that the schema does not have is refused.
    """
    return _record(record, row, "")


def naming(name: str) -> str:
    """A field's name as a sentence may hold it; what cannot be a name may be a value that slipped out of place."""
    return f"`{name}`" if _SAYABLE.fullmatch(name) else "one whose name no schema can have"


def _record(record: Parts, row: Json, path: str) -> Record:
    if not isinstance(row, dict):
        raise Unfit(f"{naming(path) if path else 'The row'} has to be an object with fields.")
    prefix = f"{path}." if path else ""
    for name in row:
        if name not in record.fields:
            close = nearest(name, record.fields)
            raise Unfit(f"There is a field that the schema does not have, {naming(prefix + name)}{close}.")
    values = {}
    for name, part in record.fields.items():
        if name in row:
            values[name] = _value(part.shape, row[name], prefix + name)
        elif part.required:
            raise Unfit(f"`{prefix}{name}` is missing.")
        else:
            values[name] = part.default
    return values


def _value(shape: Shape, value: Json, path: str) -> AvroValue:
    match shape:
        case Scalar(expected=expected, from_json=from_json):
            try:
                return from_json(value)
            except UNFIT:
                raise Unfit(f"`{path}` has to be {expected}.") from None
        case Choice():
            return _branch(shape, value, path)
        case Items(item=item):
            if not isinstance(value, list):
                raise Unfit(f"`{path}` has to be an array.")
            return [_value(item, one, f"{path}[{index}]") for index, one in enumerate(value)]
        case Entries(value=inner):
            return {_key(key, path): _value(inner, one, f"{path}.*") for key, one in _entries(value, path)}
        case Parts():
            return _record(shape, value, path)


def _entries(value: Json, path: str) -> list[tuple[str, Json]]:
    if not isinstance(value, dict):
        raise Unfit(f"`{path}` has to be an object of keys and values.")
    return list(value.items())


def _key(key: str, path: str) -> str:
    try:
        key.encode()
    except UnicodeEncodeError:
        raise Unfit(f"A key in `{path}` has to be text.") from None
    return key


def _branch(choice: Choice, value: Json, path: str) -> AvroValue:
    if value is None and choice.nullable:
        return None
    if len(choice.branches) == 1:
        return _value(choice.branches[0], value, path)
    for branch in choice.branches:
        try:
            return _value(branch, value, path)
        except Unfit:
            continue
    raise Unfit(f"`{path}` fits none of the types that the schema gives it.")
