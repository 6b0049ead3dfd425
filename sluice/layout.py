"""Where the values that somebody asks for lie in the records of one writer schema. Planned once, then read off.

A record is walked once, to its exact end; only what is asked for is made a value, and what is passed on as it is never
becomes one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from sluice import field_path
from sluice.avro import Json, Reader
from sluice.field_path import ABSENT, Name
from sluice.wire import Marked, Planner, Record, Shape, Union, Walk, past

_ONE_ENCODING = frozenset({"boolean", "int", "long", "double", "string", "bytes"})


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
        """Past the whole record. Raises Damaged."""
        return past(self._root, payload, len(self.types))

    def value(self, walk: Walk, place: int) -> object:
        """What stands at a place; None where something on the way is null."""
        start = walk.starts[place]
        return None if start < 0 else self._shapes[place].read(Walk(walk.data, start))

    def find(self, walk: Walk, path: str) -> object:
        """The value at any path, as `FieldPath.find` has it."""
        place = self.places.get(path)
        if place is not None:
            return self.value(walk, place)
        if path in self.missing:
            return ABSENT
        return field_path.parse(path).find(self._reader.decode(walk.data))

    def is_copied(self, place: int, avro: Json) -> bool:
        """Whether the value at a place, if it is not null, has the bytes that the library would write for this type."""
        branches = _not_null(self.types[place])
        if len(branches) != 1:
            return False
        own, wanted = self._encoding(branches[0]), self._encoding(avro)
        return own is not None and (own == wanted or (own == "int" and wanted == "long"))

    def null_prefix(self, place: int) -> bytes | None:
        """What a null at the place is encoded as; None: there is no null, and nothing stands before the value."""
        avro = self.types[place]
        if not isinstance(avro, list):
            return None
        return bytes((avro.index("null") * 2,)) if "null" in avro else b""

    def _encoding(self, avro: Json) -> object:
        """Equal for types whose equal values are equal bytes, whoever encodes them; None for all others.

        Not so where several types might be meant (unions), where entries may be repeated (maps), and of numbers that
        change on their way through a wider type (floats).
        """
        if isinstance(avro, str):
            named = self._reader.names.get(avro)
            return self._encoding(named) if named is not None else avro if avro in _ONE_ENCODING else None
        if not isinstance(avro, dict):
            return None
        match avro["type"]:
            case "enum":
                return "enum", *avro["symbols"]
            case "fixed":
                return "fixed", avro["size"]
            case "array":
                items = self._encoding(avro["items"])
                return None if items is None else ("array", items)
            case "record" | "map":
                return None
            case inner:
                return self._encoding(inner)

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
