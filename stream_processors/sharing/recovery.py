"""From what the logs and the store say to a partition that can go on: a gap folded, or everything rebuilt (LOOP 20-22).

Nothing is emitted here. What the fold cannot know, because compaction may have removed it, is settled by reconciling
every customer of the partition once the updates have been read to their end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from sluice import topics
from sluice.avro import Undecodable
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


@dataclass(frozen=True, slots=True)
class Opening:
    """One partition on its way from what was committed to its next batch."""

    recovery: Recovery
    number: int
    committed: Committed
    bounds: Mapping[str, Bounds]
    previous: Checkpoint
    positions: Positions

    @property
    def target(self) -> Folded:
        """What the store has to fold."""
        return Folded(self.positions.driving, self.positions.joined, self.previous.disclosures)

    @property
    def beginning(self) -> Folded:
        return Folded(self.bounds[topics.CUSTOMER_UPDATES].low, 0, 0)


@dataclass(slots=True)
class Found:
    """What folding came across beside the customers."""

    blockers: list[str] = field(default_factory=list)
    newest_set: str | None = None


def open_partition(recovery: Recovery, number: int, committed: Committed) -> tuple[Partition, Positions, Checkpoint]:
    """The partition, ready for its next batch; where to read on; and the checkpoint that its next commit follows.

    Raises SluiceError when the logs contradict what was committed, KafkaUnavailable.
    """
    bounds = recovery.log.bounds((topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS, topics.DISCLOSURES), number)
    previous, positions = _last_commit(recovery, committed, bounds)
    opening = Opening(recovery, number, committed, bounds, previous, positions)
    _check_logs(opening)
    store, start = _usable_store(opening)
    try:
        return _bring_to_target(opening, store, start), positions, previous
    except BaseException:
        store.close()
        raise


def _bring_to_target(opening: Opening, store: Store, start: Folded) -> Partition:
    """Fold what the store lacks, and say in its meta record what is still to be settled."""
    meta, target = store.meta(), opening.target
    acknowledged = tuple(sorted(opening.recovery.view.acknowledged))
    found = Found(blockers=list(meta.blockers) if meta else [])
    gap = meta is None or start != target
    if gap:
        _fold(opening, store, start, found)
        _check_set(opening, found)
        _log.info("folded", partition=opening.number, start=start._asdict(), stop=target._asdict())
    unsure = start != target or (meta is not None and meta.catching_up)
    fresh = Meta(
        identity=_name(opening.recovery.identity),
        updates=target.updates,
        consents=target.consents,
        disclosures=target.disclosures,
        written_at=opening.recovery.now,
        catching_up=unsure or (meta is not None and meta.acknowledged != acknowledged),
        blockers=tuple(sorted(set(found.blockers))),
        acknowledged=acknowledged,
    )
    store.write({}, fresh)
    mark = opening.bounds[topics.CUSTOMER_UPDATES].high if unsure else 0
    return Partition(store, fresh, mark, opening.recovery.view)


def _last_commit(recovery: Recovery, committed: Committed, bounds: dict[str, Bounds]) -> tuple[Checkpoint, Positions]:
    if committed.positions is None:
        low = Positions(bounds[topics.CUSTOMER_UPDATES].low, bounds[topics.CONSENT_EVENTS].low)
        return Checkpoint(recovery.identity, bounds[topics.DISCLOSURES].high, Millis(0)), low
    previous = checkpoint.decode(committed.metadata)
    checkpoint.check(previous.identity, recovery.identity)
    return previous, committed.positions


def _check_logs(opening: Opening) -> None:
    """The evidence must be whole: both logs from their beginning, up to at least where we were."""
    number, target = opening.number, opening.target
    for topic, needed in ((topics.CONSENT_EVENTS, target.consents), (topics.DISCLOSURES, target.disclosures)):
        low, high = opening.bounds[topic]
        if low > 0:
            raise SluiceError(
                f"{topic}/{number} begins at offset {low}: older records were deleted, and what customers said or "
                "partners hold can no longer be known. Restore the topic; it must keep its records for ever."
            )
        if high < needed:
            raise SluiceError(
                f"{topic}/{number} ends at offset {high}, but {needed} was committed: records were lost. Restore it."
            )


def _usable_store(opening: Opening) -> tuple[Store, Folded]:
    """The store and the offsets that it folds; an empty one from the logs' beginning when it cannot be trusted."""
    folder = opening.recovery.state / str(opening.number)
    try:
        store = Store(folder)
    except Unusable as error:
        return _new_store(opening, str(error))
    try:
        why, start = _judge_store(opening, store)
    except Unusable as error:
        why, start = str(error), opening.beginning
    if why is None:
        return store, start
    store.close()
    return _new_store(opening, why)


def _new_store(opening: Opening, why: str) -> tuple[Store, Folded]:
    folder = opening.recovery.state / str(opening.number)
    _log.info("store_rebuilt", partition=opening.number, why=why)
    discard(folder)
    return Store(folder), opening.beginning


def _judge_store(opening: Opening, store: Store) -> tuple[str | None, Folded]:
    """Why the store is of no use, if so; and the offsets that it folds."""
    meta = store.meta()
    if meta is None:
        return "there is none, or it was not finished", opening.beginning
    start = Folded(meta.updates, meta.consents, meta.disclosures)
    recovery = opening.recovery
    if meta.identity != _name(recovery.identity):
        return "it is of another cluster, topics or contract set", start
    if any(have > want for have, want in zip(start, opening.target, strict=True)):
        return "it is ahead of what is committed", start
    if recovery.now - meta.written_at > recovery.tombstones_kept_ms:
        return "it is older than the tombstones are kept", start
    if start.updates < opening.beginning.updates:
        return "the updates that it lacks are gone", start
    return None, start


def _fold(opening: Opening, store: Store, start: Folded, found: Found) -> None:
    """Fold what lies between, without emitting; restartable, for folding again gives the same rows."""
    view, read, number, target = opening.recovery.view, opening.recovery.log.read, opening.number, opening.target

    def update(row: Row, record: Record, _customer: CustomerId) -> Row:
        return folding.with_update(row, record)

    def consent(row: Row, record: Record, customer: CustomerId) -> Row:
        return folding.with_consent(row, customer, folding.consent_in(record), view.decode)[0]

    def disclosure(row: Row, record: Record, _customer: CustomerId) -> Row:
        try:
            decoded = view.decode(record.value)
        except Undecodable:
            where = folding.pointer(record)
            raise SluiceError(
                f"The disclosure {where} cannot be read: what partners hold is not known. Restore it."
            ) from None
        found.newest_set = decoded["contract_set"]
        return folding.with_disclosure(row, decoded)

    updates = read(topics.CUSTOMER_UPDATES, number, start.updates, target.updates)
    _fold_log(store, updates, update, view)
    consents = read(topics.CONSENT_EVENTS, number, start.consents, target.consents)
    nobodys = _fold_log(store, consents, consent, view)
    found.blockers += [str(folding.pointer(record)) for record in nobodys]
    disclosures = read(topics.DISCLOSURES, number, start.disclosures, target.disclosures)
    _fold_log(store, disclosures, disclosure, view)


def _fold_log(
    store: Store, records: Iterable[Record], change: Callable[[Row, Record, CustomerId], Row], view: View
) -> list[Record]:
    """Fold one log into the store, piece by piece; the records whose key names nobody are returned."""
    nobodys: list[Record] = []
    source = iter(records)
    while chunk := list(islice(source, _CHUNK)):
        named = [(folding.customer_of(record, view.partitions, view.acknowledged), record) for record in chunk]
        nobodys += [record for customer, record in named if customer is None]
        before = store.get(list({customer for customer, _ in named if customer is not None}))
        after = dict(before)
        for customer, record in named:
            if customer is not None:
                after[customer] = change(after[customer], record, customer)
        store.write({customer: (before[customer], row) for customer, row in after.items()}, None)
    return nobodys


def _check_set(opening: Opening, found: Found) -> None:
    """Without committed offsets the newest disclosure tells under which contract set the view stands (LOOP 20)."""
    identity = opening.recovery.identity
    if opening.committed.positions is None and found.newest_set is not None:
        checkpoint.check(msgspec.structs.replace(identity, contracts=found.newest_set), identity)


def _name(identity: Identity) -> str:
    return f"{identity.cluster} {identity.topics} {identity.contracts}"
