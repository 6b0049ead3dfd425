"""A whole source schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sluice import field_path
from sluice.avro import Json, NotAvro, expanded
from sluice.document import nearest
from sluice.errors import SluiceError
from sluice.field_path import NotAPath
from sluice.source_schema.leaf import Leaf, kind
from sluice.source_schema.place import UNCATEGORISED, Misfit, Place

_NAME = re.compile(r"[^.\[]*")


class NoSuchLeaf(SluiceError):
    """A path leads to nothing that can be shared: the reason, and the nearest path that does."""


class SourceSchema(Mapping[str, Leaf]):
    """The leaves of an Avro record. Iterates over those that need no selector, in the schema's order."""

    def __init__(self, record: Json) -> None:
        self._root = Place("", (record,), UNCATEGORISED, "")
        self._leaves = {leaf.path: leaf for leaf in self._root.leaves()}

    def leaf(self, path: str) -> Leaf:
        """The leaf at a path, with selectors or without. Raises NoSuchLeaf."""
        known = self._leaves.get(path)
        return known if known is not None else self._walk(path)

    def selectable(self) -> list[Leaf]:
        """The leaves that need selectors, each with an example of a path: `identifiers[scheme=…].value`."""
        return [leaf for leaf in self._root.leaves(selecting=True) if leaf.path not in self._leaves]

    def __getitem__(self, path: str) -> Leaf:
        try:
            return self.leaf(path)
        except NoSuchLeaf:
            raise KeyError(path) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._leaves)

    def __len__(self) -> int:
        return len(self._leaves)

    def _walk(self, path: str) -> Leaf:
        place = self._root
        for step in _steps(path):
            below = place.below(step)
            if isinstance(below, Misfit):
                raise NoSuchLeaf(below.reason or self._unknown(path, place))
            place = below
        if place.leaf is None:
            raise NoSuchLeaf(place.hint)
        return place.leaf

    def _unknown(self, path: str, place: Place) -> str:
        """The nearest path: one of the schema's, or the same with the unknown name put right."""
        written = path[len(place.path) :].removeprefix(".")
        rest = written[len(_name(written)) :]
        siblings = [below.path + rest for field in place.fields if (below := place.field(field["name"]))]
        right = [sibling for sibling in siblings if sibling in self]
        return f"the source schema has no field `{path}` that can be shared{nearest(path, [*self, *right])}"


def leaves(schema: str) -> SourceSchema:
    """The leaves of an Avro record schema (JSON text).

    Records inside themselves or inside unions with several branches have no path: nothing in them can be shared. Raises
    SluiceError when the schema is no record.
    """
    return SourceSchema(_record(schema))


def record_name(schema: str) -> str:
    """The full name of an Avro record schema (JSON text). Raises SluiceError when it is none."""
    return str(_record(schema)["name"])


def _record(schema: str) -> Json:
    try:
        record = expanded(schema)
    except NotAvro as error:
        raise SluiceError(f"The source schema is not an Avro record: {error}.") from None
    if kind(record) != "record":
        raise SluiceError(
            "The source schema is not an Avro record; register a record under the source topic's subject."
        )
    return record


def _steps(path: str) -> tuple[field_path.Step, ...]:
    try:
        return field_path.parse(path).steps
    except NotAPath as error:
        raise NoSuchLeaf(str(error)) from None


def _name(written: str) -> str:
    match = _NAME.match(written)
    return match[0] if match else ""
