"""Where the values that somebody asks for lie in the records of one writer schema. Planned once, then read off.

A record is walked once, to its exact end; only what is asked for is made a value, and what is passed on as it is never
becomes one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sluice import field_path
from sluice.avro import Json, Reader
from sluice.field_path import ABSENT, Name
from sluice.wire import Marked, Planner, Record, Shape, Union, Walk, made_usual, past

_PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "string", "bytes"})
_MOST_BRANCHES = 64
"""Of a union whose index takes one byte."""
_NULL = b"\x00"


@dataclass(slots=True)
class _Asked:
    """A field that paths lead to or through."""

    place: int | None = None
    below: dict[str, _Asked] = field(default_factory=dict)


class Layout:
    """One writer schema, for one set of paths."""

    def __init__(self, reader: Reader, paths: Collection[str]) -> None:
        self._reader = reader
        self._planner = Planner(reader.names)
        self._shapes: list[Shape] = []
        self.types: list[Json] = []
        """The writer's type at each place."""
        self.places: dict[str, int] = {}
        """Of the paths that lead through records alone. Others are looked for in the decoded record."""
        self.missing: set[str] = set()
        """Names that the schema's outermost record does not have."""
        asked = _Asked()
        for path in sorted(paths):
            self._ask(asked, path)
        self._root = self._marked(reader.schema, asked)

    def walk(self, payload: bytes) -> Walk:
        """Past the whole record, as libraries encode it: bytes are passed on from nothing else. Raises Damaged."""
        walk = past(self._root, payload, len(self.types))
        return walk if walk.is_canonical else past(self._root, made_usual(self._root, payload), len(self.types))

    def value(self, walk: Walk, place: int) -> object:
        """What stands at a place; None where something on the way is null."""
        start = walk.starts[place]
        if start < 0:
            return None
        walk.at = start
        return self._shapes[place].read(walk)

    def places_of(self, paths: Collection[str]) -> list[int] | None:
        """Where these paths' values lie, of those that the schema has. None: `places` does not tell of all."""
        if any(path not in self.places and path not in self.missing for path in paths):
            return None
        return [self.places[path] for path in paths if path in self.places]

    def find(self, walk: Walk, path: str) -> object:
        """The value at any path, as `FieldPath.find` has it."""
        place = self.places.get(path)
        if place is not None:
            return self.value(walk, place)
        if path in self.missing:
            return ABSENT
        return field_path.parse(path).find(self._reader.decode(walk.data))

    def in_union(self, place: int) -> bool:
        """Whether a value at the place stands behind the index of a union's branch, which takes one byte."""
        return isinstance(self.types[place], list)

    def prefixes(self, place: int, types: Sequence[Json]) -> list[bytes]:
        """What stands before each branch's value in a union of null and these types, where its bytes stay the same.

        Empty: they would not, for at least one branch.
        """
        avro = self.types[place]
        branches = avro if isinstance(avro, list) else [avro]
        found = [_NULL if branch == "null" else self._prefix(branch, types) for branch in branches]
        if max(len(branches), len(types) + 1) > _MOST_BRANCHES:
            return []
        return [one for one in found if one is not None] if None not in found else []

    def _prefix(self, branch: Json, types: Sequence[Json]) -> bytes | None:
        own = self._encoding(branch)
        alike = [at for at, one in enumerate(types) if own is not None and self._encoding(one) == own]
        if not alike and own == "int":
            alike = [at for at, one in enumerate(types) if self._encoding(one) == "long"]
        if not alike:
            return None
        named = [at for at in alike if _name(types[at]) == _name(branch)]
        return bytes(((1 + (named or alike)[0]) * 2,))

    def _encoding(self, avro: Json) -> object:
        """Equal for types whose equal values are equal bytes, as libraries encode them; None: it is not copied."""
        if isinstance(avro, str):
            named = self._reader.names.get(avro)
            return self._encoding(named) if named is not None else avro if avro in _PRIMITIVES else None
        if isinstance(avro, list):
            return self._all("union", avro)
        match avro["type"]:
            case "enum":
                return "enum", *avro["symbols"]
            case "fixed":
                return "fixed", avro["size"]
            case "array":
                return self._all("array", [avro["items"]])
            case "map":
                return self._all("map", [avro["values"]])
            case "record":
                return None
            case inner:
                return self._encoding(inner)

    def _all(self, kind: str, inside: Sequence[Json]) -> object:
        encodings = [self._encoding(one) for one in inside]
        return None if None in encodings else (kind, *encodings)

    def _ask(self, asked: _Asked, path: str) -> None:
        """Notes the path's place, if every step is a field of the only record that can be there."""
        avro, at = self._reader.schema, asked
        steps = field_path.parse(path).steps
        for step in steps:
            record = self._record(avro)
            if not isinstance(step, Name) or record is None:
                return
            found = next((one["type"] for one in record["fields"] if one["name"] == step.name), None)
            if found is None:
                if len(steps) == 1:
                    self.missing.add(path)
                return
            avro = found
            at = at.below.setdefault(step.name, _Asked())
        at.place = self.places[path] = len(self.types)
        self.types.append(avro)
        self._shapes.append(self._planner.shape(avro))

    def _record(self, avro: Json) -> Json | None:
        """The type, if it is a record or nothing."""
        branches = _not_null(avro)
        if len(branches) != 1:
            return None
        only = branches[0]
        only = self._reader.names.get(only, only) if isinstance(only, str) else only
        return only if isinstance(only, dict) and only["type"] == "record" else None

    def _marked(self, avro: Json, asked: _Asked) -> Shape:
        """The shape of a type, with a mark at whatever is asked for in it."""
        shape = self._planner.shape(avro)
        record = self._record(avro)
        if asked.below and record is not None:
            own = Record()
            for one in record["fields"]:
                own.names.append(one["name"])
                own.fields.append(self._marked(one["type"], asked.below.get(one["name"], _Asked())))
            shape = own
            if isinstance(avro, list):
                shape = Union([self._planner.shape(one) if one == "null" else own for one in avro])
        return shape if asked.place is None else Marked(shape, asked.place)


def _not_null(avro: Json) -> list[Json]:
    return [one for one in avro if one != "null"] if isinstance(avro, list) else [avro]


def _name(avro: Json) -> object:
    return avro.get("name") if isinstance(avro, dict) else avro
