"""The sharing loop: one batch after the other, each in one Kafka transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from sluice import topics
from sluice.errors import SluiceError
from sluice.kafka.clients import KafkaUnavailable, Record
from sluice.kafka.transaction_writer import Aborted
from sluice.kafka.transactions import Ends, Positions, TransactionalLog
from sluice.model import Millis, label
from sluice.registry import RegistryUnavailable
from stream_processors.sharing import checkpoint
from stream_processors.sharing.checkpoint import Checkpoint, Identity
from stream_processors.sharing.clock import Clock
from stream_processors.sharing.metrics import STOPS, Metrics
from stream_processors.sharing.partition import Batch, Moment, Partition, Situation, View
from stream_processors.sharing.recovery import Recovery, open_partition

_IDLE_WAIT_SECONDS = 0.005
_RETRY_SECONDS = 1.0
_STORE_IS_FRESH_MS = 60_000
_PAUSE_SECONDS = 0.1
_ATTEMPTS = 3
_CONSENTS = 20_000
"""Consent events judged in one transaction, about."""
_IDENTITY_CHECK_MS = 30_000
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a processor was set up to do."""

    view: View
    identity: Identity
    identity_now: Callable[[], Identity]
    """The identity as the broker tells it now. Raises KafkaTrouble."""
    state: Path
    batch: int
    tombstones_kept_ms: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """What one batch is about."""

    updates: list[Record]
    consents: list[Record]
    ends: Mapping[int, Ends]
    complete: bool
    """Every consent event below the ends is here or was judged before; otherwise nothing may be added."""


class Processor:
    """Maintains the partner topics of the partitions that the group assigns to it."""

    def __init__(self, log: TransactionalLog, plan: Plan, metrics: Metrics, clock: Clock) -> None:
        self._log = log
        self._plan = plan
        self._metrics = metrics
        self._clock = clock
        self._partitions: dict[int, Partition] = {}
        self._positions: dict[int, Positions] = {}
        self._checkpoints: dict[int, Checkpoint] = {}
        self._failed_attempts = 0
        self._identity_checked_at = 0.0
        self._stopping = False

    def stop(self) -> None:
        """End after the batch in hand. May be called by a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Work until `stop`. Raises SluiceError when somebody has to do something first."""
        self._log.writer.claim()
        self._check_history()
        self._log.join()
        try:
            while not self._stopping:
                self.step()
        finally:
            self._close_partitions()
            self._log.close()

    def step(self) -> None:
        """One batch (LOOP 7); or the change to another assignment."""
        try:
            inputs = self._read()  # (a), (b), (c)
            if inputs is None:
                return
            moment = self._clock.read(max((c.now for c in self._checkpoints.values()), default=Millis(0)))
            self._check_identity(moment)
            batches = self._decide(inputs, moment)  # (d)
            positions = self._next_positions(inputs)
            if positions == self._positions and not any(batch.rows or batch.outputs for batch in batches.values()):
                self._idle(batches, inputs, moment)
                return
            checkpoints = self._transact(batches, positions, moment)  # (e) to (h)
        except Aborted as aborted:
            self._start_over(aborted)
        except RegistryUnavailable as error:
            self._wait(error)
            self._log.rewind(self._positions)
        except KafkaUnavailable as error:
            self._wait(error)
            self._reconnect()
        else:
            self._settle(batches, positions, checkpoints, moment)  # (i)
            self._measure(batches, inputs)

    def _read(self) -> Inputs | None:
        """Updates, and every consent event below the stable end that was read after they were fetched.

        A backlog of consents is worked off first, in pieces that only narrow, with the updates held. None: there is
        nothing to judge yet.
        """
        updates = self._log.fetch(self._plan.batch, _IDLE_WAIT_SECONDS)  # (a)
        if self._log.new_assignment is not None:
            self._change_assignment(self._log.new_assignment)
            return None
        with self._metrics.barrier.time():
            ends = self._log.ends()  # (b)
            self._check_ends(ends)
            consents, complete = self._log.drain(ends, _CONSENTS)  # (c)
        if updates and not complete:
            self._log.rewind(self._positions)
        self._log.hold_driving(held=not complete)
        return None if updates and not complete else Inputs(updates, consents, ends, complete)

    def _decide(self, inputs: Inputs, moment: Moment) -> dict[int, Batch]:
        updates, consents = _by_partition(inputs.updates), _by_partition(inputs.consents)
        return {
            number: partition.step(
                updates.get(number, ()),
                consents.get(number, ()),
                Situation(inputs.ends[number], self._log.driving_reached(number), inputs.complete, moment),
            )
            for number, partition in self._partitions.items()
        }

    def _next_positions(self, inputs: Inputs) -> dict[int, Positions]:
        """Past every record of the batch; for consents the barrier's end, never the consumer's position (LOOP 8)."""
        updated = {record.partition: record.offset + 1 for record in inputs.updates}
        asked = {record.partition: record.offset + 1 for record in inputs.consents}
        if inputs.complete:
            asked = {number: inputs.ends[number].joined_stable for number in asked}
        return {
            number: Positions(updated.get(number, at.driving), asked.get(number, at.joined))
            for number, at in self._positions.items()
        }

    def _check_ends(self, ends: Mapping[int, Ends]) -> None:
        """A log that ends before where we are is another one now, or its broker does not know better yet."""
        for number, at in self._positions.items():
            if ends[number].joined_stable < at.joined or ends[number].driving_high < at.driving:
                checkpoint.check(self._plan.identity, self._plan.identity_now())
                raise KafkaUnavailable(f"Partition {number} of an input ends before what was read of it.")

    def _wait(self, error: SluiceError) -> None:
        """The broker or the registry is away: nothing of the batch is used, and it is read again later."""
        self._metrics.unavailable.set(1)
        _log.warning("unavailable", why=str(error))
        time.sleep(_RETRY_SECONDS)

    def _reconnect(self) -> None:
        while not self._stopping:
            try:
                self._log.reconnect(self._positions)
            except KafkaUnavailable as error:
                self._wait(error)
            else:
                return

    def _transact(
        self, batches: Mapping[int, Batch], positions: Mapping[int, Positions], moment: Moment
    ) -> dict[int, Checkpoint]:
        """Everything the batch writes, and both inputs' offsets, or nothing. The offsets move last."""
        self._log.writer.begin()
        for number, batch in batches.items():
            for topic, key, value in batch.outputs:
                self._log.writer.produce(topic, number, key, value, moment.now)  # (e)
        delivered = self._log.writer.flush()  # (f)
        checkpoints = {
            number: msgspec.structs.replace(
                previous, disclosures=delivered.get(number, previous.disclosures), now=moment.now
            )
            for number, previous in self._checkpoints.items()
        }
        self._log.commit(positions, {number: c.encode() for number, c in checkpoints.items()})  # (g), (h)
        return checkpoints

    def _settle(
        self,
        batches: Mapping[int, Batch],
        positions: dict[int, Positions],
        checkpoints: dict[int, Checkpoint],
        moment: Moment,
    ) -> None:
        """The commit is certain: now the stores may know of it."""
        self._failed_attempts = 0
        self._positions, self._checkpoints = positions, checkpoints
        for number, partition in self._partitions.items():
            meta = msgspec.structs.replace(
                partition.meta,
                updates=positions[number].driving,
                consents=positions[number].joined,
                disclosures=checkpoints[number].disclosures,
                written_at=moment.now,
            )
            partition.apply(batches[number], meta, moment)

    def _idle(self, batches: Mapping[int, Batch], inputs: Inputs, moment: Moment) -> None:
        """Nothing to commit. A store that was just compared with the ends of its logs is as good as new."""
        for number, partition in self._partitions.items():
            batch = batches[number]
            at_end = self._log.driving_reached(number) >= inputs.ends[number].driving_high
            stale = at_end and moment.now - partition.meta.written_at > _STORE_IS_FRESH_MS
            if stale or batch.unread or batch.scanned_to is not None or batch.scan_ended:
                written_at = moment.now if at_end else partition.meta.written_at
                partition.apply(batch, msgspec.structs.replace(partition.meta, written_at=written_at), moment)
        self._gauge(inputs.ends)

    def _start_over(self, aborted: Aborted) -> None:
        """Nothing of the batch is visible; it is read again from the last committed offsets."""
        self._metrics.aborts.inc()
        _log.warning("transaction_aborted", why=str(aborted), retriable=aborted.retriable)
        self._log.writer.abort()
        self._failed_attempts += 0 if aborted.retriable else 1
        if self._failed_attempts >= _ATTEMPTS:
            raise SluiceError(f"The same batch failed {_ATTEMPTS} times. {aborted}. Mend the cause and start again.")
        time.sleep(_PAUSE_SECONDS)
        self._log.rewind(self._positions)

    def _check_history(self) -> None:
        """What was committed for every partition must be of this cluster, these topics and contracts."""
        for committed in self._log.committed(frozenset(range(self._plan.view.partitions))).values():
            if committed.positions is not None:
                checkpoint.check(checkpoint.decode(committed.metadata).identity, self._plan.identity)

    def _check_identity(self, moment: Moment) -> None:
        """From time to time: a client goes on in a topic that was re-created, and skips what was there before."""
        if moment.monotonic_ms - self._identity_checked_at > _IDENTITY_CHECK_MS:
            checkpoint.check(self._plan.identity, self._plan.identity_now())
            self._identity_checked_at = moment.monotonic_ms

    def _change_assignment(self, numbers: frozenset[int]) -> None:
        """Forget what we had; bring what we got to where its offsets are; read on from there."""
        self._close_partitions()
        checkpoint.check(self._plan.identity, self._plan.identity_now())
        committed = self._log.committed(numbers)
        recovery = Recovery(
            self._log,
            self._plan.view,
            self._plan.identity,
            self._plan.state,
            self._plan.tombstones_kept_ms,
            self._clock.read(Millis(0)).now,
        )
        for number in sorted(numbers):
            partition, positions, previous = open_partition(recovery, number, committed[number])
            self._partitions[number] = partition
            self._positions[number] = positions
            self._checkpoints[number] = previous
        self._log.start(self._positions)
        _log.info("assigned", partitions=sorted(numbers))

    def _close_partitions(self) -> None:
        for number, partition in self._partitions.items():
            partition.store.close()
            self._metrics.forget(number)
        self._partitions, self._positions, self._checkpoints = {}, {}, {}

    def _measure(self, batches: Mapping[int, Batch], inputs: Inputs) -> None:
        committed_at = self._clock.wall_ms()
        self._metrics.batches.inc()
        for record in inputs.updates:
            self._metrics.update_to_commit.observe(max(committed_at - record.timestamp, 0) / 1000)
        for batch in batches.values():
            for timestamp in batch.recall_timestamps:
                self._metrics.withdrawal_to_recall.observe(max(committed_at - timestamp, 0) / 1000)
            for partner, outcome in batch.outcomes:
                self._metrics.outcomes.labels(partner.partner, *label(outcome)).inc()
            for topic, cause in batch.rejects:
                self._metrics.rejected.labels(topic, cause.value).inc()
                _log.warning("record_rejected", topic=topic, cause=cause.value)
        # last, so that who sees an event counted sees what came of it
        self._metrics.events.labels(topics.CUSTOMER_UPDATES).inc(len(inputs.updates))
        self._metrics.events.labels(topics.CONSENT_EVENTS).inc(len(inputs.consents))
        self._gauge(inputs.ends)

    def _gauge(self, ends: Mapping[int, Ends]) -> None:
        self._metrics.unavailable.set(0)
        for number, partition in self._partitions.items():
            self._metrics.lag.labels(number).set(max(ends[number].driving_high - self._log.driving_reached(number), 0))
            self._metrics.catching_up.labels(number).set(partition.meta.catching_up)
            stopped = partition.stopped_by()
            for reason in STOPS:
                self._metrics.widening_stopped.labels(number, reason).set(reason in stopped)


def _by_partition(records: list[Record]) -> dict[int, list[Record]]:
    grouped: dict[int, list[Record]] = {}
    for record in records:
        grouped.setdefault(record.partition, []).append(record)
    return grouped
