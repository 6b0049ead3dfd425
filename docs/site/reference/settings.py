"""Every setting: name and default from the model, meaning from the table in docs/operating.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from docs.site.links import moved
from docs.site.markdown import code, page, prose, table
from sluice.settings import DEFAULT, ENVIRONMENT, Settings

_TABLE = "docs/operating.md"
_ROW = re.compile(r"^\| `([a-z_.]+)` \|(?:[^|]*)\| (.*) \|$", re.MULTILINE)
_BOUNDS = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    default: str
    """As it is written in YAML; empty where there is none."""
    bounds: str
    required: bool


def settings(root: Path, place: str) -> str:
    """The page, to stand at `place`. `root`: the repository."""
    text = (root / _TABLE).read_text(encoding="utf-8")
    meant = {name: moved(meaning, _TABLE, place) for name, meaning in _ROW.findall(text)}
    return page(
        "# Settings",
        prose(
            f"One YAML file, named by `--settings` or `{ENVIRONMENT}`, else `./{DEFAULT}`. What is required has to be "
            "there; the rest has a default, or may be left out."
        ),
        *(part for title, found in _sections().items() for part in _told(title, found, meant)),
    )


def every_setting() -> list[Setting]:
    return [setting for found in _sections().values() for setting in found]


def _told(title: str, found: list[Setting], meant: Mapping[str, str]) -> Iterator[str]:
    yield f"## {title}"
    yield table(
        ("setting", "default", "bounds", "meaning"),
        [
            (code(one.name), "required" if one.required else code(one.default), one.bounds, meant[one.name])
            for one in found
        ],
    )


def _sections() -> dict[str, list[Setting]]:
    """By the first part of their names; those that have one part alone come first."""
    found: dict[str, list[Setting]] = {}
    for setting in _settings(Settings, "", required=True):
        first, _, rest = setting.name.partition(".")
        found.setdefault(code(first) if rest else "The installation", []).append(setting)
    return found


def _settings(
    model: type[BaseModel], above: str, *, required: bool, given: BaseModel | None = None
) -> Iterator[Setting]:
    """`given`: what the part is where nobody writes it, which may differ from its own model's defaults."""
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True) if given is None else getattr(given, name)
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            part = default if isinstance(default, inner) else None
            yield from _settings(inner, f"{above}{name}.", required=required and field.is_required(), given=part)
        else:
            yield Setting(above + name, _written(field, default), _bounds(field), required and field.is_required())


def _written(field: FieldInfo, default: object) -> str:
    if field.is_required() or default is None:
        return ""
    return default if isinstance(default, str) else json.dumps(default)


def _bounds(field: FieldInfo) -> str:
    told = [
        f"{word} {getattr(bound, name)}"
        for name, word in _BOUNDS.items()
        for bound in field.metadata
        if hasattr(bound, name)
    ]
    return " ".join(told)
