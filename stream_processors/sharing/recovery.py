"""From what the logs and the store say to a partition that can go on: a gap folded, or everything rebuilt (LOOP 20-22).

Nothing is emitted here. What the fold cannot know, because compaction may have removed it, is settled by reconciling
every customer of the partition once the updates have been read to their end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from sluice import topics
from sluice.avro import Undecodable
from sluice.consent import Contradiction, parse_event
from sluice.errors import SluiceError
from sluice.kafka.clients import Record
from sluice.kafka.transactions import Bounds, Committed, Positions, TransactionalLog
from sluice.model import CustomerId, Millis
from sluice.store import Meta, Row, Store, Unusable, discard
from stream_processors.sharing import checkpoint, folding
from stream_processors.sharing.checkpoint import Checkpoint, Identity
from stream_processors.sharing.partition import Partition, View

_CHUNK = 5_000
_log = structlog.get_logger(__name__)


class Folded(NamedTuple):
    """The next offset of each log that is not folded into a store."""

    updates: int
    consents: int
    disclosures: int


@dataclass(frozen=True, slots=True)
class Recovery:
    """What opening a partition needs to know."""

    log: TransactionalLog
    view: View
    identity: Identity
    state: Path
    tombstones_kept_ms: int
    """Shortest `delete.retention.ms` of the keyed inputs: a store older than this may miss a deletion."""
    now: Millis


@dataclass(slots=True)
class Progress:
    blockers: list[str] = field(default_factory=list)
    newest_set: str | None = None


def open_partition(recovery: Recovery, number: int, committed: Committed) -> tuple[Partition, Positions, Checkpoint]:
    """The partition, ready for its next batch; where to read on; and the checkpoint that its next commit follows.

    Raises SluiceError when the logs contradict what was committed.
    """
    bounds = recovery.log.bounds((topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS, topics.DISCLOSURES), number)
    previous, positions = _last_commit(recovery, committed, bounds)
    target = Folded(positions.driving, positions.joined, previous.disclosures)
    _check_logs(number, bounds, target)
    store, start = _usable_store(recovery, number, target, bounds)
    meta = store.meta()
    gap = start != target or meta is None
    if gap:
        found = _fold(recovery, number, store, start, target)
        _check_set(committed, found, recovery.identity)
        blockers = {*(meta.blockers if meta else ()), *found.blockers}
        _log.info("folded", partition=number, start=start._asdict(), stop=target._asdict())
    else:
        blockers = set(meta.blockers if meta else ())
    acknowledged = tuple(sorted(recovery.view.acknowledged))
    fresh = Meta(
        identity=_name(recovery.identity),
        updates=target.updates,
        consents=target.consents,
        disclosures=target.disclosures,
        written_at=recovery.now,
        catching_up=_must_catch_up(meta, target, gap=gap) or (meta is not None and meta.acknowledged != acknowledged),
        blockers=tuple(sorted(blockers)),
        acknowledged=acknowledged,
    )
    store.write({}, fresh)
    unsure = gap or (meta is not None and meta.catching_up)
    mark = bounds[topics.CUSTOMER_UPDATES].high if unsure else 0
    return Partition(number, store, fresh, mark, recovery.view), positions, previous


def _must_catch_up(meta: Meta | None, target: Folded, *, gap: bool) -> bool:
    """At the very first start there is nothing that an earlier life could have left behind."""
    if meta is None and target.disclosures == 0:
        return False
    return gap or (meta is not None and meta.catching_up)


def _last_commit(recovery: Recovery, committed: Committed, bounds: dict[str, Bounds]) -> tuple[Checkpoint, Positions]:
    if committed.positions is None:
        low = Positions(bounds[topics.CUSTOMER_UPDATES].low, bounds[topics.CONSENT_EVENTS].low)
        return Checkpoint(recovery.identity, bounds[topics.DISCLOSURES].high, Millis(0)), low
    previous = checkpoint.decode(committed.metadata)
    checkpoint.check(previous.identity, recovery.identity)
    return previous, committed.positions


def _check_logs(number: int, bounds: dict[str, Bounds], target: Folded) -> None:
    """The evidence must be whole: both logs from their beginning, up to at least where we were."""
    for topic, needed in ((topics.CONSENT_EVENTS, target.consents), (topics.DISCLOSURES, target.disclosures)):
        low, high = bounds[topic]
        if low > 0:
            raise SluiceError(
                f"{topic}/{number} begins at offset {low}: older records were deleted, and what customers said or "
                "partners hold can no longer be known. Restore the topic; it must keep its records for ever."
            )
        if high < needed:
            raise SluiceError(
                f"{topic}/{number} ends at offset {high}, but {needed} was committed: records were lost. Restore it."
            )


def _usable_store(recovery: Recovery, number: int, target: Folded, bounds: dict[str, Bounds]) -> tuple[Store, Folded]:
    """The store and the offsets that it folds; an empty one from the logs' beginning when it cannot be trusted."""
    folder = recovery.state / str(number)
    beginning = Folded(bounds[topics.CUSTOMER_UPDATES].low, 0, 0)
    try:
        store = Store(folder)
    except Unusable as error:
        _log.warning("store_discarded", partition=number, why=str(error))
        discard(folder)
        return Store(folder), beginning
    try:
        why, start = _judge_store(store, recovery, target, beginning)
    except Unusable as error:
        why, start = str(error), beginning
    if why is None:
        return store, start
    store.close()
    discard(folder)
    _log.info("store_rebuilt", partition=number, why=why)
    return Store(folder), beginning


def _judge_store(store: Store, recovery: Recovery, target: Folded, beginning: Folded) -> tuple[str | None, Folded]:
    meta = store.meta()
    if meta is None:
        return "there is none, or it was not finished", beginning
    start = Folded(meta.updates, meta.consents, meta.disclosures)
    if meta.identity != _name(recovery.identity):
        return "it is of another cluster, topics or contract set", beginning
    if any(have > want for have, want in zip(start, target, strict=True)):
        return "it is ahead of what is committed", beginning
    if recovery.now - meta.written_at > recovery.tombstones_kept_ms:
        return "it is older than the tombstones are kept", beginning
    if start.updates < beginning.updates:
        return "the updates that it lacks are gone", beginning
    return None, start


def _fold(recovery: Recovery, number: int, store: Store, start: Folded, target: Folded) -> Progress:
    """Fold what lies between, without emitting; restartable, for folding again gives the same rows."""
    found = Progress()

    def consent(row: Row, record: Record, customer: CustomerId) -> Row:
        try:
            return folding.with_consent(row, parse_event(recovery.view.decode(record.value), customer))
        except (Undecodable, Contradiction):
            return folding.with_unreadable_consent(row, folding.pointer(record))

    def disclosure(row: Row, record: Record, _customer: CustomerId) -> Row:
        try:
            decoded = recovery.view.decode(record.value)
        except Undecodable:
            where = folding.pointer(record)
            raise SluiceError(
                f"The disclosure {where} cannot be read: what partners hold is not known. Restore it."
            ) from None
        found.newest_set = decoded["contract_set"]
        return folding.with_disclosure(row, decoded)

    def update(row: Row, record: Record, _customer: CustomerId) -> Row:
        return folding.with_update(row, record)

    read = recovery.log.read
    partitions = recovery.view.partitions
    updates = read(topics.CUSTOMER_UPDATES, number, start.updates, target.updates)
    _fold_log(store, updates, update, partitions)
    consents = read(topics.CONSENT_EVENTS, number, start.consents, target.consents)
    nobodys = _fold_log(store, consents, consent, partitions)
    found.blockers += [str(folding.pointer(record)) for record in nobodys]
    disclosures = read(topics.DISCLOSURES, number, start.disclosures, target.disclosures)
    _fold_log(store, disclosures, disclosure, partitions)
    return found


def _fold_log(
    store: Store, records: Iterable[Record], change: Callable[[Row, Record, CustomerId], Row], partitions: int
) -> list[Record]:
    """Fold one log into the store, piece by piece; the records whose key names nobody are returned."""
    nobodys: list[Record] = []
    source = iter(records)
    while chunk := list(islice(source, _CHUNK)):
        named = [(folding.customer_of(record, partitions), record) for record in chunk]
        nobodys += [record for customer, record in named if customer is None]
        before = store.get(list({customer for customer, _ in named if customer is not None}))
        after = dict(before)
        for customer, record in named:
            if customer is not None:
                after[customer] = change(after[customer], record, customer)
        store.write({customer: (before[customer], row) for customer, row in after.items()}, None)
    return nobodys


def _check_set(committed: Committed, found: Progress, identity: Identity) -> None:
    """Without committed offsets the newest disclosure tells under which contract set the view stands (LOOP 20)."""
    if committed.positions is None and found.newest_set is not None:
        checkpoint.check(msgspec.structs.replace(identity, contracts=found.newest_set), identity)


def _name(identity: Identity) -> str:
    return f"{identity.cluster} {identity.topics} {identity.contracts}"
