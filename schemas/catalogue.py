"""Finds our own Avro schemas by name and version.

A schema is a folder, a version a file in it: `consent_event/v1.avsc`. The highest number is current.
Hands out JSON text and knows no Avro library: each reader parses with its own.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

Compatibility = Literal["BACKWARD_TRANSITIVE", "FORWARD_TRANSITIVE", "FULL_TRANSITIVE"]
"""The registry's own words: new readers read old data, old readers read new data, both; against every version."""

_COMPATIBILITY: Final[dict[str, Compatibility]] = {
    # The reasons stand in README.md.
    "accepted_return": "FULL_TRANSITIVE",
    "consent_event": "BACKWARD_TRANSITIVE",
    "control": "FORWARD_TRANSITIVE",
    "customer_profile": "FULL_TRANSITIVE",
    "disclosure": "FULL_TRANSITIVE",
    "enrichment": "FULL_TRANSITIVE",
    "partner_return": "BACKWARD_TRANSITIVE",
    "provider_reply": "BACKWARD_TRANSITIVE",
    "provider_request": "FULL_TRANSITIVE",
    "rejected": "BACKWARD_TRANSITIVE",
}

_VERSION_FILE: Final = re.compile(r"v([1-9][0-9]*)\.avsc")


class UnknownSchemaError(LookupError):
    """No such schema, or no such version of it; the message names those that exist."""


def names() -> list[str]:
    """The schemas that exist, sorted."""
    return sorted(entry.name for entry in files("schemas").iterdir() if _version_numbers(entry))


def versions(name: str) -> list[int]:
    """The schema's versions, oldest first; never empty."""
    return _version_numbers(_folder(name))


def text(name: str, version: int | None = None) -> str:
    """The schema's JSON text; the newest version unless one is asked for."""
    folder = _folder(name)
    known = _version_numbers(folder)
    wanted = known[-1] if version is None else version
    if wanted not in known:
        raise UnknownSchemaError(f"schema {name} has no version {wanted}, only {known}")
    return folder.joinpath(f"v{wanted}.avsc").read_text(encoding="utf-8")


def compatibility(name: str) -> Compatibility:
    """The level that the registry must hold this schema's subject to."""
    _folder(name)
    return _COMPATIBILITY[name]


def _folder(name: str) -> Traversable:
    # The name is looked up among the folders, never joined to a path: it may come from a command line.
    known = names()
    if name not in known:
        raise UnknownSchemaError(f"no schema is called {name!r}; there are {', '.join(known)}")
    return files("schemas").joinpath(name)


def _version_numbers(folder: Traversable) -> list[int]:
    if not folder.is_dir():
        return []
    found = (_VERSION_FILE.fullmatch(entry.name) for entry in folder.iterdir())
    return sorted(int(match[1]) for match in found if match)
