"""Where a path has come to in the source schema, and where one more step leads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sluice.avro import Json
from sluice.document import nearest
from sluice.field_path import Entry, Item, Name, Step
from sluice.source_schema.leaf import CONTAINERS, Leaf, branches, is_flat, kind

UNCATEGORISED = "user"
"""A field without a data category is taken for any personal data: only a grant for everything reaches it."""

ANY = "…"
"""Stands for what a selector may name, in paths that are examples."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why there is no way on; without a reason, because there is no such field."""

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """`branches` are the types here but null. `category` is that of the field around, if there is none of its own."""

    path: str
    branches: tuple[Json, ...]
    category: str
    doc: str

    @property
    def kind(self) -> str:
        """The type here, or nothing when there are several."""
        return kind(self.branches[0]) if len(self.branches) == 1 else ""

    @property
    def fields(self) -> list[Json]:
        return list(self.branches[0]["fields"]) if self.kind == "record" else []

    @property
    def inside(self) -> Place | None:
        """What an item of this array or an entry of this map is."""
        if self.kind not in CONTAINERS:
            return None
        return Place(self.path, branches(self.branches[0][CONTAINERS[self.kind]]), self.category, self.doc)

    @property
    def leaf(self) -> Leaf | None:
        if not self.path or not all(is_flat(branch) for branch in self.branches):
            return None
        return Leaf(self.path, self.branches, self.category, self.doc)

    def field(self, name: str) -> Place | None:
        field = next((field for field in self.fields if field["name"] == name), None)
        if field is None:
            return None
        path = f"{self.path}.{name}" if self.path else name
        return Place(path, branches(field["type"]), field.get("data_category", self.category), field.get("doc", ""))

    def below(self, step: Step) -> Place | Misfit:
        """One step on."""
        match step:
            case Name(name):
                return self.field(name) or Misfit(self.hint if self.inside else None)
            case Item():
                return self._item(step)
            case Entry(key):
                return self._entry(key)

    @property
    def hint(self) -> str:
        """What to write instead of this place, where a leaf should be."""
        examples = (leaf.path for leaf in self.leaves(selecting=True) if leaf.path != self.path)
        example = next(examples, None)
        if example is None:
            return f"`{self.path}` holds nothing that can be shared by itself"
        if self.kind == "record":
            return f"`{self.path}` has fields of its own; list the ones to share, such as `{example}`"
        if self.kind == "map":
            return f"`{self.path}` is a map; pick an entry by its key, such as `{example}`"
        return f"`{self.path}` is an array of records; pick an item by one of its fields, such as `{example}`"

    def leaves(self, *, selecting: bool = False) -> Iterator[Leaf]:
        """This leaf and those below; with `selecting`, also those in arrays and maps, by the first field to pick by."""
        if self.leaf is not None:
            yield self.leaf
        for field in self.fields:
            below = self.field(field["name"])
            yield from below.leaves(selecting=selecting) if below else ()
        picked = self._picked() if selecting else None
        if picked is not None:
            yield from picked.leaves(selecting=True)

    def _picked(self) -> Place | None:
        """An example of an item or an entry."""
        if self.inside is None:
            return None
        if self.kind == "map":
            return self._at(ANY)
        key = next((field["name"] for field in self.inside.fields if self._can_pick(field["name"])), None)
        return None if key is None else self._at(f"{key}={ANY}")

    def _can_pick(self, name: str) -> bool:
        key = self.inside.field(name) if self.inside else None
        return key is not None and key.leaf is not None and key.kind not in CONTAINERS

    def _item(self, step: Item) -> Place | Misfit:
        if self.kind == "map":
            return Misfit(self.hint)
        if self.kind != "array" or self.inside is None:
            return Misfit(f"`{self.path}` is no array, so no item of it can be picked")
        if not self.inside.fields:
            plain = f"`{self.path}` is an array of plain values; list it as a whole"
            return Misfit(plain if self.leaf else self.hint)
        key = self.inside.field(step.key)
        if key is None or key.leaf is None:
            names = [field["name"] for field in self.inside.fields]
            return Misfit(
                f"items of `{self.path}` have no field `{step.key}` to be picked by{nearest(step.key, names)}"
            )
        if not any(key.leaf.can_be(value) for value in step.accepted):
            near = nearest(step.flat, key.leaf.symbols)
            return Misfit(f"`{step.key}` of an item of `{self.path}` can never be `{step.flat}`{near}")
        return self._at(f"{step.key}={step.flat}")

    def _entry(self, key: str) -> Place | Misfit:
        if self.kind == "map":
            return self._at(key)
        if self.kind == "array" and self.inside is not None and self.inside.fields:
            return Misfit(self.hint)
        return Misfit(f"`{self.path}` is no map, so no entry of it can be picked")

    def _at(self, selector: str) -> Place:
        assert self.inside is not None
        return Place(f"{self.path}[{selector}]", self.inside.branches, self.category, self.doc)
