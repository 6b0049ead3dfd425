"""Partitions proved side by side, and what only shows when all of them are done."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from msgspec.structs import replace

from sluice.errors import SluiceError
from sluice.interrupts import interrupts_held
from stream_processors.review.findings import Difference, Fault
from stream_processors.review.processes import ended_by_interrupt
from stream_processors.review.progress import Stages
from stream_processors.review.proving import Proof, Prover, Task, file_of

Told = tuple[int, int, int]
"""Partition, how much is done of its present work, and how much that is."""

_PATIENCE_SECONDS = 0.2
_provers: list[Prover] = []
_telling: list[SimpleQueue[Told]] = []
"""This process's own, once it has begun."""


def proved(task: Task, workers: int, bars: Stages) -> list[Proof]:
    """Every partition, in order. Raises SluiceError."""
    partitions = task.settings.partitions
    proofs = _here(task, bars) if min(workers, partitions) == 1 else _side_by_side(task, workers, bars)
    ordered = sorted(proofs, key=lambda proof: proof.partition)
    recognise_strangers(ordered, task.folder, range(partitions))
    return ordered


def recognise_strangers(proofs: Iterable[Proof], folder: Path, partitions: Collection[int]) -> None:
    """Of the listed records that belong to nobody in their partition: those that belong to somebody in another."""
    for proof in proofs:
        for at, difference in enumerate(proof.figures.differences):
            if difference.faults != (Fault.NOT_DISCLOSED,) or difference.customer is not None:
                continue
            others = (file_of(folder, number) for number in partitions if number != proof.partition)
            customer = next((found for file in others if (found := _named(file, difference)) is not None), None)
            if customer is not None:
                misplaced = replace(difference, customer=customer, faults=(Fault.WRONG_PARTITION,))
                proof.figures.differences[at] = misplaced
                proof.figures.instead(difference, misplaced)


def _here(task: Task, bars: Stages) -> Iterator[Proof]:
    with closing(Prover(task)) as prover:
        for number in range(task.settings.partitions):
            bars.begin(f"partition {number}", None)
            yield prover.prove(number, bars.reach_of)


def _side_by_side(task: Task, workers: int, bars: Stages) -> Iterator[Proof]:
    partitions = task.settings.partitions
    context = multiprocessing.get_context("spawn")  # not forked: neither clients nor the bars' thread may be copied
    queue: SimpleQueue[Told] = context.SimpleQueue()
    bars.begin("proving", None)
    with (
        ProcessPoolExecutor(min(workers, partitions), context, _begin, (task, queue)) as pool,
        ended_by_interrupt(),
    ):
        try:
            with interrupts_held():
                left = {pool.submit(_prove, number) for number in range(partitions)}
            told: dict[int, tuple[int, int]] = {}
            while left:
                done, left = wait(left, _PATIENCE_SECONDS, FIRST_COMPLETED)
                yield from (one.result() for one in done)
                _tell(queue, told, bars)
        except BrokenProcessPool:
            raise SluiceError(
                "A process of the proof was ended from outside, perhaps for want of memory; try fewer --workers."
            ) from None


def _tell(queue: SimpleQueue[Told], told: dict[int, tuple[int, int]], bars: Stages) -> None:
    while not queue.empty():
        number, done, total = queue.get()
        told[number] = done, total
    bars.reach_of(sum(done for done, _ in told.values()), sum(total for _, total in told.values()))


def _begin(task: Task, queue: SimpleQueue[Told]) -> None:
    _provers.append(Prover(task))
    _telling.append(queue)


def _prove(number: int) -> Proof:
    return _provers[0].prove(number, lambda done, total: _telling[0].put((number, done, total)))


def _named(file: Path, difference: Difference) -> str | None:
    with closing(sqlite3.connect(file)) as database:
        found = database.execute(
            "SELECT customer FROM named WHERE partner = ? AND pseudonym = ?", (difference.partner, difference.pseudonym)
        ).fetchone()
    return None if found is None else str(found[0])
