"""Avro schemas and records of every kind, as Hypothesis invents them, and an encoder of ours that may be unusual.

What a library writes is one of the encodings that the specification allows: arrays and maps may come in several blocks,
with or without their sizes, and a number may take more bytes than it needs (Avro 1.12, "Binary Encoding").
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import strategies as st

Avro = Any
Value = Any

PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
LOGICAL = ({"type": "int", "logicalType": "date"}, {"type": "long", "logicalType": "timestamp-millis"})
_INT, _LONG = 1 << 31, 1 << 63
_DEEP = 3


@st.composite
def schemas(draw: st.DrawFn) -> Avro:
    """A record, with records, unions, arrays and maps inside it, and names that are used again."""
    return _Inventor(draw).record(0)


@dataclass
class _Inventor:
    draw: st.DrawFn
    count: int = 0
    defined: list[str] = field(default_factory=list)

    def record(self, depth: int) -> Avro:
        name = self._name()
        count = self.draw(st.integers(1, 3 if depth else 5))
        fields = [{"name": f"f{number}", "type": self._type(depth + 1)} for number in range(count)]
        if self.draw(st.booleans()):
            fields.append({"name": "again", "type": ["null", f"t.{name}"]})
        self.defined.append(f"t.{name}")
        return {"type": "record", "name": name, "namespace": "t", "fields": fields}

    def _type(self, depth: int) -> Avro:
        compound = [self._array, self._map, self.record, self._union] if depth < _DEEP else []
        make = self.draw(st.sampled_from([*[self._simple] * 4, *[self._nullable] * 4, self._named, *compound]))
        return make(depth)

    def _simple(self, _: int) -> Avro:
        enum = {"type": "enum", "name": self._name(), "namespace": "t", "symbols": ["A", "B", "C"]}
        fixed = {"type": "fixed", "name": self._name(), "namespace": "t", "size": 3}
        return self.draw(st.sampled_from([*PRIMITIVES, *LOGICAL, enum, fixed]))

    def _nullable(self, depth: int) -> Avro:
        inner = self._type(depth)
        if isinstance(inner, list) or inner == "null":
            return inner
        return self.draw(st.sampled_from([["null", inner], [inner, "null"]]))

    def _named(self, depth: int) -> Avro:
        return self.draw(st.sampled_from(self.defined)) if self.defined else self._simple(depth)

    def _array(self, depth: int) -> Avro:
        """Items without bytes are refused: a few bytes could claim billions of them."""
        items = self._type(depth + 1)
        if isinstance(items, dict) and items["type"] == "record":
            items["fields"].append({"name": "something", "type": "int"})
        elif items == "null" or items in self.defined:
            items = "string"
        return {"type": "array", "items": items}

    def _map(self, depth: int) -> Avro:
        return {"type": "map", "values": self._type(depth + 1)}

    def _union(self, _: int) -> Avro:
        return self.draw(st.lists(st.sampled_from(PRIMITIVES), min_size=1, unique=True))

    def _name(self) -> str:
        self.count += 1
        return f"N{self.count}"


def named_types(avro: Avro) -> dict[str, Avro]:
    """By full name."""
    found: dict[str, Avro] = {}
    for one in avro if isinstance(avro, list) else [avro]:
        if isinstance(one, dict):
            if "name" in one:
                found[f"t.{one['name']}"] = one
            inside = [below["type"] for below in one.get("fields", ())]
            for below in (*inside, one.get("items"), one.get("values")):
                found |= named_types(below)
    return found


@dataclass(frozen=True, slots=True)
class Chosen:
    """A value of a union, with the branch that it is meant for."""

    index: int
    value: Value


_INVENTED: Mapping[str, Callable[[Random], Value]] = {
    "null": lambda _: None,
    "boolean": lambda random: random.random() < 0.5,
    "int": lambda random: random.choice((0, -1, 63, 64, -65, random.randrange(-_INT, _INT))),
    "long": lambda random: random.choice((0, -1, 64, _LONG - 1, -_LONG, random.randrange(-_LONG, _LONG))),
    "float": lambda random: struct.unpack("<f", struct.pack("<f", random.uniform(-1e6, 1e6)))[0],
    "double": lambda random: random.uniform(-1e9, 1e9),
    "bytes": lambda random: random.randbytes(random.randrange(4)),
    "string": lambda random: random.choice(("", "a", "花子", "x" * 63, "y" * 64, "é")),
}


def value_of(random: Random, avro: Avro, names: Mapping[str, Avro], depth: int = 0) -> Value:
    """A value of the type; those of unions as `Chosen`."""
    if isinstance(avro, list):
        nothing = "null" in avro and (depth > _DEEP + 1 or random.random() < 0.3)
        index = avro.index("null") if nothing else random.randrange(len(avro))
        return Chosen(index, value_of(random, avro[index], names, depth + 1))
    if isinstance(avro, str):
        return _INVENTED[avro](random) if avro in _INVENTED else value_of(random, names[avro], names, depth)
    match avro["type"]:
        case "enum":
            return random.choice(avro["symbols"])
        case "fixed":
            return random.randbytes(avro["size"])
        case "array":
            return [value_of(random, avro["items"], names, depth + 1) for _ in range(random.randrange(4))]
        case "map":
            return {key: value_of(random, avro["values"], names, depth + 1) for key in random.sample("abc", 2)}
        case "record":
            return {one["name"]: value_of(random, one["type"], names, depth + 1) for one in avro["fields"]}
        case inner:
            return value_of(random, inner, names, depth)


@dataclass
class Encoder:
    """Encodes as the specification allows, not only as libraries do."""

    random: Random
    names: Mapping[str, Avro]
    strangeness: float

    def encode(self, avro: Avro, value: Value) -> bytes:
        if isinstance(avro, list):
            return self._number(value.index) + self.encode(avro[value.index], value.value)
        if isinstance(avro, str):
            return self._simple(avro, value) if avro in PRIMITIVES else self.encode(self.names[avro], value)
        match avro["type"]:
            case "enum":
                return self._number(avro["symbols"].index(value))
            case "fixed":
                return bytes(value)
            case "array":
                return self._blocks([self.encode(avro["items"], item) for item in value])
            case "map":
                pairs = value.items()
                return self._blocks([self._simple("string", k) + self.encode(avro["values"], v) for k, v in pairs])
            case "record":
                return b"".join(self.encode(one["type"], value[one["name"]]) for one in avro["fields"])
            case inner:
                return self.encode(inner, value)

    def _simple(self, kind: str, value: Value) -> bytes:
        match kind:
            case "null":
                return b""
            case "boolean":
                return b"\x01" if value else b"\x00"
            case "int" | "long":
                return self._number(value)
            case "float" | "double":
                return struct.pack("<f" if kind == "float" else "<d", value)
            case _:
                encoded = value.encode() if kind == "string" else value
                return self._number(len(encoded)) + bytes(encoded)

    def _is_strange(self) -> bool:
        return self.random.random() < self.strangeness

    def _number(self, value: int) -> bytes:
        left = (value << 1 ^ value >> 63) & ((1 << 64) - 1)
        found = bytearray()
        while left > 0x7F:
            found.append(left & 0x7F | 0x80)
            left >>= 7
        found.append(left)
        if self._is_strange() and len(found) < 9:
            found[-1] |= 0x80
            found.append(0)
        return bytes(found)

    def _blocks(self, items: list[bytes]) -> bytes:
        blocks = [[one] for one in items] if self._is_strange() else [items] if items else []
        found = b""
        for block in blocks:
            body = b"".join(block)
            if self._is_strange():
                found += self._number(-len(block)) + self._number(len(body)) + body
            else:
                found += self._number(len(block)) + body
        return found + self._number(0)
