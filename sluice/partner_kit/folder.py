"""Writing a kit into a folder, so that nobody's own work in it is lost."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sluice.errors import SluiceError

WRITTEN = ".written.json"
"""Digests of what was written last: what differs from them was changed by somebody."""


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    mode: int = 0o644


def write(folder: Path, files: Mapping[str, File], *, force: bool) -> list[str]:
    """The names that were written: new or out of date. All or, when somebody changed a file, none: SluiceError.

    1. Every file is looked at before the first is written.
    2. The digests go last: a run that was interrupted is taken for somebody's change, and never the other way round.
    """
    before = _written(folder / WRITTEN)
    found = {name: path.read_bytes() for name in files if (path := folder / name).exists()}  # 1
    stale = [name for name, file in files.items() if found.get(name) != file.content]
    changed = [name for name in stale if name in found and _digest(found[name]) != before.get(name)]
    if changed and not force:
        names = ", ".join(changed)
        raise SluiceError(f"Somebody changed {names} in {folder}: name another with --out, or overwrite with --force.")
    folder.mkdir(parents=True, exist_ok=True)
    for name in stale:
        _replace(folder / name, files[name])
    digests = {name: _digest(file.content) for name, file in files.items()}
    _replace(folder / WRITTEN, File(json.dumps(digests, indent=1).encode()))  # 2
    return stale


def _replace(path: Path, file: File) -> None:
    """Never readable by more than `mode` allows, not even while it is written."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file.mode)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(file.content)
    beside.replace(path)


def _written(path: Path) -> Mapping[str, str]:
    try:
        return dict(json.loads(path.read_bytes()))
    except (FileNotFoundError, ValueError):
        return {}


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()
