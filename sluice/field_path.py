"""Field paths: how a contract addresses one value inside a customer's record.

    path     = step *("." step)
    step     = name ["[" selector "]"]
    selector = key "=" value    the first item of an array of records whose field `key` is `value`
             / key              the entry of a map

So `address.city`, `identifiers[scheme=loyalty].value`, `attributes[plan]`. Whether a schema has such a value is
another question: see `sluice/source_schema/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sluice.errors import SluiceError

ABSENT: Final = object()
"""What is found where the writer's schema has no such field. A missing item or entry is None, like null."""

_STEP = re.compile(r"([^.\[\]=]+)(?:\[([^\[\]]+)\])?(?:\.(?=.)|\Z)")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_BOOLEANS: Mapping[str, bool] = {"true": True, "false": False}


class NotAPath(SluiceError):
    """A text that does not follow the grammar."""


@dataclass(frozen=True, slots=True)
class Name:
    """A field of a record."""

    name: str

    @property
    def flat(self) -> str:
        return self.name

    def of(self, value: Any) -> object:  # noqa: ANN401 - decoded Avro
        return value.get(self.name, ABSENT) if isinstance(value, dict) else ABSENT


@dataclass(frozen=True, slots=True)
class Item:
    """An item of an array of records; the first that matches counts."""

    key: str
    accepted: tuple[str | int, ...]
    """The selector's value as text and, if it reads like one, as an integer or a boolean."""

    @property
    def flat(self) -> str:
        return str(self.accepted[0])

    def of(self, value: Any) -> object:  # noqa: ANN401
        if not isinstance(value, list):
            return ABSENT
        for item in value:
            if isinstance(item, dict) and item.get(self.key) in self.accepted:
                return item
        return None


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a map."""

    key: str

    @property
    def flat(self) -> str:
        return self.key

    def of(self, value: Any) -> object:  # noqa: ANN401
        return value.get(self.key) if isinstance(value, dict) else ABSENT


Step = Name | Item | Entry


@dataclass(frozen=True, slots=True)
class FieldPath:
    text: str
    steps: tuple[Step, ...]

    @property
    def flat(self) -> str:
        """The name under which the value stands in partner records, which are rows: `address_city`."""
        return "_".join(step.flat for step in self.steps)

    def find(self, record: Mapping[str, Any]) -> object:
        """The value in a decoded record; None if it or something on the way is null; or ABSENT."""
        value: object = record
        for step in self.steps:
            if value is None:
                return None
            value = step.of(value)
        return value


@cache
def parse(text: str) -> FieldPath:
    """Parsed once: the paths are those that contracts and programs name, not data. Raises NotAPath."""
    steps: list[Step] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            break
        steps.append(Name(match[1]))
        if match[2] is not None:
            steps.append(_selector(match[2]))
        position = match.end()
    if not steps or position < len(text):
        raise NotAPath(
            f"`{text}` is no path; write `address.city`, `identifiers[scheme=loyalty].value` or `attributes[plan]`"
        )
    return FieldPath(text, tuple(steps))


def _selector(text: str) -> Item | Entry:
    key, equals, value = text.partition("=")
    if not equals:
        return Entry(text)
    also: tuple[str | int, ...] = ()
    if value in _BOOLEANS:
        also = (_BOOLEANS[value],)
    elif _INTEGER.fullmatch(value):
        also = (int(value),)
    return Item(key, (value, *also))
