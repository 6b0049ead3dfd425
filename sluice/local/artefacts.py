"""The artefacts of Maven Central that a local copy runs on, pinned in ``artefacts.lock`` beside this module.

One line each: ``sha256  group:artifact:version[:classifier]:packaging``; ``#`` begins a comment. The lock names every
jar of the broker's class path, so a start resolves nothing. ``python -m sluice.local.pin`` writes it anew.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from sluice.local.errors import LocalError

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Coordinate:
    """Where Maven Central keeps a file. ``classifier`` is empty for most."""

    group: str
    name: str
    version: str
    classifier: str
    packaging: str

    def __str__(self) -> str:
        parts = (self.group, self.name, self.version, self.classifier, self.packaging)
        return ":".join(part for part in parts if part)

    @property
    def filename(self) -> str:
        stem = "-".join(part for part in (self.name, self.version, self.classifier) if part)
        return f"{stem}.{self.packaging}"


@dataclass(frozen=True, slots=True)
class Artefact:
    """A coordinate and the only content that is accepted from it."""

    sha256: str
    coordinate: Coordinate


def parse_coordinate(text: str) -> Coordinate:
    """Raises ``LocalError`` for anything but four or five plain parts: they become names of files."""
    parts = text.split(":")
    if len(parts) not in {4, 5} or not all(_PART.fullmatch(part) for part in parts):
        raise LocalError(f"{text!r} is not group:artifact:version[:classifier]:packaging")
    group, name, version, *classifier, packaging = parts
    return Coordinate(group, name, version, classifier[0] if classifier else "", packaging)


def parse_lock(text: str) -> tuple[Artefact, ...]:
    """The artefacts of a lock file, in its order, which is the order of the class path."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return tuple(_parse_line(line) for line in lines)


def _parse_line(line: str) -> Artefact:
    digest, _, coordinate = line.partition("  ")
    if not _SHA256.fullmatch(digest):
        raise LocalError(f"artefacts.lock: the line {line!r} does not begin with a SHA-256 and two spaces")
    return Artefact(digest, parse_coordinate(coordinate))


def pinned() -> tuple[Artefact, ...]:
    return parse_lock(resources.files("sluice.local").joinpath("artefacts.lock").read_text(encoding="ascii"))


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
