"""Files that their owner alone may read, and that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def create(path: Path, text: str) -> bool:
    """Whether the file was made: if there is one, it stays. Of two that make it at once, one does."""
    with _beside(path, text) as scratch:
        try:
            os.link(scratch, path)
        except FileExistsError:
            return False
        return True


def replace(path: Path, text: str) -> None:
    with _beside(path, text) as scratch:
        scratch.replace(path)


@contextmanager
def _beside(path: Path, text: str) -> Iterator[Path]:
    """The text in a file of another name in the same folder, for as long as it takes to give it its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    scratch = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield scratch
    finally:
        scratch.unlink(missing_ok=True)
