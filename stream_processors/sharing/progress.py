"""What is told of long work: stores that are brought up to date, customers who are reconciled."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from stream_processors.sharing.clock import Clock
from stream_processors.sharing.metrics import Metrics
from stream_processors.sharing.partition import Partition

_EVERY_MS = 5_000
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Stretch:
    """Some work on one partition: when it began, and how much there was."""

    since_ms: float
    total: int
    told_at_ms: float


class Progress:
    """In the metrics always, in the log every five seconds and at the end."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._folding: dict[int, _Stretch] = {}
        self._reconciling: dict[int, _Stretch] = {}

    def folding(self, number: int, left: int) -> None:
        """So many records are still to be folded into a partition's store."""
        self._metrics.to_fold.labels(number).set(left)
        self._tell("folding", "records", self._folding, number, left)

    def reconciling(self, partition: Partition) -> None:
        """A partition goes through its customers, or is through."""
        left = max(partition.to_reconcile, 1) if partition.meta.catching_up else 0
        self._metrics.to_reconcile.labels(partition.number).set(left)
        self._tell("reconciling", "customers", self._reconciling, partition.number, left)

    def forget(self, number: int) -> None:
        """The partition is somebody else's now."""
        self._folding.pop(number, None)
        self._reconciling.pop(number, None)

    def _tell(self, event: str, unit: str, stretches: dict[int, _Stretch], number: int, left: int) -> None:
        now = self._clock.monotonic_ms()
        if left == 0:
            done = stretches.pop(number, None)
            if done is not None:
                seconds = round((now - done.since_ms) / 1000, 1)
                _log.info(f"{event}_ended", partition=number, **{unit: done.total}, seconds=seconds)
            return
        stretch = stretches.setdefault(number, _Stretch(now, left, now))
        stretch.total = max(stretch.total, left)
        if now - stretch.told_at_ms >= _EVERY_MS:
            stretch.told_at_ms = now
            _log.info(event, partition=number, left=left, of=stretch.total)
