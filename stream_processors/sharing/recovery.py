"""From what the logs and the store say to a partition that can go on: a gap folded, or everything rebuilt (LOOP 20-23).

Nothing is emitted here. What the fold cannot know, because compaction may have removed it, is settled by reconciling
every customer of the partition once the updates have been read to their end. It goes on in pieces, so that the process
keeps polling and serving its other partitions meanwhile; a piece that is folded is never folded again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import structlog

from sluice import topics
from sluice.avro import Undecodable
from sluice.errors import SluiceError
from sluice.log import Bounds, Committed, Log, Positions, Record
from sluice.model import CustomerId, Millis
from sluice.store import Meta, Row, Store, Stores, Unusable, added, distrusted
from stream_processors.sharing import checkpoint, folding
from stream_processors.sharing.checkpoint import Checkpoint, Identity
from stream_processors.sharing.clock import JUMP_MS
from stream_processors.sharing.partition import Partition
from stream_processors.sharing.view import View

_CHUNK = 1_000
_log = structlog.get_logger(__name__)


class Folded(NamedTuple):
    """The next offset of each log that is not folded into a store."""

    updates: int
    consents: int
    disclosures: int


class Opened(NamedTuple):
    """A partition that can go on, from where, after what was committed last."""

    partition: Partition
    positions: Positions
    previous: Checkpoint


Opening = Generator[int, None, Opened]
"""A partition on its way; yields how many records are still to be folded, about."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What opening a partition needs to know."""

    log: Log
    stores: Stores
    view: View
    identity: Identity
    tombstones_kept_ms: int
    """Shortest `delete.retention.ms` of the keyed inputs: a store older than this may miss a deletion."""
    now: Millis


@dataclass(frozen=True, slots=True)
class _Place:
    """One partition between what was committed and its next batch."""

    recovery: Recovery
    number: int
    bounds: Mapping[str, Bounds]
    previous: Checkpoint
    positions: Positions

    @property
    def target(self) -> Folded:
        """What the store has to fold."""
        return Folded(self.positions.driving, self.positions.joined, self.previous.disclosures)

    @property
    def beginning(self) -> Folded:
        return Folded(self.bounds[topics.CUSTOMER_UPDATES].low, 0, self.previous.evidence_from)


def open_partition(recovery: Recovery, number: int, committed: Committed) -> Opening:
    """The partition, brought to where its offsets are. Raises SluiceError when evidence is missing or foreign."""
    bounds = recovery.log.bounds((topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS, topics.DISCLOSURES), number)
    previous, positions = _last_commit(recovery, committed, bounds)
    place = _Place(recovery, number, bounds, previous, positions)
    _check_logs(place)
    store, meta = _usable_store(place)
    try:
        partition = yield from _brought_up(place, store, meta)
    except Unusable as error:
        raise distrusted(recovery.stores, number, store, error) from None
    except BaseException:
        store.close()
        raise
    return Opened(partition, positions, previous)


def _brought_up(place: _Place, store: Store, meta: Meta | None) -> Generator[int, None, Partition]:
    """Fold what the store lacks, and say in its meta record what is still to be settled."""
    recovery, target, start = place.recovery, place.target, _folded(meta, place)
    view, high = recovery.view, place.bounds[topics.CUSTOMER_UPDATES].high
    acknowledged = tuple(sorted(view.acknowledged))
    begun = meta or _begun(place, acknowledged)
    gap = start != target  # none at the very first start: there is no earlier life
    if gap:
        begun = yield from _fold(place, store, begun)
        _log.info("folded", partition=place.number, start=start._asdict(), stop=target._asdict())
    anew = gap or begun.acknowledged != acknowledged or begun.rules != view.rules
    anew = anew or place.previous.contract_set != view.contract_set
    fresh = msgspec.structs.replace(
        begun,
        rules=view.rules,
        as_of=recovery.now if target.updates >= high else min(begun.as_of, recovery.now),
        catching_up=anew or begun.catching_up,
        scanned_to=None if anew else begun.scanned_to,
        acknowledged=acknowledged,
    )
    store.write({}, fresh)
    mark = high if gap or begun.catching_up else 0
    return Partition(place.number, store, fresh, mark, view)


def _begun(place: _Place, acknowledged: tuple[str, ...]) -> Meta:
    """Of a store that folds nothing yet."""
    recovery = place.recovery
    return Meta(
        _name(recovery.identity, place.previous.evidence_from),
        *place.beginning,
        as_of=recovery.now,
        rules=recovery.view.rules,
        acknowledged=acknowledged,
    )


def _folded(meta: Meta | None, place: _Place) -> Folded:
    return place.beginning if meta is None else Folded(meta.updates, meta.consents, meta.disclosures)


def _last_commit(
    recovery: Recovery, committed: Committed, bounds: Mapping[str, Bounds]
) -> tuple[Checkpoint, Positions]:
    if committed.metadata:
        checkpoint.check(checkpoint.decode(committed.metadata).identity, recovery.identity)
    if committed.positions is None:
        low = Positions(bounds[topics.CUSTOMER_UPDATES].low, bounds[topics.CONSENT_EVENTS].low)
        disclosures = bounds[topics.DISCLOSURES].high
        first = Checkpoint(recovery.identity, recovery.view.contract_set, False, disclosures, Millis(0))
        return first, low
    return checkpoint.decode(committed.metadata), committed.positions


def _check_logs(place: _Place) -> None:
    """The evidence must be whole: both logs from their beginning, up to at least where we were."""
    number, target = place.number, place.target
    restore, recover = "Restore the topic", "or stop all processors and run `sluice recover-disclosures`"
    for topic, first, needed, remedy in (
        (topics.CONSENT_EVENTS, 0, target.consents, f"{restore}; it must keep its records for ever."),
        (topics.DISCLOSURES, place.previous.evidence_from, target.disclosures, f"{restore}, {recover}."),
    ):
        low, high = place.bounds[topic]
        if low > first:
            raise SluiceError(
                f"{topic}/{number} begins at offset {low}: older records were deleted, and what customers said or "
                f"partners hold can no longer be known. {remedy}"
            )
        if high < needed:
            raise SluiceError(
                f"{topic}/{number} ends at offset {high}, but {needed} was committed: records were lost. {remedy}"
            )


def _usable_store(place: _Place) -> tuple[Store, Meta | None]:
    """The store with its meta record; else its newest copy; an empty one without when neither can be trusted."""
    stores, number = place.recovery.stores, place.number
    found = _trusted(place)
    if isinstance(found, tuple):
        return found
    if stores.restore(number):
        copy = _trusted(place)
        if isinstance(copy, tuple):
            _log.info("store_restored", partition=number, why=found)
            return copy
    _log.info("store_rebuilt", partition=number, why=found)
    stores.discard(number)
    return stores.open(number), None


def _trusted(place: _Place) -> tuple[Store, Meta] | str:
    """The store in its place, or why it is of no use."""
    try:
        store = place.recovery.stores.open(place.number)
    except Unusable as error:
        return str(error)
    try:
        meta = store.meta()
        why = "there is none" if meta is None else _fault(place, meta)
    except Unusable as error:
        meta, why = None, str(error)
    if meta is not None and why is None:
        return store, meta
    store.close()
    return str(why)


def _fault(place: _Place, meta: Meta) -> str | None:
    """Why the store is of no use, if so."""
    recovery, start = place.recovery, _folded(meta, place)
    if meta.identity != _name(recovery.identity, place.previous.evidence_from):
        return "it is of another cluster or of other topics"
    if any(have > want for have, want in zip(start, place.target, strict=True)):
        return "it is ahead of what is committed"
    if meta.as_of - recovery.now > JUMP_MS:
        return "it was written under a clock that was ahead"
    if recovery.now - meta.as_of > recovery.tombstones_kept_ms:
        return "it is older than the tombstones are kept"
    if start.updates < place.beginning.updates:
        return "the updates that it lacks are gone"
    return None


def _fold(place: _Place, store: Store, begun: Meta) -> Generator[int, None, Meta]:
    """Fold the three logs one after the other to where they have to be. Each piece is certain once it is written."""
    view, log, target = place.recovery.view, place.recovery.log, place.target

    def update(row: Row, record: Record, _customer: CustomerId) -> Row:
        return folding.with_update(row, record)

    def consent(row: Row, record: Record, customer: CustomerId) -> Row:
        return folding.with_consent(row, customer, folding.consent_in(record), view.decode)[0]

    def disclosure(row: Row, record: Record, _customer: CustomerId) -> Row:
        try:
            return folding.with_disclosure(row, view.decode(record.value))
        except Undecodable:
            where = folding.pointer(record)
            raise SluiceError(
                f"The disclosure {where} cannot be read: what partners hold is not known. Restore it."
            ) from None

    meta = msgspec.structs.replace(begun, catching_up=True, scanned_to=None)
    for topic, name, change, stop in (
        (topics.CUSTOMER_UPDATES, "updates", update, target.updates),
        (topics.CONSENT_EVENTS, "consents", consent, target.consents),
        (topics.DISCLOSURES, "disclosures", disclosure, target.disclosures),
    ):
        start = getattr(meta, name)
        records = log.read(topic, place.number, start, stop)
        for chunk in _chunks(records):
            rows, nobodys = _fold_chunk(store, chunk, change, view)
            if topic == topics.CONSENT_EVENTS:
                blockers = tuple(sorted({*meta.blockers, *(str(folding.pointer(record)) for record in nobodys)}))
                meta = msgspec.structs.replace(meta, blockers=blockers)
            reached = chunk[-1].offset + 1 if chunk else getattr(meta, name)
            meta = msgspec.structs.replace(meta, customers=meta.customers + added(rows), **{name: reached})
            store.write(rows, meta)
            yield sum(want - have for have, want in zip(_folded(meta, place), target, strict=True))
        meta = msgspec.structs.replace(meta, **{name: stop})
    return meta


def _chunks(records: Iterator[Record | None]) -> Iterator[list[Record]]:
    """In pieces; one that is short, or empty, when nothing has come for a while."""
    chunk: list[Record] = []
    for record in records:
        if record is not None:
            chunk.append(record)
        if record is None or len(chunk) >= _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _fold_chunk(
    store: Store, chunk: Iterable[Record], change: Callable[[Row, Record, CustomerId], Row], view: View
) -> tuple[dict[CustomerId, tuple[Row, Row]], list[Record]]:
    """What a piece of one log makes of rows; and the records whose key names nobody."""
    named = [(folding.named(record, view.partitions), record) for record in chunk]
    before = store.get(list({customer for customer, _ in named if isinstance(customer, str)}))
    after = dict(before)
    for customer, record in named:
        if isinstance(customer, str):
            after[customer] = change(after[customer], record, customer)
    rows = {customer: (before[customer], row) for customer, row in after.items()}
    return rows, [record for customer, record in named if customer is None]


def _name(identity: Identity, evidence_from: int) -> str:
    """What a store was made of; after lost disclosures were written anew, a store from before is foreign."""
    since = f" disclosures from {evidence_from}" if evidence_from else ""
    return f"{identity.cluster} {identity.topics}{since}"
