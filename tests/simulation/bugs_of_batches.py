"""Deliberate faults in how a batch is read and committed (LOOP 2, 6 to 11, 15)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sluice import topics
from sluice.log import Aborted, Ends, Positions, Record
from sluice.model import Millis
from stream_processors.sharing.batch import Batch, Moment
from stream_processors.sharing.clock import Clock
from stream_processors.sharing.inputs import Inputs, Reading
from stream_processors.sharing.processor import Processor
from tests.simulation.bug import Patch, bug
from tests.simulation.memory_log import MemoryLog

# --- the barrier


@bug("Nobody notices a client that fetches nothing any more.")
def stuck_for_ever() -> Patch:
    return patch.object(Reading, "_check_progress", lambda *_: None)


@bug("Updates are judged with whatever consent events one call happens to return (LOOP 7c).")
@contextmanager
def barrier_removed() -> Iterator[None]:
    def completed(self: Reading, updates: list[Record], _braked: object, _limit: int) -> Inputs:
        ends = self._log.ends()
        consents = [
            record for record in self._log.fetch_joined(0) if record.offset < ends[record.partition].joined_stable
        ]
        return Inputs(updates, consents, ends, True)

    def positions(self: Inputs, at: Mapping[int, Positions]) -> dict[int, Positions]:
        updated = {record.partition: record.offset + 1 for record in self.updates}
        asked = {record.partition: record.offset + 1 for record in self.consents}
        return {n: Positions(updated.get(n, p.driving), asked.get(n, p.joined)) for n, p in at.items()}

    with patch.object(Reading, "completed", completed), patch.object(Inputs, "positions", positions):
        yield


@bug("The consents' end is read before the updates are fetched (LOOP 7a, 7b).")
@contextmanager
def barrier_before_the_updates() -> Iterator[None]:
    early: dict[int, dict[int, Ends]] = {}
    fetch, ends = Reading.fetch, MemoryLog.ends

    def fetched(self: Reading, limit: int) -> list[Record]:
        early[id(self._log)] = ends(self._log)  # type: ignore[arg-type]
        return fetch(self, limit)

    def known(self: MemoryLog) -> dict[int, Ends]:
        before = early.get(id(self), {})
        return before if before.keys() == self.assigned.keys() else ends(self)

    with patch.object(Reading, "fetch", fetched), patch.object(MemoryLog, "ends", known):
        yield


@bug("The updates' high watermark is read before the consents' stable end (LOOP 7b).")
@contextmanager
def watermark_too_early() -> Iterator[None]:
    ends = MemoryLog.ends

    def swapped(self: MemoryLog) -> dict[int, Ends]:
        high = {n: self._cluster.logs[topics.CUSTOMER_UPDATES, n].high for n in self.assigned}
        found = ends(self)
        for number, end in found.items():
            object.__setattr__(end, "driving_high", high[number])
        return found

    with patch.object(MemoryLog, "ends", swapped):
        yield


@bug("Consent events that lie beyond the barrier are dropped (LOOP 8).")
@contextmanager
def beyond_the_barrier_dropped() -> Iterator[None]:
    drain = Reading._drain

    def drained(self: Reading, ends: Mapping[int, Ends], limit: int) -> tuple[list[Record], bool]:
        found = drain(self, ends, limit)
        self._beyond = {number: [] for number in self._beyond}
        return found

    with patch.object(Reading, "_drain", drained):
        yield


@bug("The consumer's position is committed for the consents, not the barrier's end (LOOP 8).")
@contextmanager
def position_of_the_consumer() -> Iterator[None]:
    completed, positions = Reading.completed, Inputs.positions
    reached: dict[int, dict[int, int]] = {}

    def noted(self: Reading, updates: list[Record], braked: list[int], limit: int) -> Inputs | None:
        inputs = completed(self, updates, braked, limit)
        if inputs is not None:
            reached[id(inputs.ends)] = {number: self._log.joined_reached(number) for number in inputs.ends}
        return inputs

    def moved(self: Inputs, at: Mapping[int, Positions]) -> dict[int, Positions]:
        right = positions(self, at)
        return {n: Positions(p.driving, reached[id(self.ends)].get(n, p.joined)) for n, p in right.items()}

    with patch.object(Reading, "completed", noted), patch.object(Inputs, "positions", moved):
        yield


# --- transactions


@bug("Offsets are sent under the membership of now, not that of the assignment (LOOP 2).")
@contextmanager
def membership_refreshed() -> Iterator[None]:
    commit = MemoryLog.commit

    def refreshed(self: MemoryLog, positions: Mapping[int, Positions], metadata: Mapping[int, str]) -> None:
        group = self._cluster.group
        if self.member not in group.members:
            self.member = group.join(self.name)
        self.membership = f"{self.member}@{group.generation}"
        commit(self, positions, metadata)

    with patch.object(MemoryLog, "commit", refreshed):
        yield


@bug("A commit that timed out is taken for an abort (LOOP 6).")
@contextmanager
def timed_out_commit_aborted() -> Iterator[None]:
    commit, calls = MemoryLog.commit, iter(range(1 << 40))

    def impatient(self: MemoryLog, positions: Mapping[int, Positions], metadata: Mapping[int, str]) -> None:
        commit(self, positions, metadata)
        if next(calls) % 4 == 3:
            raise Aborted("The commit timed out", retriable=True)

    with patch.object(MemoryLog, "commit", impatient):
        yield


@bug("Offsets that did not move are not sent, and what is committed beside them is lost (LOOP 7g).")
@contextmanager
def unchanged_offsets_not_sent() -> Iterator[None]:
    commit = MemoryLog.commit

    def sparing(self: MemoryLog, positions: Mapping[int, Positions], metadata: Mapping[int, str]) -> None:
        known = self._cluster.offsets
        moved = {n: at for n, at in positions.items() if n not in known or known[n].positions != at}
        commit(self, moved, metadata)

    with patch.object(MemoryLog, "commit", sparing):
        yield


@bug("After an abort the inputs are not read again.")
@contextmanager
def rewind_forgotten() -> Iterator[None]:
    start_over = Processor._start_over

    def gone_on(self: Processor, aborted: Aborted) -> None:
        vars(self._reading)["rewind"] = lambda: None
        try:
            start_over(self, aborted)
        finally:
            del vars(self._reading)["rewind"]

    with patch.object(Processor, "_start_over", gone_on):
        yield


@bug("A processor that was silent for the session's time writes on (LOOP 2).")
def lease_removed() -> Patch:
    return patch.object(Processor, "_lease_ends_at", lambda _self: math.inf)


@bug("The stores are written before the commit (LOOP 7i).")
@contextmanager
def store_before_commit() -> Iterator[None]:
    transact = Processor._transact

    def hasty(
        self: Processor,
        batches: Mapping[int, Batch],
        positions: Mapping[int, Positions],
        checkpoints: Any,  # noqa: ANN401
        moment: Moment,
    ) -> Any:  # noqa: ANN401
        for number, one in self._own.partitions.items():
            one.apply(batches[number], positions[number], checkpoints[number].disclosures, moment)
        return transact(self, batches, positions, checkpoints, moment)

    with patch.object(Processor, "_transact", hasty):
        yield


@bug("Misplaced records are moved past without being written again (LOOP 15).")
def misplaced_not_republished() -> Patch:
    return patch.object(MemoryLog, "republish", lambda _self, records: list(records))


@bug("The time of decisions may go back (LOOP 11).")
def time_goes_back() -> Patch:
    return patch.object(Processor, "_moment", lambda self: self._clock.read(Millis(0)))


@bug("A clock that jumps is believed (LOOP 11).")
@contextmanager
def jump_believed() -> Iterator[None]:
    read = Clock.read

    def trusting(self: Clock, before: Millis) -> Moment:
        self._offset = None
        return read(self, before)

    with patch.object(Clock, "read", trusting):
        yield
