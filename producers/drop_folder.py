"""A folder into which files are dropped: what is complete, and where a file goes when it was published.

One watcher at a time has the folder. Whatever stands in it and is complete is still to be published; what was moved to
`done/` or `refused/` is not. So a watcher that is killed begins its file again, and no file is ever passed over.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from sluice.errors import SluiceError
from sluice.local import lock

DONE: Final = "done"
REFUSED: Final = "refused"

_LOCK = ".sluice-watch.lock"
_PROBE = ".sluice-watch.probe"
_UNFINISHED = (".part", ".tmp")


@dataclass(frozen=True, slots=True)
class Drop:
    """A file in the folder, as it stood when it was seen."""

    path: Path
    size: int
    changed_ns: int
    inode: int

    @property
    def name(self) -> str:
        """As it can be printed."""
        return os.fsencode(self.path.name).decode(errors="replace")


class Settling:
    """Since when each file has not changed."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[Drop, float] = {}

    def complete(self, drops: Sequence[Drop], now: float) -> list[Drop]:
        """Those that stand unchanged for long enough, oldest first. `now`: seconds of a clock that never goes back."""
        self._since = {drop: self._since.get(drop, now) for drop in drops}
        settled = [drop for drop, since in self._since.items() if now - since >= self._seconds]
        return sorted(settled, key=lambda drop: (drop.changed_ns, drop.path.name))


@contextmanager
def taken(folder: Path) -> Iterator[None]:
    """The folder is this process's, with places for what was published. Raises SluiceError."""
    with ExitStack() as stack:
        try:
            if not folder.is_dir():
                raise SluiceError(f"{folder} is no folder: --watch takes one into which files are dropped.")
            for name in (DONE, REFUSED):
                (folder / name).mkdir(exist_ok=True)
                (folder / name / _PROBE).touch()
                (folder / name / _PROBE).unlink()
            stack.enter_context(lock.held(folder / _LOCK, lambda: _refuse(folder)))
        except OSError as error:
            raise SluiceError(f"Files cannot be moved about in {folder}: {error.strerror}.") from None
        yield


def _refuse(folder: Path) -> None:
    raise SluiceError(f"Another process watches {folder} already; end it first.")


def scan(folder: Path) -> list[Drop]:
    """The files whose writers call them finished: no hidden ones, no `.part` and `.tmp`, no links, no folders."""
    found = []
    for path in folder.iterdir():
        if path.name.startswith(".") or path.suffix.lower() in _UNFINISHED:
            continue
        drop = seen(path)
        if drop is not None:
            found.append(drop)
    return found


def seen(path: Path) -> Drop | None:
    """The file as it stands now, if it does."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return Drop(path, found.st_size, found.st_mtime_ns, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def file_away(drop: Drop, where: str, report: Mapping[str, object]) -> Path:
    """Move the file to `done` or `refused`, beside a report, under a name that is free there. Raises OSError.

    1. The report, whole or not at all. 2. The file. Killed in between, the file is published again, and has a report of
    its own.
    """
    target = _free(drop.path.parent / where, drop.path)
    _write(_report_of(target), json.dumps(report, ensure_ascii=False, indent=2) + "\n")
    drop.path.rename(target)
    return target


def _free(folder: Path, path: Path) -> Path:
    """The file's own name, or `name.2.csv` and so on: the same name may be dropped again."""
    names = (path.name if number == 1 else f"{path.stem}.{number}{path.suffix}" for number in count(1))
    return next(
        folder / name
        for name in names
        if not os.path.lexists(folder / name) and not os.path.lexists(_report_of(folder / name))
    )


def _report_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.report.json")


def _write(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.tmp")
    # half of a surrogate pair, from a name that is no text, is written as JSON writes it
    with unfinished.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
