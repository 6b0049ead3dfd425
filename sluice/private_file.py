"""Files that hold secrets: there whole or not at all, and refused where others could read or change them."""

from __future__ import annotations

import os
import shlex
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sluice.errors import SluiceError

_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OF_ITS_GROUP = stat.S_IRGRP
_ROOT = 0


def read_private(path: Path) -> bytes:
    """The content of a file that `refuse_exposed` passes. Raises SluiceError, and OSError when it cannot be read."""
    content = path.read_bytes()
    refuse_exposed(path)
    return content


def refuse_exposed(path: Path) -> None:
    """Raises SluiceError for a file that anybody but its owner can read or write, unless it was mounted or given so.

    1. Nobody but the owner: fine.
    2. On a file system that is mounted read-only: its mode is that of who mounted it, and `chmod` would change nothing.
       So come the secrets of Kubernetes, which are 0644 by default, and of Docker and systemd.
    3. Root's, and its group may read it: root gave it to that group (libpq takes keys by the same rule).
    """
    found = path.stat()
    others = stat.S_IMODE(found.st_mode) & _OF_OTHERS
    if not others or (found.st_uid == _ROOT and others == _OF_ITS_GROUP):
        return
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return
    raise SluiceError(
        f"{path} holds a secret, and others on this machine may read or change it: "
        f"run `chmod 600 {shlex.quote(str(path))}`."
    )


def create(path: Path, text: str) -> bool:
    """Whether the file was made: if there is one, it stays. Of two that make it at once, one does.

    Where there is one its folder need not be writable: secrets are mounted read-only. Raises OSError.
    """
    if path.exists():
        return False
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
