"""YAML documents that people write: refused with file, line, column and the nearest valid word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TypeAlias, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from sluice.errors import SluiceError

Value: TypeAlias = "dict[str, Value] | list[Value] | str | int | float | bool | date | datetime | None"
"""What YAML can say."""

Loc = tuple[str | int, ...]
"""The keys and indexes on the way to a part of a document."""

Place = tuple[int, int]
"""Line and column, both from 1."""


class DocumentError(SluiceError):
    """What is wrong with a document, a line each: `file:line:column: problem`."""


class Strict(BaseModel):
    """A part of a document: unknown keys are refused, values are not coerced, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


T = TypeVar("T", bound=Strict)

DEEPEST = 100
"""How many levels a document may have; what people write has ten."""
MOST_VALUES = 100_000
"""How many values, those of aliases each time; what people write has some hundreds."""

# PyYAML's wheels bring libyaml. Built without it, it is slower, and refuses tabs that libyaml takes between words.
_LOADER: type[yaml.CSafeLoader | yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Source:
    """Where each key and value of a document stands, to be named when one is wrong."""

    path: Path
    places: Mapping[Loc, Place]

    def problem(self, loc: Loc, text: str) -> str:
        """`file:line:column: text`, at the deepest place on the way to `loc` that the document has."""
        known = next((loc[:n] for n in range(len(loc), -1, -1) if loc[:n] in self.places), ())
        line, column = self.places.get(known, (1, 1))
        return f"{self.path}:{line}:{column}: {text}"


def nearest(word: str, valid: Iterable[str]) -> str:
    """`; did you mean x?` for the closest valid word, or nothing."""
    close = difflib.get_close_matches(word, list(valid), n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else ""


def load(path: Path, model: type[T]) -> tuple[T, Source]:
    """The document as `model`, and where its parts stand. Raises DocumentError with every problem found."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DocumentError(f"{path}: there is no such file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"{path}: cannot be read: {error}.") from error
    places: dict[Loc, Place] = {}
    node = _composed(text, path)
    data = {} if node is None else _Plain(path, places).value(node, ())
    source = Source(path, places)
    if not isinstance(data, dict):
        raise DocumentError(f"{path}:1:1: this document has to be a mapping of keys to values.")
    try:
        return model.model_validate(data, context={"folder": path.parent}), source
    except ValidationError as error:
        problems = [source.problem(tuple(detail["loc"]), _sentence(detail, model)) for detail in error.errors()]
        raise DocumentError("\n".join(dict.fromkeys(problems))) from None


def _composed(text: str, path: Path) -> yaml.Node | None:
    """By libyaml, which is the faster by far; what it refuses is told as PyYAML's own parser does, which says more."""
    try:
        _refuse_depth(text, path)
        return yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        said = error
        with suppress(RecursionError):
            try:
                yaml.compose(text, Loader=yaml.SafeLoader)
            except yaml.YAMLError as own:
                said = own
    raise _not_yaml(said, path)


def _not_yaml(error: yaml.YAMLError, path: Path) -> DocumentError:
    if isinstance(error, yaml.reader.ReaderError):
        return DocumentError(f"{path}:1:1: this is not YAML: {error.reason} (at character {error.position}).")
    marked = error if isinstance(error, yaml.MarkedYAMLError) else None
    mark = marked and marked.problem_mark
    where = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
    return DocumentError(f"{path}:{where}: this is not YAML: {marked.problem if marked else error}.")


def _refuse_depth(text: str, path: Path) -> None:
    """The composer of libyaml calls itself for each level, until the process dies of it."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise DocumentError(f"{path}:{line}:1: this is nested more than {DEEPEST} levels deep.")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


@dataclass(slots=True)
class _Plain:
    """Nodes as plain data. An alias stands for all that it names, so few lines can be many values."""

    path: Path
    places: dict[Loc, Place]
    """Filled. A key's own place counts, for that is what people look for."""
    values: int = 0

    def value(self, node: yaml.Node, loc: Loc) -> Value:
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        self.values += 1
        if self.values > MOST_VALUES:
            raise DocumentError(f"{self.path}:{line}:{column}: this says more than {MOST_VALUES:,} values.")
        if len(loc) > DEEPEST:
            raise DocumentError(f"{self.path}:{line}:{column}: this is nested more than {DEEPEST} levels deep.")
        self.places.setdefault(loc, (line, column))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*loc, index)) for index, item in enumerate(node.value)]
        try:
            return _scalar(node)
        except ValueError:
            raise DocumentError(f"{self.path}:{line}:{column}: {_unreadable(node)}") from None
        except yaml.YAMLError as error:
            raise _not_yaml(error, self.path) from None

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Value]:
        mapping: dict[str, Value] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            place = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if key in mapping:
                raise DocumentError(f"{self.path}:{place[0]}:{place[1]}: `{key}` stands here twice; remove one.")
            self.places[(*loc, key)] = place
            mapping[key] = self.value(value_node, (*loc, key))
        return mapping


def _unreadable(node: yaml.Node) -> str:
    if node.tag.endswith(":timestamp"):
        return f"there is no such day or time as `{node.value}`"
    return f"`{node.value}` is not what it looks like; quote it?"


def _scalar(node: yaml.Node) -> str | int | float | bool | date | datetime | None:
    constructor = yaml.SafeLoader("")
    value: str | float | bool | date | datetime | None = constructor.construct_object(node)
    return value


def _sentence(detail: ErrorDetails, model: type[BaseModel]) -> str:
    last = str(detail["loc"][-1]) if detail["loc"] else ""
    match detail["type"]:
        case "extra_forbidden":
            return f"there is no key `{last}` here{nearest(last, _keys_at(model, detail['loc'][:-1]))}"
        case "missing":
            return f"the key `{last}` is missing"
        case "value_error":
            return str(detail["ctx"]["error"])
        case "enum" | "literal_error":
            value = str(detail["input"])
            valid = detail["ctx"]["expected"]
            words = valid.replace("'", "").replace(" or ", ", ").split(", ")
            return f"`{value}` is not one of {valid}{nearest(value, words)}"
        case _:
            return f"`{last}`: {detail['msg'][0].lower()}{detail['msg'][1:]}, not {detail['input']!r}"


def _keys_at(model: type[BaseModel], loc: Loc) -> list[str]:
    models = [model]
    for key in loc:
        found = [f for m in models for name, f in m.model_fields.items() if key in (name, f.alias)]
        models = [inner for field in found for inner in _models(field.annotation)] or models
    return [field.alias or name for m in models for name, field in m.model_fields.items()]


def _models(annotation: object) -> list[type[BaseModel]]:
    """The models in an annotation, however deep in unions, lists and mappings."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
