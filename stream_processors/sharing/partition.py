"""One partition's customers: what a batch of inputs makes of them. Nothing here writes to Kafka or reads a clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import msgspec

from sluice.avro import FRAME_BYTES, Undecodable, unframe
from sluice.errors import SluiceError
from sluice.kafka.clients import Record
from sluice.kafka.transactions import Ends
from sluice.keys import CustomerKeys
from sluice.model import Cause, CustomerId, Millis, Outcome, Pointer, Recalled, Rejected
from sluice.projection import SourceReader, Unread
from sluice.registry import RegistryUnavailable
from sluice.ruling import Policy
from sluice.store import Meta, Row, Store, Unusable, discard
from stream_processors.sharing import folding, output
from stream_processors.sharing.folding import Decode
from stream_processors.sharing.output import Decided, Output, Writers
from stream_processors.sharing.pipeline import (
    DELETED,
    NO_PROFILE,
    UNREADABLE,
    Case,
    Partnership,
    Profile,
    needs_customer_key,
    reconcile,
    ruling_on,
)

_OPEN_TRANSACTION_MS = 1_000
_RETRY_UNREAD_MS = 1_000


@dataclass(frozen=True, slots=True)
class View:
    """What every decision of this process depends on, beside the customers."""

    partnerships: tuple[Partnership, ...]
    writers: Writers
    decode: Decode
    source: SourceReader
    policy: Policy
    acknowledged: frozenset[str]
    partitions: int
    chunk: int
    """How many customers that no input names are reconciled in one batch, at the most."""
    customer_keys: CustomerKeys | None
    """None only where no contract encrypts with them."""


class Situation(NamedTuple):
    """What the barrier of a batch found for one partition."""

    ends: Ends
    reached: int
    """The offset that the updates have been read to, those of the batch included."""
    complete: bool
    """Every consent event below the ends was judged, or is in the batch; otherwise nothing may be added."""
    moment: Moment


class Moment(NamedTuple):
    """When a batch is judged: the decision's time, and a clock that only goes forward (milliseconds)."""

    now: Millis
    monotonic_ms: float


@dataclass(slots=True)
class Touched:
    """One customer in one batch."""

    before: Row
    after: Row
    covers: list[Pointer] = field(default_factory=list)
    asked: bool = False
    """A consent event of this customer is in the batch."""
    consent_timestamp: int = 0
    update: Record | None = None
    """The newest update in the batch."""
    profile: Profile | None = None
    """Of that update, when it has been read already."""


@dataclass(slots=True)
class Batch:
    """What one batch makes of one partition; applied only when its transaction is committed."""

    outputs: list[Output] = field(default_factory=list)
    rows: dict[CustomerId, tuple[Row, Row]] = field(default_factory=dict)
    outcomes: list[tuple[Partnership, Outcome]] = field(default_factory=list)
    rejects: list[tuple[str, Cause]] = field(default_factory=list)
    recall_timestamps: list[int] = field(default_factory=list)
    """Of the consent events that caused recalls."""
    blockers: list[str] = field(default_factory=list)
    updated: set[CustomerId] = field(default_factory=set)
    scanned_to: CustomerId | None = None
    scan_ended: bool = False
    waited_to: bytes | None = None
    unread: bool = False


class OpenTransactionWatch:
    """Notices an upstream transaction that hides consents (LOOP 14).

    Its sign: the stable end stays below a high watermark that was seen more than a second ago.
    """

    def __init__(self) -> None:
        self._seen_at_ms = 0.0
        self._high = -1
        self.hides_consents = False

    def observe(self, ends: Ends, monotonic_ms: float) -> None:
        if ends.joined_stable >= self._high:
            self._high, self._seen_at_ms, self.hides_consents = ends.joined_high, monotonic_ms, False
        elif monotonic_ms - self._seen_at_ms > _OPEN_TRANSACTION_MS:
            self.hides_consents = True


class Partition:
    """State of one assigned partition between batches."""

    def __init__(self, store: Store, meta: Meta, mark: int, view: View) -> None:
        """`mark`: the updates' high watermark at assignment; see LOOP 22."""
        self.store = store
        self.meta = meta
        self.watch = OpenTransactionWatch()
        self._view = view
        self._mark = mark
        self._updated: set[CustomerId] = set()
        self._scan_from: CustomerId | None = None
        self._wait_from: bytes | None = None
        self._retry_unread_at = 0.0

    def step(self, updates: Sequence[Record], consents: Sequence[Record], situation: Situation) -> Batch:
        """Fold the inputs, then reconcile each customer once: those touched, those who waited, those not yet caught up.

        Raises Misplaced, and SluiceError when the store is damaged.
        """
        batch = Batch()
        self.watch.observe(situation.ends, situation.moment.monotonic_ms)
        try:
            touched = self._touch(updates, consents, situation, batch)
        except Unusable as error:
            self.store.close()
            discard(self.store.folder)
            raise SluiceError(f"{error} It has been discarded; start the processor again, and it is rebuilt.") from None
        self._fold_consents(consents, touched, situation.moment, batch)
        self._fold_updates(updates, touched, situation.moment, batch)
        for customer, case in touched.items():
            self._settle(customer, case, situation, batch)
        return batch

    def stopped_by(self, batch: Batch | None = None) -> list[str]:
        """Why nothing may be added on this partition now; empty: it may."""
        blockers = {*self.meta.blockers, *(batch.blockers if batch else ())} - self._view.acknowledged
        reasons = ["unreadable_consent_key"] if blockers else []
        return reasons + (["open_transaction"] if self.watch.hides_consents else [])

    def apply(self, batch: Batch, meta: Meta, moment: Moment) -> None:
        """The transaction is committed: write the rows and remember how far we are (LOOP 7i)."""
        self.meta = msgspec.structs.replace(
            meta,
            blockers=tuple(sorted({*self.meta.blockers, *batch.blockers})),
            catching_up=self.meta.catching_up and not batch.scan_ended,
        )
        self.store.write(batch.rows, self.meta)
        self._wait_from = batch.waited_to
        if batch.scanned_to is not None:
            self._scan_from = batch.scanned_to
        self._updated = self._updated | batch.updated if self.meta.catching_up else set()
        if batch.unread:
            self._retry_unread_at = moment.monotonic_ms + _RETRY_UNREAD_MS

    def _touch(
        self, updates: Iterable[Record], consents: Iterable[Record], situation: Situation, batch: Batch
    ) -> dict[CustomerId, Touched]:
        named = [self._customer_of(record) for record in (*updates, *consents)]
        customers = [customer for customer in named if customer is not None]
        marked = not self._is_before_mark(situation.reached)
        rested = situation.moment.monotonic_ms >= self._retry_unread_at
        if marked and rested and situation.complete and not self.stopped_by():
            due, batch.waited_to = self.store.waiting(situation.reached, self._view.chunk, self._wait_from)
            customers += due
        if marked and self.meta.catching_up:
            chunk = self.store.customers(self._scan_from, self._view.chunk)
            batch.scan_ended = len(chunk) < self._view.chunk
            batch.scanned_to = chunk[-1] if chunk else None
            customers += chunk
        rows = self.store.get(list(dict.fromkeys(customers)))
        return {customer: Touched(row, row) for customer, row in rows.items()}

    def _fold_consents(
        self, consents: Iterable[Record], touched: Mapping[CustomerId, Touched], moment: Moment, batch: Batch
    ) -> None:
        for record in consents:
            where = folding.pointer(record)
            customer = self._customer_of(record)
            if customer is None:  # LOOP 25
                batch.blockers.append(str(where))
                self._reject(record, folding.not_named(record, self._view.acknowledged), moment, batch)
                continue
            case = touched[customer]
            case.asked = True
            case.covers.append(where)
            case.consent_timestamp = max(case.consent_timestamp, record.timestamp)
            event = folding.consent_in(record)
            try:
                case.after, cause = folding.with_consent(case.after, customer, event, self._view.decode)
            except RegistryUnavailable:
                case.after = folding.with_unread_consent(case.after, event)
                continue
            if cause is not None:
                self._reject(record, cause, moment, batch)

    def _read_consents(self, customer: CustomerId, touched: Touched, batch: Batch) -> None:
        """Events that could not be read for want of their schema are tried again."""
        waiting = touched.after.consents.unread
        if not waiting:
            return
        consents = msgspec.structs.replace(touched.after.consents, unread=())
        touched.after = folding.with_consents(touched.after, consents)
        for event in waiting:
            try:
                touched.after, _ = folding.with_consent(touched.after, customer, event, self._view.decode)
            except RegistryUnavailable:
                touched.after = folding.with_unread_consent(touched.after, event)
                batch.unread = True

    def _fold_updates(
        self, updates: Iterable[Record], touched: Mapping[CustomerId, Touched], moment: Moment, batch: Batch
    ) -> None:
        for record in updates:
            customer = self._customer_of(record)
            if customer is None:
                self._reject(record, folding.not_named(record, self._view.acknowledged), moment, batch)
                continue
            case = touched[customer]
            case.covers.append(folding.pointer(record))
            case.after = folding.with_update(case.after, record)
            case.update = record
            batch.updated.add(customer)
            case.profile = self._read(case.after, record, moment, batch)

    def _read(self, row: Row, record: Record | None, moment: Moment, batch: Batch) -> Profile:
        """The profile in a row; `record` is the update it came with, to be pointed at if it cannot be read."""
        if row.profile is None:
            return DELETED if row.deleted else NO_PROFILE
        try:
            profile = self._view.source.read(row.profile)
        except Undecodable as error:
            if record is not None:
                self._reject(record, error.cause, moment, batch)
            return UNREADABLE
        if isinstance(profile, Unread):
            batch.unread = True
        return profile

    def _settle(self, customer: CustomerId, touched: Touched, situation: Situation, batch: Batch) -> None:
        """One customer: reconcile at every partner, and note what follows."""
        now = situation.moment.now
        self._read_consents(customer, touched, batch)
        profile = self._profile(customer, touched, situation, batch)
        may_widen, widen_at = self._widening(touched, profile, situation, batch)
        ruling = ruling_on(touched.after, profile, self._view.policy, now)
        case = self._with_key(Case(customer, touched.after, profile, ruling, may_widen, now, self._view.policy))
        outcomes = tuple((partner, reconcile(case, partner)) for partner in self._view.partnerships)
        decided = Decided(customer, outcomes, tuple(touched.covers), now)
        batch.outputs += output.outputs(decided, self._view.writers)
        batch.outputs += self._partner_rejects(touched, decided)
        batch.outcomes += outcomes
        if touched.asked:
            recalls = sum(isinstance(outcome, Recalled) for _, outcome in outcomes)
            batch.recall_timestamps += [touched.consent_timestamp] * recalls
        after = msgspec.structs.replace(
            output.held_after(touched.after, decided), widen_at=widen_at, ruling=ruling or touched.after.ruling
        )
        if after.is_empty:
            after = Row()
        if after != touched.before:
            batch.rows[customer] = touched.before, after

    def _with_key(self, case: Case) -> Case:
        """With the customer's own key, fetched once, if a partner is to get what is sealed with it."""
        customer_keys = self._view.customer_keys
        if customer_keys is None or not needs_customer_key(case, self._view.partnerships):
            return case
        return replace(case, customer_key=customer_keys.key_of(case.customer))

    def _widening(
        self, touched: Touched, profile: Profile, situation: Situation, batch: Batch
    ) -> tuple[bool, int | None]:
        """Whether anything may be added for this customer now; if not, the offset to wait for."""
        widen_at = touched.after.widen_at
        if touched.asked:
            widen_at = situation.ends.driving_high  # LOOP 12: a yes waits for the updates that were there
        if self._is_before_mark(situation.reached):
            return False, widen_at  # LOOP 22: who has to wait may be forgotten; everybody is settled at the mark
        unread = isinstance(profile, Unread) or bool(touched.after.consents.unread)
        if unread or self.stopped_by(batch) or not situation.complete:  # LOOP 14, 25
            return False, situation.reached if widen_at is None else widen_at
        if widen_at is not None and situation.reached < widen_at:
            return False, widen_at
        return True, None

    def _customer_of(self, record: Record) -> CustomerId | None:
        return folding.customer_of(record, self._view.partitions, self._view.acknowledged)

    def _is_before_mark(self, reached: int) -> bool:
        return self.meta.catching_up and reached < self._mark

    def _profile(self, customer: CustomerId, touched: Touched, situation: Situation, batch: Batch) -> Profile:
        if touched.profile is not None:
            return touched.profile
        if self._is_before_mark(situation.reached) and customer not in self._updated:
            return Unread()  # LOOP 22: compaction may have removed the update that says otherwise
        return self._read(touched.after, None, situation.moment, batch)

    def _partner_rejects(self, touched: Touched, decided: Decided) -> Iterable[Output]:
        """Pointers for records that one partner could not be given, if an update in this batch is to blame."""
        if touched.update is None:
            return
        for partner, outcome in decided.outcomes:
            if isinstance(outcome, Rejected):
                where = folding.pointer(touched.update)
                yield output.rejected(
                    where,
                    outcome.cause,
                    touched.update.key,
                    decided.now,
                    self._view.writers,
                    schema_id=_schema_id(touched.update),
                    partner=partner.partner,
                )

    def _reject(self, record: Record, cause: Cause, moment: Moment, batch: Batch) -> None:
        batch.rejects.append((record.topic, cause))
        batch.outputs.append(
            output.rejected(
                folding.pointer(record),
                cause,
                record.key,
                moment.now,
                self._view.writers,
                schema_id=_schema_id(record),
            )
        )


def _schema_id(record: Record) -> int | None:
    """The schema that the record claims to have, as far as an Avro int can say it."""
    if record.value is None or len(record.value) < FRAME_BYTES or record.value[0] != 0:
        return None
    schema_id, _ = unframe(record.value)
    return schema_id if schema_id < 1 << 31 else None
