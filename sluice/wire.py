"""Walks Avro's binary encoding without making values of it (Avro 1.12, "Binary Encoding").

Libraries take damage for data: a negative index of a union or an enum counts from the end in Python, and bytes beyond a
record's end go unnoticed. What this walk passes, they read rightly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Json: TypeAlias = Any

_FIXED_SIZES = {"null": 0, "float": 4, "double": 8}
_SIMPLE = frozenset({*_FIXED_SIZES, "boolean", "int", "long", "string", "bytes", "fixed", "enum"})
_MAX_VARINT_BYTES = 10
_MAX_BITS = 64
_INT_LIMIT = 1 << 31


class Damaged(Exception):
    """The bytes are not a whole record of the schema. Holds no value."""


def check(schema: Json, names: Mapping[str, Json], data: bytes) -> None:
    """Raises Damaged unless `data` is exactly one value of the schema. `names`: named types by full name."""
    try:
        end = _skip(schema, names, data, 0)
    except (IndexError, RecursionError):
        raise Damaged from None
    if end != len(data):
        raise Damaged


def _skip(schema: Json, names: Mapping[str, Json], data: bytes, at: int) -> int:
    """The offset behind the value that begins at `at`."""
    if isinstance(schema, list):
        index, at = _number(data, at)
        return _skip(_item(schema, index), names, data, at)
    kind = schema["type"] if isinstance(schema, dict) else schema
    match kind:
        case "record":
            for field in schema["fields"]:
                at = _skip(field["type"], names, data, at)
            return at
        case "array":
            return _skip_blocks((schema["items"],), names, data, at)
        case "map":
            return _skip_blocks(("string", schema["values"]), names, data, at)
        case str() if kind in _SIMPLE:
            return _skip_simple(kind, schema, data, at)
        case str():
            return _skip(names[kind], names, data, at)
        case _:
            return _skip(kind, names, data, at)


def _skip_simple(kind: str, schema: Json, data: bytes, at: int) -> int:
    match kind:
        case "int":
            value, at = _number(data, at)
            if not -_INT_LIMIT <= value < _INT_LIMIT:
                raise Damaged
            return at
        case "long":
            return _number(data, at)[1]
        case "string" | "bytes":
            size, at = _number(data, at)
            return _within(data, at + _count(size))
        case "boolean":
            _item(["false", "true"], data[at])
            return at + 1
        case "enum":
            index, at = _number(data, at)
            _item(schema["symbols"], index)
            return at
        case _:
            return _within(data, at + (schema["size"] if kind == "fixed" else _FIXED_SIZES[kind]))


def _skip_blocks(parts: tuple[Json, ...], names: Mapping[str, Json], data: bytes, at: int) -> int:
    """Blocks of items until one of none; a negative count is followed by the block's size in bytes."""
    while True:
        count, at = _number(data, at)
        if count == 0:
            return at
        size = None
        if count < 0:
            size, at = _number(data, at)
        start = at
        for _ in range(abs(count)):
            item = at
            for part in parts:
                at = _skip(part, names, data, at)
            if at == item:  # items without bytes: a few bytes could claim billions of them
                raise Damaged
        if size is not None and at != start + size:
            raise Damaged


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A zig-zag varint and the offset behind it."""
    value = 0
    for shift in range(0, 7 * _MAX_VARINT_BYTES, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> _MAX_BITS:
                raise Damaged
            return value >> 1 ^ -(value & 1), at
    raise Damaged


def _item(items: list[Json], index: int) -> Json:
    if not 0 <= index < len(items):
        raise Damaged
    return items[index]


def _count(size: int) -> int:
    if size < 0:
        raise Damaged
    return size


def _within(data: bytes, at: int) -> int:
    if at > len(data):
        raise Damaged
    return at
