"""Walks Avro's binary encoding: past values, or reading them (Avro 1.12, "Binary Encoding"). Planned once a schema.

Libraries take damage for data: a negative index of a union or an enum counts from the end in Python, and bytes beyond a
record's end go unnoticed. What this walk passes, they read rightly; what it reads, they read too.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

Json: TypeAlias = Any

_MAX_SHIFT: Final = 63
"""Of the last of the ten bytes that 64 bits take."""
_INT_LIMIT: Final = 1 << 31
_DEEPEST: Final = 150
"""Records within records. Compiled code has no other guard against bytes that claim to go on for ever."""


class Damaged(Exception):
    """The bytes are not a whole record of the schema. Holds no value."""


class Walk:
    """A place in the bytes of one record, from the beginning to the end."""

    def __init__(self, data: bytes, at: int = 0, places: int = 0) -> None:
        self.data = data
        self.size = len(data)
        self.at = at
        self.depth = 0
        self.is_canonical = True
        """Whether all that was passed is encoded as libraries encode it: no varint too long, no array in pieces."""
        self.starts = [-1] * places
        self.ends = [-1] * places

    def number(self) -> int:
        """A zig-zag varint of up to 64 bits."""
        data, at = self.data, self.at
        if at >= self.size:
            raise Damaged
        byte = data[at]
        at += 1
        if byte < 0x80:
            self.at = at
            return byte >> 1 ^ -(byte & 1)
        value, shift = byte & 0x7F, 7
        while True:
            if at >= self.size or shift > _MAX_SHIFT:
                raise Damaged
            byte = data[at]
            at += 1
            if shift == _MAX_SHIFT and byte > 1:
                raise Damaged
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        if byte == 0:
            self.is_canonical = False
        self.at = at
        return value >> 1 ^ -(value & 1)

    def length(self) -> int:
        """A number of bytes, all of which are there."""
        size = self.number()
        if size < 0 or size > self.size - self.at:
            raise Damaged
        return size

    def take(self, size: int) -> bytes:
        """So many bytes, which are there."""
        end = self.at + size
        if end > self.size:
            raise Damaged
        found = self.data[self.at : end]
        self.at = end
        return found


class Shape:
    """What is encoded at a place: one Avro type."""

    def skip(self, walk: Walk) -> None:
        """Past one value. Raises Damaged."""
        raise NotImplementedError

    def read(self, walk: Walk) -> object:
        """One value that was passed before, as fastavro reads it. Raises Damaged."""
        raise NotImplementedError


class Null(Shape):
    def skip(self, walk: Walk) -> None:
        pass

    def read(self, walk: Walk) -> object:  # noqa: ARG002
        return None


class Boolean(Shape):
    def skip(self, walk: Walk) -> None:
        self.read(walk)

    def read(self, walk: Walk) -> object:
        at = walk.at
        if at >= walk.size:
            raise Damaged
        byte = walk.data[at]
        if byte > 1:
            raise Damaged
        walk.at = at + 1
        return byte == 1


class Int(Shape):
    def skip(self, walk: Walk) -> None:
        self.read(walk)

    def read(self, walk: Walk) -> object:
        value = walk.number()
        if not -_INT_LIMIT <= value < _INT_LIMIT:
            raise Damaged
        return value


class Long(Shape):
    def skip(self, walk: Walk) -> None:
        walk.number()

    def read(self, walk: Walk) -> object:
        return walk.number()


class Fixed(Shape):
    def __init__(self, size: int) -> None:
        self._size = size

    def skip(self, walk: Walk) -> None:
        end = walk.at + self._size
        if end > walk.size:
            raise Damaged
        walk.at = end

    def read(self, walk: Walk) -> object:
        return walk.take(self._size)


class Number(Fixed):
    """A float or double."""

    def __init__(self, layout: str, size: int) -> None:
        super().__init__(size)
        self._unpack = struct.Struct(layout).unpack

    def read(self, walk: Walk) -> object:
        return self._unpack(walk.take(self._size))[0]


class Bytes(Shape):
    def skip(self, walk: Walk) -> None:
        size = walk.length()
        walk.at += size

    def read(self, walk: Walk) -> object:
        return walk.take(walk.length())


class Text(Shape):
    """Text is text also where nobody reads it: a record with damage in it is damaged."""

    def skip(self, walk: Walk) -> None:
        size = walk.length()
        if size == 0:
            return
        found = walk.data[walk.at : walk.at + size]
        if not found.isascii():
            _text(found)
        walk.at += size

    def read(self, walk: Walk) -> object:
        return _text(walk.take(walk.length()))


def _text(found: bytes) -> str:
    try:
        return found.decode()
    except UnicodeDecodeError:
        raise Damaged from None


class Enum(Shape):
    def __init__(self, symbols: list[str]) -> None:
        self._symbols = symbols

    def skip(self, walk: Walk) -> None:
        index = walk.number()
        if index < 0 or index >= len(self._symbols):
            raise Damaged

    def read(self, walk: Walk) -> object:
        index = walk.number()
        if index < 0 or index >= len(self._symbols):
            raise Damaged
        return self._symbols[index]


class Union(Shape):
    def __init__(self, branches: list[Shape]) -> None:
        self._branches = branches

    def _branch(self, walk: Walk) -> Shape:
        index = walk.number()
        if index < 0 or index >= len(self._branches):
            raise Damaged
        return self._branches[index]

    def skip(self, walk: Walk) -> None:
        self._branch(walk).skip(walk)

    def read(self, walk: Walk) -> object:
        return self._branch(walk).read(walk)


class _Blocks(Shape):
    """Blocks of items until one of none; a negative count is followed by the block's size in bytes."""

    def _pass_item(self, walk: Walk) -> None:
        raise NotImplementedError

    def skip(self, walk: Walk) -> None:
        blocks = 0
        while True:
            count = walk.number()
            if count == 0:
                return
            blocks += 1
            end = -1
            if count < 0:
                count = -count
                end = walk.number() + walk.at
            if blocks > 1 or end >= 0:
                walk.is_canonical = False
            for _ in range(count):
                before = walk.at
                self._pass_item(walk)
                if walk.at == before:  # items without bytes: a few bytes could claim billions of them
                    raise Damaged
            if end >= 0 and walk.at != end:
                raise Damaged


class Array(_Blocks):
    def __init__(self, item: Shape) -> None:
        self._item = item

    def _pass_item(self, walk: Walk) -> None:
        self._item.skip(walk)

    def read(self, walk: Walk) -> object:
        found: list[object] = []
        while count := _count(walk):
            for _ in range(count):
                found.append(self._item.read(walk))  # noqa: PERF401 - compiled, this is the faster one
        return found


class Map(_Blocks):
    def __init__(self, value: Shape) -> None:
        self._key = Text()
        self._value = value

    def _pass_item(self, walk: Walk) -> None:
        self._key.skip(walk)
        self._value.skip(walk)

    def read(self, walk: Walk) -> object:
        found: dict[object, object] = {}
        while count := _count(walk):
            for _ in range(count):
                key = self._key.read(walk)
                found[key] = self._value.read(walk)
        return found


def _count(walk: Walk) -> int:
    """Items in the next block; 0 behind the last."""
    count = walk.number()
    if count < 0:
        walk.number()
    return abs(count)


class Record(Shape):
    def __init__(self) -> None:
        self.names: list[str] = []
        self.fields: list[Shape] = []

    def skip(self, walk: Walk) -> None:
        if walk.depth > _DEEPEST:
            raise Damaged
        walk.depth += 1
        for field in self.fields:
            field.skip(walk)
        walk.depth -= 1

    def read(self, walk: Walk) -> object:
        if walk.depth > _DEEPEST:
            raise Damaged
        walk.depth += 1
        found = {name: field.read(walk) for name, field in zip(self.names, self.fields, strict=True)}
        walk.depth -= 1
        return found


class Marked(Shape):
    """A value whose place the walk remembers."""

    def __init__(self, inner: Shape, place: int) -> None:
        self._inner = inner
        self._place = place

    def skip(self, walk: Walk) -> None:
        walk.starts[self._place] = walk.at
        self._inner.skip(walk)
        walk.ends[self._place] = walk.at

    def read(self, walk: Walk) -> object:
        return self._inner.read(walk)


_PRIMITIVES: Final[Mapping[str, Callable[[], Shape]]] = {
    "null": Null,
    "boolean": Boolean,
    "int": Int,
    "long": Long,
    "float": lambda: Number("<f", 4),
    "double": lambda: Number("<d", 8),
    "string": Text,
    "bytes": Bytes,
}


class Planner:
    """Makes shapes of one schema's types, in which named types are defined where they stand first."""

    def __init__(self, names: Mapping[str, Json]) -> None:
        """`names`: the named types by full name."""
        self._names = names
        self._made: dict[str, Shape] = {}

    def shape(self, avro: Json) -> Shape:
        if isinstance(avro, list):
            return Union([self.shape(branch) for branch in avro])
        kind = avro["type"] if isinstance(avro, dict) else avro
        match kind:
            case "array":
                return Array(self.shape(avro["items"]))
            case "map":
                return Map(self.shape(avro["values"]))
            case "record" | "error" | "enum" | "fixed":
                return self._named(avro["name"], avro)
            case str():
                return self._simple(kind)
            case _:
                return self.shape(kind)

    def _simple(self, kind: str) -> Shape:
        make = _PRIMITIVES.get(kind)
        return self._named(kind, self._names[kind]) if make is None else make()

    def _named(self, name: str, avro: Json) -> Shape:
        if name in self._made:
            return self._made[name]
        match avro["type"]:
            case "enum":
                made: Shape = Enum(list(avro["symbols"]))
            case "fixed":
                made = Fixed(avro["size"])
            case _:
                made = self._made[name] = record = Record()
                for field in avro["fields"]:
                    record.names.append(field["name"])
                    record.fields.append(self.shape(field["type"]))
        self._made[name] = made
        return made


def past(shape: Shape, data: bytes, places: int = 0) -> Walk:
    """The walk over exactly one value. Raises Damaged for anything less or more."""
    walk = Walk(data, 0, places)
    try:
        shape.skip(walk)
    except RecursionError:
        raise Damaged from None
    if walk.at != walk.size:
        raise Damaged
    return walk
