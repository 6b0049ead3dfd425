"""Faults put into the product or its log on purpose: a simulation that lets one of them pass is not worth much.

Each is a small patch that takes one rule of LOOP away. `catch` runs seeds until one notices.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import msgspec

from sluice import topics
from sluice.consent import ConsentRecord
from sluice.log import Aborted, Ends, Positions, Record
from sluice.model import CustomerId, Held, Millis, Shared, Unchanged
from sluice.store import Row, Store
from stream_processors.sharing import folding, output, partition, pipeline, recovery
from stream_processors.sharing.batch import Batch, Moment
from stream_processors.sharing.clock import Clock
from stream_processors.sharing.inputs import Inputs, Reading
from stream_processors.sharing.output import Output
from stream_processors.sharing.partition import Partition, View
from stream_processors.sharing.processor import Processor
from tests.simulation.memory_log import MemoryLog

Patch = AbstractContextManager[object]


@dataclass(frozen=True, slots=True)
class Bug:
    name: str
    what: str
    put_in: Callable[[], Patch]


BUGS: list[Bug] = []


def bug(what: str) -> Callable[[Callable[[], Patch]], Callable[[], Patch]]:
    def listed(put_in: Callable[[], Patch]) -> Callable[[], Patch]:
        BUGS.append(Bug(put_in.__name__.replace("_", " "), what, put_in))
        return put_in

    return listed


# --- the barrier


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
    return patch.object(Processor, "_check_lease", lambda _self: None)


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

    def trusting(self: Clock, not_before: Millis) -> Moment:
        self._offset = None
        return read(self, not_before)

    with patch.object(Clock, "read", trusting):
        yield


# --- widening and narrowing


@bug("A yes widens at once, whatever updates are still unread (LOOP 12).")
@contextmanager
def widening_not_delayed() -> Iterator[None]:
    widening = Partition._widening

    def hasty(self: Partition, touched: Any, *more: Any) -> tuple[bool, int | None]:  # noqa: ANN401
        touched.asked = False
        return widening(self, touched, *more)

    with patch.object(Partition, "_widening", hasty):
        yield


@bug("Who waits for updates is forgotten (LOOP 12).")
def waiting_forgotten() -> Patch:
    return patch.object(Store, "waiting", lambda *_: ([], None))


@bug("A consent event that names nobody stops nothing (LOOP 25).")
def nobodys_consent_ignored() -> Patch:
    return patch.object(Partition, "stopped_by", lambda *_: [])


@bug("A backlog of consent events is judged as if it were read to its end (LOOP 7c).")
@contextmanager
def pieces_taken_for_all() -> Iterator[None]:
    drain = Reading._drain

    def drained(self: Reading, ends: Mapping[int, Ends], limit: int) -> tuple[list[Record], bool]:
        records, complete = drain(self, ends, limit)
        return records, complete or bool(records)

    def positions(self: Inputs, at: Mapping[int, Positions]) -> dict[int, Positions]:
        updated = {record.partition: record.offset + 1 for record in self.updates}
        asked = {record.partition: record.offset + 1 for record in self.consents}
        return {n: Positions(updated.get(n, p.driving), asked.get(n, p.joined)) for n, p in at.items()}

    with patch.object(Reading, "_drain", drained), patch.object(Inputs, "positions", positions):
        yield


@bug("A ruling is kept when the customer says something else.")
@contextmanager
def ruling_kept() -> Iterator[None]:
    def kept(row: Row, consents: ConsentRecord) -> Row:
        return msgspec.structs.replace(row, consents=consents)

    with patch.object(folding, "with_consents", kept):
        yield


@bug("A paused contract adds people.")
@contextmanager
def pause_ignored() -> Iterator[None]:
    ruling = pipeline._ruling

    def busy(case: pipeline.Case, one: pipeline.Partnership, held: Held | None) -> Any:  # noqa: ANN401
        object.__setattr__(one, "paused", False)
        return ruling(case, one, held)

    paused = [one for view in _views() for one in view.parties if isinstance(one, pipeline.Partnership) and one.paused]
    with patch.object(pipeline, "_ruling", busy):
        try:
            yield
        finally:
            for one in paused:
                object.__setattr__(one, "paused", True)


def _views() -> Iterable[View]:
    from tests.simulation.installation import installation  # noqa: PLC0415 - made when first asked for

    return installation().views.values()


@bug("An event whose schema cannot be had is forgotten.")
@contextmanager
def unread_event_forgotten() -> Iterator[None]:
    with patch.object(folding, "with_unread_consent", lambda row, _event: row):
        yield


@bug("Each customer's consents are what was said last.")
@contextmanager
def last_word_only() -> Iterator[None]:
    with patch.object(ConsentRecord, "with_event", lambda _self, event, *_: ConsentRecord((event,))):
        yield


@bug("A consent event that comes again is kept again.")
@contextmanager
def duplicates_kept() -> Iterator[None]:
    def listed(self: ConsentRecord, event: Any, *_more: str) -> ConsentRecord:  # noqa: ANN401
        return msgspec.structs.replace(self, events=(*self.events, event))

    with patch.object(ConsentRecord, "with_event", listed):
        yield


# --- time and contracts


@bug("Nobody is reconciled when their time has come.")
def due_ignored() -> Patch:
    return patch.object(Store, "due", lambda *_: [])


@bug("An expiry is noticed only when an event comes.")
def expiry_needs_an_event() -> Patch:
    return patch.object(partition, "next_due", lambda *_: None)


@bug("Another contract set holds for whom events name, and nobody else is reconciled.")
@contextmanager
def contracts_without_reconciling() -> Iterator[None]:
    def adopt(self: Partition, view: View) -> None:
        self._view = view
        self.meta = msgspec.structs.replace(self.meta, rules=view.rules)

    with patch.object(Partition, "adopt", adopt):
        yield


@bug("A second contract set goes on where the first one was.")
@contextmanager
def scan_not_begun_anew() -> Iterator[None]:
    def adopt(self: Partition, view: View) -> None:
        self._view = view
        self.meta = msgspec.structs.replace(self.meta, rules=view.rules, catching_up=True)

    with patch.object(Partition, "adopt", adopt):
        yield


# --- what is held


@bug("A recall has no tombstone.")
def tombstone_forgotten() -> Patch:
    return _without(lambda one: one.topic.endswith(".customers") and one.value is None)


@bug("A recall has no control message.")
def control_forgotten() -> Patch:
    return _without(lambda one: one.topic.endswith(".control"))


@bug("What is shared is not disclosed when it was held before.")
@contextmanager
def renewal_not_disclosed() -> Iterator[None]:
    outputs = output.outputs

    def silent(decided: Any, writers: Any) -> Iterator[Output]:  # noqa: ANN401
        changes = [outcome for _, outcome in decided.outcomes if isinstance(outcome, Shared)]
        for one in outputs(decided, writers):
            if one.topic != topics.DISCLOSURES or not changes or decided.now % 3:
                yield one

    with patch.object(output, "outputs", silent):
        yield


def _without(skipped: Callable[[Output], bool]) -> Patch:
    to_partner = output._to_partner

    def some(*arguments: Any) -> Iterator[Output]:  # noqa: ANN401
        return (one for one in to_partner(*arguments) if not skipped(one))

    return patch.object(output, "_to_partner", some)


@bug("Under another key the recall names the new pseudonym, not the one that was disclosed (LOOP 16).")
@contextmanager
def pseudonym_computed_anew() -> Iterator[None]:
    compare = pipeline._compare

    def afresh(held: Held | None, new: Held, record: bytes) -> Shared | Unchanged:
        outcome = compare(held, new, record)
        if isinstance(outcome, Shared) and outcome.replaces is not None:
            replaced = msgspec.structs.replace(outcome.replaces, pseudonym=new.pseudonym)
            return Shared(outcome.held, outcome.record, replaced)
        return outcome

    with patch.object(pipeline, "_compare", afresh):
        yield


@bug("A rebuild does not fold the disclosures: what is held is guessed from the inputs (LOOP 16).")
def held_not_folded() -> Patch:
    return patch.object(folding, "with_disclosure", lambda row, _disclosure: row)


@bug("The checkpoint does not say how far the disclosures go (LOOP 20).")
@contextmanager
def disclosures_end_forgotten() -> Iterator[None]:
    flush = MemoryLog.flush

    def silent(self: MemoryLog) -> Mapping[int, int]:
        flush(self)
        return {}

    with patch.object(MemoryLog, "flush", silent):
        yield


# --- start, gap, rebuild


@bug("After a gap everybody is reconciled at once, before the updates are read to their end (LOOP 22).")
def no_mark_after_a_gap() -> Patch:
    return patch.object(Partition, "_is_before_mark", lambda *_: False)


@bug("After a gap or a rebuild nobody is reconciled (LOOP 22).")
@contextmanager
def gap_without_reconciling() -> Iterator[None]:
    brought_up = recovery._brought_up

    def trusting(*arguments: Any) -> Generator[int, None, Partition]:  # noqa: ANN401
        one = yield from brought_up(*arguments)
        one.meta = msgspec.structs.replace(one.meta, catching_up=False)
        return one

    with patch.object(recovery, "_brought_up", trusting):
        yield


@bug("A gap in the consents is not folded (LOOP 21).")
@contextmanager
def consents_gap_not_folded() -> Iterator[None]:
    read = MemoryLog.read

    def nothing(self: MemoryLog, topic: str, number: int, start: int, stop: int) -> Iterator[Record | None]:
        return read(self, topic, number, stop if topic == topics.CONSENT_EVENTS else start, stop)

    with patch.object(MemoryLog, "read", nothing):
        yield


@bug("A store that is older than the tombstones are kept is trusted (LOOP 21).")
@contextmanager
def old_store_trusted() -> Iterator[None]:
    fault = recovery._fault

    def young(place: Any, meta: Any) -> str | None:  # noqa: ANN401
        return fault(place, msgspec.structs.replace(meta, written_at=place.recovery.now))

    with patch.object(recovery, "_fault", young):
        yield


@bug("The scan that reconciles everybody leaves out the first customer of each piece.")
@contextmanager
def scan_skips() -> Iterator[None]:
    customers = Store.customers

    def some(self: Store, after: CustomerId | None, limit: int) -> list[CustomerId]:
        found = customers(self, after, limit)
        return found[1:] if len(found) > 1 else found

    with patch.object(Store, "customers", some):
        yield
