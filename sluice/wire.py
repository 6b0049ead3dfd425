"""Avro's binary encoding: past values, reading or writing them (Avro 1.12, "Binary Encoding"). Planned once a schema.

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
_LONG_LIMIT: Final = 1 << 63
_DEEPEST: Final = 150
"""Records within records. Compiled code has no other guard against bytes that claim to go on for ever."""


class Damaged(Exception):
    """The bytes are not a whole record of the schema. Holds no value."""


class Unsuited(Exception):
    """Not a value that is written here: a library may know how, or why not. Holds no value."""


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

    def usual(self, walk: Walk, out: bytearray) -> None:
        """Past one value that was passed before, which is written anew as libraries encode it. Raises Damaged."""
        start = walk.at
        self.skip(walk)
        out += walk.data[start : walk.at]

    def write(self, value: object, out: bytearray) -> None:
        """A value that is plainly of this type, as fastavro writes it. Raises Unsuited for any other."""
        raise NotImplementedError


class Null(Shape):
    def skip(self, walk: Walk) -> None:
        pass

    def read(self, walk: Walk) -> object:  # noqa: ARG002
        return None

    def write(self, value: object, out: bytearray) -> None:  # noqa: ARG002
        if value is not None:
            raise Unsuited


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

    def write(self, value: object, out: bytearray) -> None:
        if type(value) is not bool:
            raise Unsuited
        out.append(value)


class Int(Shape):
    def skip(self, walk: Walk) -> None:
        self.read(walk)

    def read(self, walk: Walk) -> object:
        value = walk.number()
        if not -_INT_LIMIT <= value < _INT_LIMIT:
            raise Damaged
        return value

    def usual(self, walk: Walk, out: bytearray) -> None:
        out += varint(walk.number())

    def write(self, value: object, out: bytearray) -> None:
        if type(value) is not int or not -_INT_LIMIT <= value < _INT_LIMIT:
            raise Unsuited
        out += varint(value)


class Long(Shape):
    def skip(self, walk: Walk) -> None:
        walk.number()

    def read(self, walk: Walk) -> object:
        return walk.number()

    def usual(self, walk: Walk, out: bytearray) -> None:
        out += varint(walk.number())

    def write(self, value: object, out: bytearray) -> None:
        if type(value) is not int or not -_LONG_LIMIT <= value < _LONG_LIMIT:
            raise Unsuited
        out += varint(value)


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

    def write(self, value: object, out: bytearray) -> None:
        if type(value) is not bytes or len(value) != self._size:
            raise Unsuited
        out += value


class Number(Fixed):
    """A float or double."""

    def __init__(self, layout: str, size: int) -> None:
        super().__init__(size)
        self._layout = struct.Struct(layout)

    def read(self, walk: Walk) -> object:
        return self._layout.unpack(walk.take(self._size))[0]

    def write(self, value: object, out: bytearray) -> None:
        if type(value) is not float:
            raise Unsuited
        try:
            out += self._layout.pack(value)
        except OverflowError:
            raise Unsuited from None


class Bytes(Shape):
    def skip(self, walk: Walk) -> None:
        size = walk.length()
        walk.at += size

    def read(self, walk: Walk) -> object:
        return walk.take(walk.length())

    def usual(self, walk: Walk, out: bytearray) -> None:
        found = walk.take(walk.length())
        out += varint(len(found))
        out += found

    def write(self, value: object, out: bytearray) -> None:
        if type(value) is not bytes:
            raise Unsuited
        out += varint(len(value))
        out += value


class Text(Bytes):
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

    def write(self, value: object, out: bytearray) -> None:
        if type(value) is not str:
            raise Unsuited
        try:
            found = value.encode()
        except UnicodeEncodeError:
            raise Unsuited from None
        out += varint(len(found))
        out += found


def _text(found: bytes) -> str:
    try:
        return found.decode()
    except UnicodeDecodeError:
        raise Damaged from None


class Enum(Shape):
    def __init__(self, symbols: list[str]) -> None:
        self._symbols = symbols
        self._written = {symbol: varint(index) for index, symbol in enumerate(symbols)}

    def skip(self, walk: Walk) -> None:
        index = walk.number()
        if index < 0 or index >= len(self._symbols):
            raise Damaged

    def read(self, walk: Walk) -> object:
        index = walk.number()
        if index < 0 or index >= len(self._symbols):
            raise Damaged
        return self._symbols[index]

    def usual(self, walk: Walk, out: bytearray) -> None:
        out += varint(walk.number())

    def write(self, value: object, out: bytearray) -> None:
        found = self._written.get(value) if type(value) is str else None
        if found is None:
            raise Unsuited
        out += found


class Union(Shape):
    def __init__(self, branches: list[Shape]) -> None:
        self._branches = branches
        nulls = [at for at, branch in enumerate(branches) if isinstance(branch, Null)]
        self._empty = nulls[0] if nulls else -1
        others = [at for at in range(len(branches)) if at != self._empty]
        self._only = others[0] if len(others) == 1 else -1

    def _index(self, walk: Walk) -> int:
        index = walk.number()
        if index < 0 or index >= len(self._branches):
            raise Damaged
        return index

    def skip(self, walk: Walk) -> None:
        self._branches[self._index(walk)].skip(walk)

    def read(self, walk: Walk) -> object:
        return self._branches[self._index(walk)].read(walk)

    def usual(self, walk: Walk, out: bytearray) -> None:
        index = self._index(walk)
        out += varint(index)
        self._branches[index].usual(walk, out)

    def write(self, value: object, out: bytearray) -> None:
        """Of several types that a value might be, the library chooses."""
        index = self._empty if value is None else self._only
        if index < 0:
            raise Unsuited
        out += varint(index)
        self._branches[index].write(value, out)


class _Blocks(Shape):
    """Blocks of items until one of none; a negative count is followed by the block's size in bytes."""

    def _pass_items(self, walk: Walk, count: int) -> None:
        """Those of one block. Raises Damaged."""
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
            self._pass_items(walk, count)
            if end >= 0 and walk.at != end:
                raise Damaged


class Array(_Blocks):
    def __init__(self, item: Shape) -> None:
        self._item = item

    def _pass_items(self, walk: Walk, count: int) -> None:
        for _ in range(count):
            before = walk.at
            self._item.skip(walk)
            if walk.at == before:  # items without bytes: a few bytes could claim billions of them
                raise Damaged

    def read(self, walk: Walk) -> object:
        found: list[object] = []
        while count := _count(walk):
            for _ in range(count):
                found.append(self._item.read(walk))  # noqa: PERF401 - compiled, this is the faster one
        return found

    def usual(self, walk: Walk, out: bytearray) -> None:
        items, body = 0, bytearray()
        while count := _count(walk):
            items += count
            for _ in range(count):
                self._item.usual(walk, body)
        out += _block(items, body)

    def write(self, value: object, out: bytearray) -> None:
        items = list(value) if type(value) is tuple else value
        if type(items) is not list:
            raise Unsuited
        if items:
            out += varint(len(items))
            for item in items:
                self._item.write(item, out)
        out.append(0)


class Map(_Blocks):
    def __init__(self, value: Shape) -> None:
        self._key = Text()
        self._value = value

    def _pass_items(self, walk: Walk, count: int) -> None:
        """What says a key twice is not what a library writes; the later entry holds."""
        keys: set[bytes] = set()
        for _ in range(count):
            start = walk.at
            self._key.skip(walk)
            keys.add(walk.data[start : walk.at])
            self._value.skip(walk)
        if len(keys) < count:
            walk.is_canonical = False

    def read(self, walk: Walk) -> object:
        found: dict[object, object] = {}
        while count := _count(walk):
            for _ in range(count):
                key = self._key.read(walk)
                found[key] = self._value.read(walk)
        return found

    def usual(self, walk: Walk, out: bytearray) -> None:
        entries: dict[bytes, bytes] = {}
        while count := _count(walk):
            for _ in range(count):
                key, value = bytearray(), bytearray()
                self._key.usual(walk, key)
                self._value.usual(walk, value)
                entries[bytes(key)] = bytes(value)
        body = bytearray()
        for name, entry in entries.items():
            body += name + entry
        out += _block(len(entries), body)

    def write(self, value: object, out: bytearray) -> None:
        if type(value) is not dict:
            raise Unsuited
        if value:
            out += varint(len(value))
            for key, entry in value.items():
                self._key.write(key, out)
                self._value.write(entry, out)
        out.append(0)


def _count(walk: Walk) -> int:
    """Items in the next block; 0 behind the last."""
    count = walk.number()
    if count < 0:
        walk.number()
    return abs(count)


def _block(items: int, body: bytearray) -> bytes:
    """All items in one block, and the end."""
    return varint(items) + body + b"\x00" if items else b"\x00"


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

    def usual(self, walk: Walk, out: bytearray) -> None:
        for field in self.fields:
            field.usual(walk, out)

    def write(self, value: object, out: bytearray) -> None:
        if type(value) is not dict or len(value) != len(self.names):
            raise Unsuited
        for name, field in zip(self.names, self.fields, strict=True):
            if name not in value:
                raise Unsuited
            field.write(value[name], out)


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

    def usual(self, walk: Walk, out: bytearray) -> None:
        self._inner.usual(walk, out)

    def write(self, value: object, out: bytearray) -> None:
        self._inner.write(value, out)


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


def made_usual(shape: Shape, data: bytes) -> bytes:
    """The same value as libraries encode it, of bytes that were passed. Raises Damaged."""
    out = bytearray()
    shape.usual(Walk(data), out)
    return bytes(out)


_ONE_BYTE: Final = tuple([bytes((value,)) for value in range(0x80)])


def varint(value: int) -> bytes:
    """A zig-zag varint of 64 bits."""
    left = value << 1 if value >= 0 else (-value << 1) - 1
    if left < 0x80:
        return _ONE_BYTE[left]
    found = bytearray()
    while left >= 0x80:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    found.append(left)
    return bytes(found)
