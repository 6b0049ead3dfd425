"""The whole of it: inputs dealt out to shards, shards judged, lines put back into the inputs' order."""

from __future__ import annotations

import heapq
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, NoReturn

from stream_processors.review.figures import Figures
from stream_processors.review.judging import Task, lines_of
from stream_processors.review.problems import Problems
from stream_processors.review.processes import judged
from stream_processors.review.rulebook import Rulebook
from stream_processors.review.subject import Dealt


@dataclass(frozen=True, slots=True)
class Simulation:
    """What is asked for."""

    rulebook: Rulebook
    against: Rulebook | None
    workers: int
    list_problems: int
    lines: BinaryIO | None
    """Where a line for each customer and partner goes, if they are wanted."""


@dataclass(frozen=True, slots=True)
class Result:
    figures: Figures
    problems: Problems


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for customers' data that nobody else can read and that goes, however the simulation ends.

    SIGTERM would end the process on the spot, with the folder and the other processes left behind: it becomes an exit.
    """
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        with TemporaryDirectory(prefix="sluice-simulate-") as name:
            yield Path(name)
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)


def simulate(asked: Simulation, dealt: Dealt, folder: Path, on_shard: Callable[[int], None]) -> Result:
    """`on_shard` is told how many shards are done. Raises SluiceError."""
    task = Task(dealt.inputs, folder, asked.rulebook, asked.against, asked.lines is not None, asked.list_problems)
    result = Result(Figures(), Problems(asked.list_problems))
    result.problems.add_all(dealt.problems)
    for done, shard in enumerate(judged(task, dealt.shards, asked.workers), 1):
        result.figures.add(shard.figures)
        result.problems.merge(shard.problems)
        on_shard(done)
    if asked.lines is not None:
        _merge(folder, dealt.shards, asked.lines)
    return result


def checked(asked: Simulation) -> None:
    """Raises DocumentError for contracts and laws that do not load, before any customer is read."""
    asked.rulebook.loaded()
    if asked.against is not None:
        asked.against.loaded()


def _merge(folder: Path, shards: int, target: BinaryIO) -> None:
    ordered = heapq.merge(*(lines_of(folder, shard) for shard in range(shards)), key=itemgetter(0))
    target.writelines(lines for _, lines in ordered)
    target.flush()


def cores() -> int:
    return os.cpu_count() or 1
