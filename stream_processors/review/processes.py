"""Shards judged side by side. Ctrl-C ends all processes at once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from sluice.errors import SluiceError
from sluice.interrupts import interrupts_held
from stream_processors.review.judging import Judge, ShardResult, Task

_judges: list[Judge] = []
"""This process's own, once it has begun."""


def judged(task: Task, shards: int, workers: int) -> Iterator[ShardResult]:
    """The results, as they come. Raises SluiceError when contracts do not load or a process dies."""
    if shards == 1 or workers == 1:
        yield from map(Judge(task).judge, range(shards))
        return
    # spawned, not forked: the progress bar's thread must not be copied in the middle of its work
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, shards), context, _begin, (task,)) as pool, ended_by_interrupt():
        try:
            with interrupts_held():
                asked = [pool.submit(_judge, shard) for shard in range(shards)]
            for done in as_completed(asked):
                yield done.result()
        except BrokenProcessPool:
            raise SluiceError(
                "A process of the simulation was ended from outside, perhaps for want of memory; try fewer --workers."
            ) from None


@contextmanager
def ended_by_interrupt() -> Iterator[None]:
    """For use inside the pool's own `with`, which waits until the pool has noticed.

    Left to the interpreter's end, the pool's thread would close its pipe while another thread writes to it.
    """
    try:
        yield
    except BaseException:
        for process in multiprocessing.active_children():
            process.terminate()
        raise


def _begin(task: Task) -> None:
    _judges.append(Judge(task))


def _judge(shard: int) -> ShardResult:
    return _judges[0].judge(shard)
