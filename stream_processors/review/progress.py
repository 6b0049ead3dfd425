"""What a person sees while it runs, on standard error and only on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import Progress, TaskID

from sluice.bars import bars


class Stages:
    """Bars, one under the other."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def begin(self, what: str, total: int | None) -> None:
        self._task = self._progress.add_task(what, total=total)

    def reach(self, done: int) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=done)

    def reach_of(self, done: int, total: int) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=done, total=total)


@contextmanager
def stages() -> Iterator[Stages]:
    with bars() as progress:
        yield Stages(progress)
