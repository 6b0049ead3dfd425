"""The sharing loop: one batch after the other, each in one Kafka transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import structlog

from sluice.errors import SluiceError
from sluice.log import Aborted, Ends, Log, LogUnavailable, OffsetsUnstable, Positions, Record, Stalled
from sluice.model import Millis
from sluice.registry import RegistryUnavailable
from sluice.store import Unusable, distrusted
from stream_processors.sharing.batch import Batch, Moment, Situation
from stream_processors.sharing.brake import RETRY_MS
from stream_processors.sharing.checkpoint import Checkpoint
from stream_processors.sharing.clock import Clock
from stream_processors.sharing.inputs import Inputs, Reading
from stream_processors.sharing.metrics import Metrics
from stream_processors.sharing.ownership import Ownership
from stream_processors.sharing.pace import Pace
from stream_processors.sharing.plan import Plan
from stream_processors.sharing.requests import Requested, Requests
from stream_processors.sharing.snapshots import Snapshots
from stream_processors.sharing.vigil import Vigil

_GROUP = "the group to give it partitions"
_RETRY_SECONDS = 1.0
_STORE_IS_FRESH_MS = 60_000
_PAUSE_SECONDS = 0.1
_ATTEMPTS = 3
_log = structlog.get_logger(__name__)


class Processor:
    """Maintains the partner topics of the partitions that the group assigns to it."""

    def __init__(self, log: Log, plan: Plan, metrics: Metrics, clock: Clock) -> None:
        self._log = log
        self._plan = plan
        self._metrics = metrics
        self._clock = clock
        self._reading = Reading(log, clock)
        self._own = Ownership(log, plan, self._reading, metrics, clock)
        self._vigil = Vigil(log, plan, metrics, clock)
        self._requests = Requests(plan.redrives, log)
        self._pace = Pace(plan.batch)
        self._snapshots = Snapshots(plan.stores, plan.snapshot_every_ms)
        self._failed_attempts = 0
        self._stopping = False
        self._was_assigned = False
        self._at_end = False
        self.turns = 0
        """Grows for as long as the loop turns; waiting for a broker that is away is turning too."""
        self.waits_for = _GROUP
        """What has to come before it shares, in words; empty: nothing. For other threads to read."""

    def stop(self) -> None:
        """End after the batch in hand. May be called by a signal handler."""
        self._stopping = True

    def run(self, until: Callable[[bool], bool] | None = None) -> dict[int, list[str]]:
        """Work until `stop`, or until `until` says so, which is told after each step if there is nothing left to do.

        Then with why something was left undone, by partition. Raises SluiceError when somebody has to do something.
        """
        try:
            while not self._stopping and not self._takes_part():
                pass
            while not self._stopping:
                self.step()
                if until is not None and until(self._at_end):
                    return self._held_up()
            return {}
        finally:
            self._own.close()
            self._log.close()

    def step(self) -> None:
        """One batch, or a change; what stops it is waited out, tried again, or raised for somebody to mend."""
        self._at_end = False
        self.turns += 1
        try:
            self._batch_or_again()
        except LogUnavailable as error:
            self._wait(error)
            self._reconnect()
            if isinstance(error, Stalled):
                self._log.rejoin()
        self.waits_for = self._still_to_come()

    def _takes_part(self) -> bool:
        try:
            self._log.claim()
            self._log.join()
        except LogUnavailable as error:
            self._wait(error)
            return False
        return True

    def _batch_or_again(self) -> None:
        """Raises LogUnavailable: whatever is done about something else may need the log, too."""
        try:
            self._batch()
        except Aborted as aborted:
            self._start_over(aborted)
        except OffsetsUnstable:
            self._vigil.end_open_transactions()  # the assignment is still new: next time
        except RegistryUnavailable as error:
            self._wait(error)
            self._reading.rewind()

    def _batch(self) -> None:
        """LOOP 7, in its order; or the change to another assignment, or to another contract set."""
        updates = self._reading.fetch(self._pace.batch)  # (a)
        if self._log.new_assignment is not None:
            self._own.change(self._log.new_assignment)
            self._pace.begin_anew()
            self._was_assigned = True
            return
        if self._brings_up_more():
            return
        if self._own.follow_contracts():
            self._pace.begin_anew()
        with self._metrics.barrier.time():
            inputs = self._reading.completed(updates, self._braked(), self._pace.batch)  # (b), (c)
        if inputs is None:
            return
        self._metrics.ends(inputs.ends)
        moment = self._moment()
        self._vigil.look(inputs.ends, self._own.view, moment)
        requested = self._requests.take(self._own.positions, complete=inputs.complete)
        batches = self._decide(inputs, requested, moment)  # (d)
        if self._brakes(batches, moment):
            return
        positions = inputs.positions(self._own.positions)
        checkpoints = self._next_checkpoints(batches)
        if positions == self._own.positions and not self._changes_anything(batches, checkpoints):
            self._idle(batches, inputs, moment)
            return
        with self._metrics.transaction.time():
            committed = self._transact(batches, positions, checkpoints, moment)  # (e) to (h)
        self._settle(batches, positions, committed, moment)  # (i)
        self._measure(batches, inputs)

    def _brings_up_more(self) -> bool:
        """Whether one more partition is served from now on."""
        more = self._own.advance(self._pace.opening_ms(serving=bool(self._own.partitions)))
        if self._own.arrivals.is_stuck:
            self._vigil.end_open_transactions()
        return more

    def _still_to_come(self) -> str:
        if not self._was_assigned or self._log.new_assignment is not None:
            return _GROUP
        numbers = ", ".join(map(str, sorted(self._own.arrivals.numbers)))
        return f"the stores of partitions {numbers}" if numbers else ""

    def _moment(self) -> Moment:
        known = [c.now for c in self._own.checkpoints.values()]
        known += [Millis(partition.meta.as_of) for partition in self._own.partitions.values()]
        return self._clock.read(max(known, default=Millis(0)))

    def _decide(self, inputs: Inputs, requested: Requested, moment: Moment) -> dict[int, Batch]:
        started = self._clock.monotonic_ms()
        updates, consents = _by_partition(inputs.updates), _by_partition([*requested.consents, *inputs.consents])
        named = len(inputs.updates) + len(inputs.consents)
        allowance = self._pace.allowance(len(self._own.partitions), named)
        batches = {}
        for number, partition in self._own.partitions.items():
            reached = self._log.driving_reached(number)
            wanted = requested.customers.get(number, ())
            situation = Situation(inputs.ends[number], reached, inputs.complete, moment, allowance, wanted)
            try:
                if number in updates:
                    partition.check_age(moment.now, self._plan.tombstones_kept_ms)
                batches[number] = partition.step(updates.get(number, ()), consents.get(number, ()), situation)
            except Unusable as error:
                raise distrusted(self._plan.stores, number, partition.store, error) from None
        elapsed_ms = self._clock.monotonic_ms() - started
        self._pace.took(elapsed_ms, sum(b.customers for b in batches.values()), named)
        return batches

    def _next_checkpoints(self, batches: Mapping[int, Batch]) -> dict[int, Checkpoint]:
        return {
            number: msgspec.structs.replace(
                self._own.checkpoints[number],
                contract_set=partition.view.contract_set,
                settled=batches[number].settled,
            )
            for number, partition in self._own.partitions.items()
        }

    def _changes_anything(self, batches: Mapping[int, Batch], checkpoints: Mapping[int, Checkpoint]) -> bool:
        """Whether there is anything to commit; rows alone are what the committed inputs say anyway."""
        return checkpoints != self._own.checkpoints or any(
            batch.outputs or batch.misplaced for batch in batches.values()
        )

    def _transact(
        self,
        batches: Mapping[int, Batch],
        positions: Mapping[int, Positions],
        checkpoints: Mapping[int, Checkpoint],
        moment: Moment,
    ) -> dict[int, Checkpoint]:
        """Everything the batch writes, and both inputs' offsets, or nothing. The offsets move last."""
        self._log.republish(record for batch in batches.values() for record in batch.misplaced)  # LOOP 15
        self._log.begin()
        produce, monotonic_ms, ends_at = self._log.produce, self._clock.monotonic_ms, self._lease_ends_at()
        for number, batch in batches.items():
            for topic, key, value in batch.outputs:
                if monotonic_ms() >= ends_at:
                    raise self._silent_for_too_long()
                produce(topic, number, key, value, moment.now)  # (e)
        delivered = self._log.flush()  # (f)
        written = {
            number: msgspec.structs.replace(one, disclosures=delivered.get(number, one.disclosures), now=moment.now)
            for number, one in checkpoints.items()
        }
        self._log.commit(positions, {number: one.encode() for number, one in written.items()})  # (g), (h)
        return written

    def _lease_ends_at(self) -> float:
        """LOOP 2: who is silent for longer may have lost the partitions, and does not know it yet."""
        return self._reading.fetched_at_ms + self._plan.lease_ms

    def _silent_for_too_long(self) -> Aborted:
        self._pace.shorten()
        return Aborted("The batch took longer than the session lasts", retriable=True)

    def _settle(
        self,
        batches: Mapping[int, Batch],
        positions: dict[int, Positions],
        checkpoints: dict[int, Checkpoint],
        moment: Moment,
    ) -> None:
        """The commit is certain: now the stores may know of it."""
        self._failed_attempts = 0
        self._requests.done()
        self._pace.recover()
        self._reading.hurry()
        self._own.committed(positions, checkpoints)
        for number, partition in self._own.partitions.items():
            partition.apply(batches[number], positions[number], checkpoints[number].disclosures, moment)
        self._snapshots.take_turns(self._own.partitions, moment)

    def _idle(self, batches: Mapping[int, Batch], inputs: Inputs, moment: Moment) -> None:
        """Nothing to commit. What was learned of customers is kept, and that the store is up to date."""
        self._requests.done()
        if any(batch.customers for batch in batches.values()):
            self._reading.hurry()
        else:
            self._reading.rest()
        for number, partition in self._own.partitions.items():
            batch = batches[number]
            stale = (batch.as_of or 0) - partition.meta.as_of > _STORE_IS_FRESH_MS
            if stale or batch.rows or batch.unread or batch.scanned_to is not None or batch.scan_ended:
                disclosures = self._own.checkpoints[number].disclosures
                partition.apply(batch, self._own.positions[number], disclosures, moment)
        self._snapshots.take_turns(self._own.partitions, moment)
        self._gauge(inputs.ends)
        all_done = all(self._is_done(number, batch, inputs) for number, batch in batches.items())
        self._at_end = self._was_assigned and not self._own.arrivals.numbers and all_done
        self._own.copy_others(self._pace.opening_ms(serving=True))

    def _is_done(self, number: int, batch: Batch, inputs: Inputs) -> bool:
        """Whether there is nothing more to be done in a partition, unless somebody does something first."""
        partition = self._own.partitions[number]
        read = self._log.driving_reached(number) >= inputs.ends[number].driving_high
        held = partition.brake.holds(self._clock.monotonic_ms())
        return inputs.complete and (read or held) and (batch.settled or bool(partition.stopped_by()))

    def _held_up(self) -> dict[int, list[str]]:
        """Why something was left undone, by partition."""
        now = self._clock.monotonic_ms()
        found = {
            number: partition.stopped_by() + (["updates_paused"] if partition.brake.holds(now) else [])
            for number, partition in self._own.partitions.items()
        }
        return {number: why for number, why in found.items() if why}

    def _braked(self) -> list[int]:
        now = self._clock.monotonic_ms()
        return [number for number, partition in self._own.partitions.items() if partition.brake.holds(now)]

    def _brakes(self, batches: Mapping[int, Batch], moment: Moment) -> bool:
        """LOOP 24: too many rejects in a partition hold its updates; the batch is read again without them."""
        tripped = [number for number, partition in self._own.partitions.items() if partition.brakes(batches[number])]
        for number, partition in self._own.partitions.items():
            if number in tripped:
                partition.brake.retry_at_ms = moment.monotonic_ms + RETRY_MS
                rejects = [record for record, _ in batches[number].rejects]
                causes = sorted({cause.value for _, cause in batches[number].rejects})
                self._metrics.held(number, (cause for _, cause in batches[number].rejects))
                places = [f"{record.topic}/{number}@{record.offset}" for record in (*rejects[:3], *rejects[-1:])]
                _log.error("updates_paused", partition=number, causes=causes, first=places[:-1], last=places[-1:])
            elif batches[number].updates:
                partition.brake.retry_at_ms = None
        if tripped:
            self._reading.rewind()
            self._log.hold(self._braked())
        return bool(tripped)

    def _start_over(self, aborted: Aborted) -> None:
        """Nothing of the batch is visible; it is read again from the last committed offsets."""
        self._metrics.aborts.inc()
        _log.warning("transaction_aborted", why=str(aborted), retriable=aborted.retriable)
        self._failed_attempts += 0 if aborted.retriable else 1
        self._log.abort()
        if self._failed_attempts >= _ATTEMPTS:
            raise SluiceError(f"The same batch failed {_ATTEMPTS} times. {aborted}. Mend the cause and start again.")
        self._clock.sleep(_PAUSE_SECONDS)
        self._reading.rewind()

    def _wait(self, error: LogUnavailable | RegistryUnavailable) -> None:
        """The broker or the registry is away: nothing of the batch is used, and it is read again later."""
        self.turns += 1
        self._metrics.unavailable.met(error)
        self._clock.sleep(_RETRY_SECONDS)

    def _reconnect(self) -> None:
        while not self._stopping:
            try:
                self._vigil.check_topics(self._own.view)
                self._log.reconnect()
                self._reading.rewind()
            except LogUnavailable as error:
                self._wait(error)
            else:
                return

    def _measure(self, batches: Mapping[int, Batch], inputs: Inputs) -> None:
        self._metrics.committed(batches.values(), inputs, self._clock.wall_ms())
        for batch in batches.values():
            for record, cause in batch.rejects:
                _log.warning("record_rejected", topic=record.topic, cause=cause.value)
        self._gauge(inputs.ends)

    def _gauge(self, ends: Mapping[int, Ends]) -> None:
        self._tell_whether_registry_is_lacking()
        self._metrics.store_memory.set(self._plan.stores.memory_bytes())
        now = self._clock.wall_ms()
        for number, partition in self._own.partitions.items():
            reached = Positions(self._log.driving_reached(number), self._log.joined_reached(number))
            self._own.progress.reconciling(partition)
            braked = partition.brake.retry_at_ms is not None
            self._metrics.standing(partition, ends[number], reached, now, braked=braked)

    def _tell_whether_registry_is_lacking(self) -> None:
        unavailable, now = self._metrics.unavailable, self._clock.monotonic_ms()
        if any(partition.lacks_registry(now) for partition in self._own.partitions.values()):
            if unavailable.needed != "registry":
                unavailable.met(RegistryUnavailable("Inputs wait whose schema it has not told yet."))
        elif not self._own.arrivals.lack_registry:
            unavailable.over()


def _by_partition(records: list[Record]) -> dict[int, list[Record]]:
    grouped: dict[int, list[Record]] = {}
    for record in records:
        grouped.setdefault(record.partition, []).append(record)
    return grouped
