"""Which partitions are ours and where they stand: given by the group, brought up in pieces, then served."""

from __future__ import annotations

import structlog

from sluice.log import Log, Positions
from sluice.model import Millis
from sluice.registry import RegistryUnavailable
from stream_processors.sharing import checkpoint
from stream_processors.sharing.arrivals import Arrivals, Standby
from stream_processors.sharing.checkpoint import Checkpoint
from stream_processors.sharing.clock import Clock
from stream_processors.sharing.inputs import Reading
from stream_processors.sharing.metrics import Metrics
from stream_processors.sharing.partition import Partition
from stream_processors.sharing.plan import Plan
from stream_processors.sharing.progress import Progress
from stream_processors.sharing.recovery import Opened, Recovery

_log = structlog.get_logger(__name__)


class Ownership:
    """Partitions that are served, with what was last committed of each, under the contract set in force."""

    def __init__(self, log: Log, plan: Plan, reading: Reading, metrics: Metrics, clock: Clock) -> None:
        self._log = log
        self._plan = plan
        self._reading = reading
        self._metrics = metrics
        self._clock = clock
        self.view = plan.sets.newest()
        metrics.decides_by(self.view.contract_set)
        metrics.partitions.set(self.view.partitions)
        self.partitions: dict[int, Partition] = {}
        self.positions: dict[int, Positions] = {}
        self.checkpoints: dict[int, Checkpoint] = {}
        self.progress = Progress(metrics, clock)
        self.arrivals = Arrivals(clock)
        self._standby = Standby(clock, self.view.partitions)

    def change(self, numbers: frozenset[int]) -> None:
        """Forget what we had; begin to bring what we got to where its offsets are. Raises OffsetsUnstable."""
        self.close()
        checkpoint.check(self._plan.identity, self._plan.identity_now(self.view))
        self._plan.sets.refresh()  # whoever had the partitions before may have known a newer one
        self.follow_contracts()
        committed = self._log.committed(numbers)
        self._log.take()
        self.arrivals.begin(self._recovery(), committed)
        self._metrics.assignments.inc()
        _log.info("assigned", partitions=sorted(numbers))

    def advance(self, for_ms: float) -> bool:
        """A piece of the way for what is not served yet; what is served goes on meanwhile (LOOP 23).

        Whether more is served from now on: then everything is read anew from where it is committed.
        """
        served = len(self.partitions)
        try:
            for opened in self.arrivals.advance(for_ms, self.progress.folding):
                self._serve(opened)
        except RegistryUnavailable as error:
            if not self.partitions:
                raise
            self._metrics.unavailable.met(error)
        finally:
            if len(self.partitions) > served:
                self._reading.start(self.positions)
        return len(self.partitions) > served

    def follow_contracts(self) -> bool:
        """Everybody is reconciled under the newest contract set, in the background, if it is another one now."""
        newest = self._plan.sets.newest()
        if newest.rules == self.view.rules:
            return False
        _log.info("contract_set_changed", before=self.view.contract_set, now=newest.contract_set)
        self._plan.identity_now(newest)
        self.view = newest
        self._metrics.decides_by(newest.contract_set)
        for partition in self.partitions.values():
            partition.adopt(newest)
        return True

    def copy_others(self, for_ms: float) -> None:
        """A piece of the way for a copy of what others serve."""
        if self._plan.standby:
            self._standby.advance(self._recovery(), {*self.partitions, *self.arrivals.numbers}, for_ms)

    def committed(self, positions: dict[int, Positions], checkpoints: dict[int, Checkpoint]) -> None:
        """That this is committed is certain."""
        self.positions, self.checkpoints = positions, checkpoints
        self._reading.moved(positions)

    def close(self) -> None:
        """Nothing is ours."""
        for number in {*self.partitions, *self.arrivals.numbers}:
            self._metrics.forget(number)
            self.progress.forget(number)
        self.arrivals.close()
        self._standby.close()
        for partition in self.partitions.values():
            partition.store.close()
        self.partitions = {}
        self.committed({}, {})

    def _recovery(self) -> Recovery:
        plan = self._plan
        now = self._clock.read(Millis(0)).now
        return Recovery(self._log, plan.stores, self.view, plan.identity, plan.tombstones_kept_ms, now)

    def _serve(self, opened: Opened) -> None:
        partition, number = opened.partition, opened.partition.number
        if partition.view is not self.view:
            partition.adopt(self.view)  # it changed while the partition was brought up
        self.partitions[number] = partition
        self.positions[number] = opened.positions
        self.checkpoints[number] = opened.previous
        _log.info("serving", partition=number, catching_up=partition.meta.catching_up)
