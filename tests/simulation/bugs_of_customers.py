"""Deliberate faults in what becomes of customers: who may be added, who is reconciled, what is held (LOOP 12 to 22)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import msgspec

from sluice import topics
from sluice.consent import ConsentRecord
from sluice.log import Ends, Positions, Record
from sluice.model import CustomerId, Held, Shared, Unchanged
from sluice.projection import Scanned
from sluice.store import Store
from stream_processors.sharing import folding, output, parties, partition, pipeline, recovery
from stream_processors.sharing.inputs import Inputs, Reading
from stream_processors.sharing.output import Output
from stream_processors.sharing.partition import Partition
from stream_processors.sharing.view import View
from tests.simulation.bug import Patch, bug
from tests.simulation.memory_log import MemoryLog

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


@bug("A paused contract adds people.")
@contextmanager
def pause_ignored() -> Iterator[None]:
    ruling = pipeline._ruling

    def busy(case: pipeline.Case, one: parties.Partnership, held: Held | None) -> Any:  # noqa: ANN401
        object.__setattr__(one, "paused", False)
        return ruling(case, one, held)

    paused = [one for view in _views() for one in view.parties if isinstance(one, parties.Partnership) and one.paused]
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
    with patch.object(ConsentRecord, "with_event", lambda _self, event, *_: ConsentRecord().with_events(event)):
        yield


@bug("A consent event that comes again is kept again.")
@contextmanager
def duplicates_kept() -> Iterator[None]:
    def listed(self: ConsentRecord, event: Any, *_more: str) -> ConsentRecord:  # noqa: ANN401
        return self.with_events(*self.events, event)

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
    genuine = Partition.adopt

    def adopt(self: Partition, view: View) -> None:
        before = self.meta
        genuine(self, view)
        self.meta = msgspec.structs.replace(before, rules=view.rules)

    with patch.object(Partition, "adopt", adopt):
        yield


@bug("A second contract set goes on where the first one was.")
@contextmanager
def scan_not_begun_anew() -> Iterator[None]:
    genuine = Partition.adopt

    def adopt(self: Partition, view: View) -> None:
        before = self.meta
        genuine(self, view)
        self.meta = msgspec.structs.replace(self.meta, scanned_to=before.scanned_to)

    with patch.object(Partition, "adopt", adopt):
        yield


# --- what stands


@bug("An answer stands although the customer has said something in the same batch.")
@contextmanager
def stands_in_question() -> Iterator[None]:
    repeat = Partition._repeat

    def careless(self: Partition, updates: Any, _consents: Any, *others: Any) -> Any:  # noqa: ANN401
        return repeat(self, updates, (), *others)

    with patch.object(Partition, "_repeat", careless):
        yield


@bug("An answer stands although the customer lives somewhere else now.")
def stands_for_other_facts() -> Patch:
    return patch.object(Scanned, "stated", lambda _self, _paths: b"")


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
    outputs = output.outputs

    def some(decided: Any, writers: Any) -> list[Output]:  # noqa: ANN401
        return [one for one in outputs(decided, writers) if not skipped(one)]

    return patch.object(output, "outputs", some)


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


@bug("A scan that goes on at the next assignment is below a mark again, and comes back to nobody (LOOP 22).")
def mark_again() -> Patch:
    def before_mark(self: Partition, reached: int) -> bool:
        return self.meta.catching_up and reached < self._mark

    return patch.object(Partition, "_is_before_mark", before_mark)


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
        return fault(place, msgspec.structs.replace(meta, as_of=place.recovery.now))

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
