"""One process at a time: a lock file that the system lets go of when its holder dies, however it dies."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def held(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock at ``path``; ``waiting`` is called once if another process has it, and then it is waited for."""
    file = _locked(path, waiting)
    try:
        yield
    finally:
        file.close()


def _locked(path: Path, waiting: Callable[[], None]) -> IO[bytes]:
    while True:
        file = path.open("ab")
        try:
            _take(file, waiting)
            if _is_at(path, file):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # its holder deleted the folder meanwhile: this lock guards nothing any more


def _take(file: IO[bytes], waiting: Callable[[], None]) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting()
        fcntl.flock(file, fcntl.LOCK_EX)


def _is_at(path: Path, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
