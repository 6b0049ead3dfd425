"""One partition's customers: what a batch of inputs makes of them. Nothing here writes to Kafka or reads a clock."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec

from sluice import topics
from sluice.avro import FRAME_BYTES, Undecodable, unframe
from sluice.log import Positions, Record
from sluice.model import Cause, CustomerId, Millis, Recalled, Rejected
from sluice.projection import Snapshot, Unread
from sluice.registry import RegistryUnavailable
from sluice.store import Meta, Row, Store, Unusable, added
from stream_processors.sharing import folding, output
from stream_processors.sharing.batch import Batch, Moment, Situation, Touched
from stream_processors.sharing.brake import Brake
from stream_processors.sharing.folding import Misplaced
from stream_processors.sharing.freshness import Freshness
from stream_processors.sharing.output import Decided, Output
from stream_processors.sharing.parties import Party
from stream_processors.sharing.pipeline import (
    DELETED,
    NO_PROFILE,
    UNREADABLE,
    Case,
    Profile,
    needs_customer_key,
    next_due,
    reconcile,
    ruling_on,
)
from stream_processors.sharing.refusals import Refusals
from stream_processors.sharing.standing import StandingAnswers
from stream_processors.sharing.view import View

OPEN_TRANSACTION_MS = 1_000
_RETRY_UNREAD_MS = 1_000
_UNREAD_AGAIN_MS = 5_000
"""Whoever waits for the registry has been tried again by then."""
_NEVER = 1 << 62

_Named = tuple[Record, CustomerId | Misplaced | None]
"""An input, and whom it is about."""


class OpenTransactionWatch:
    """Notices a transaction that hides what was written behind it (LOOP 5, 14).

    Its sign: the stable end stays below a high watermark that was seen more than a second ago.
    """

    def __init__(self) -> None:
        self._seen_at_ms = 0.0
        self._high = -1
        self.hides = False

    def observe(self, stable: int, high: int, monotonic_ms: float) -> None:
        if stable >= self._high:
            self._high, self._seen_at_ms, self.hides = high, monotonic_ms, False
        elif monotonic_ms - self._seen_at_ms > OPEN_TRANSACTION_MS:
            self.hides = True


class Partition:
    """State of one assigned partition between batches."""

    def __init__(self, number: int, store: Store, meta: Meta, mark: int, view: View) -> None:
        """`mark`: the updates' high watermark at assignment; see LOOP 22."""
        self.number = number
        self.store = store
        self.meta = meta
        self.brake = Brake(view.brake)
        self._inputs_watch = OpenTransactionWatch()
        self._freshness = Freshness()
        self._view = view
        self._refusals = Refusals(view.parties)
        self._standing = StandingAnswers(view)
        self._mark = mark
        self._updated: set[CustomerId] = set()
        self._to_scan = meta.customers if meta.catching_up else 0
        self._wait_from: bytes | None = None
        self._retry_unread_at = 0.0
        self._unread_at: float | None = None

    @property
    def view(self) -> View:
        return self._view

    @property
    def to_reconcile(self) -> int:
        """Customers that are still to be reconciled to catch up, about."""
        return max(self._to_scan, 0) if self.meta.catching_up else 0

    def adopt(self, view: View) -> None:
        """Another contract set: everybody is reconciled under it, from the first customer on.

        What that means is written with the next batch; a restart before it begins anew, for it only compares.
        """
        self._view, self._to_scan = view, self.meta.customers
        self._refusals, self._standing = Refusals(view.parties), StandingAnswers(view)
        self.meta = msgspec.structs.replace(self.meta, rules=view.rules, catching_up=True, scanned_to=None)

    def check_age(self, now: Millis, tombstones_kept_ms: int) -> None:
        """Raises Unusable when a deletion may have been removed from the updates before it was read (LOOP 21)."""
        if now - self.meta.as_of > tombstones_kept_ms:
            raise Unusable("Updates waited for longer than their tombstones are kept: a deletion may be gone.")

    def step(self, updates: Sequence[Record], consents: Sequence[Record], situation: Situation) -> Batch:
        """Fold the inputs, then reconcile each customer once: those touched, and of the others those whose turn it is.

        Raises Unusable when the store is damaged.
        """
        ends, now = situation.ends, situation.moment.now
        batch = Batch(as_of=self._freshness.reached(situation.reached, ends.driving_high, now))
        self._inputs_watch.observe(ends.joined_stable, ends.joined_high, situation.moment.monotonic_ms)
        changed = [(record, folding.named(record, self._view.partitions)) for record in updates]
        asked = [(record, folding.named(record, self._view.partitions)) for record in consents]
        others = self._background(situation, batch)
        stored = self.store.stored(_customers([*changed, *asked], others))
        in_question = {*others, *(customer for _, customer in asked)}
        left = self._repeat(changed, in_question, stored, situation, batch)
        touched = self._touch([*left, *asked], others, stored, batch)
        self._fold_consents(asked, touched, situation.moment, batch)
        self._fold_updates(left, touched, situation.moment, batch)
        for customer, case in touched.items():
            self._settle(customer, case, situation, batch)
        self._refusals.tell(batch)
        if batch.unread:
            self._unread_at = situation.moment.monotonic_ms
        batch.settled = self._is_settled(batch, situation.moment)
        return batch

    def stopped_by(self, batch: Batch | None = None) -> list[str]:
        """Why nothing may be added on this partition now; empty: it may."""
        blockers = {*self.meta.blockers, *(batch.blockers if batch else ())} - self._view.acknowledged
        reasons = ["unreadable_consent_key"] if blockers else []
        return reasons + (["open_transaction"] if self._inputs_watch.hides else [])

    def lacks_registry(self, monotonic_ms: float) -> bool:
        """Whether inputs wait here that cannot be read without it."""
        return self._unread_at is not None and monotonic_ms - self._unread_at < _UNREAD_AGAIN_MS

    def brakes(self, batch: Batch) -> bool:
        """Whether the batch holds so many rejects that nothing of its updates may be used (LOOP 24)."""
        return self.brake.trips(self._counted(batch))

    def _counted(self, batch: Batch) -> Iterator[bool]:
        """The batch's updates: whether each is a reject that no operator has let pass."""
        here = f"{topics.CUSTOMER_UPDATES}/{self.number}@"
        seen = max((int(p.removeprefix(here)) for p in self._view.acknowledged if p.startswith(here)), default=-1)
        return (rejected and offset > seen for offset, rejected in sorted(batch.updates.items()))

    def _is_settled(self, batch: Batch, moment: Moment) -> bool:
        """Whether the view is what the inputs say, once this batch is applied: nobody waits for their turn."""
        catching_up = self.meta.catching_up and not batch.scan_ended
        waiting = any(after.widen_at is not None for _, after in batch.rows.values())
        listed = len(batch.rows) + 1
        others = {*self.store.waiting(_NEVER, listed)[0], *self.store.due(moment.now, listed)} - batch.rows.keys()
        return not (catching_up or waiting or others or batch.unread or self.stopped_by(batch))

    def apply(self, batch: Batch, positions: Positions, disclosures: int, moment: Moment) -> None:
        """What the batch made is certain: write the rows and remember how far we are (LOOP 7i)."""
        self.meta = msgspec.structs.replace(
            self.meta,
            updates=positions.driving,
            consents=positions.joined,
            disclosures=disclosures,
            as_of=max(self.meta.as_of, batch.as_of or 0),
            customers=self.meta.customers + added(batch.rows),
            blockers=tuple(sorted({*self.meta.blockers, *batch.blockers})),
            catching_up=self.meta.catching_up and not batch.scan_ended,
            scanned_to=None if batch.scan_ended else batch.scanned_to or self.meta.scanned_to,
        )
        self.store.write(batch.rows, self.meta, batch.standing, batch.repeated)
        self.brake.passed(self._counted(batch))
        self._to_scan -= batch.scanned
        self._wait_from = batch.waited_to
        self._updated = self._updated | batch.updated if self.meta.catching_up else set()
        if batch.unread:
            self._retry_unread_at = moment.monotonic_ms + _RETRY_UNREAD_MS

    def _repeat(
        self,
        updates: Sequence[_Named],
        in_question: Collection[CustomerId | Misplaced | None],
        stored: Mapping[CustomerId, bytes | None],
        situation: Situation,
        batch: Batch,
    ) -> Sequence[_Named]:
        """What is carried out because an answer stands; gives the updates that are left for the full way."""
        if None in in_question or not self._may_add(situation, batch):
            return updates
        left: list[_Named] = []
        of_customers: dict[CustomerId, list[Record]] = {}
        for record, customer in updates:
            if isinstance(customer, str) and customer not in in_question:
                of_customers.setdefault(customer, []).append(record)
            else:
                left.append((record, customer))
        for customer, records in of_customers.items():
            row = stored[customer]
            if row is None or not self._standing.repeat(customer, row, records, situation, batch):
                left += [(record, customer) for record in records]
            else:
                for record in records:
                    batch.updates[record.offset] = False
        return left

    def _may_add(self, situation: Situation, batch: Batch) -> bool:
        """Whether anything may be added for anybody now."""
        before_mark = self._is_before_mark(situation.reached)
        return situation.complete and not before_mark and not self.stopped_by(batch)

    def _touch(
        self,
        inputs: Iterable[_Named],
        others: list[CustomerId],
        stored: Mapping[CustomerId, bytes | None],
        batch: Batch,
    ) -> dict[CustomerId, Touched]:
        touched: dict[CustomerId, Touched] = {}
        for customer in _customers(inputs, others):
            row = self.store.row(stored[customer])
            touched[customer] = Touched(row, row)
        batch.customers = len(touched) + len(batch.repeated)
        return touched

    def _background(self, situation: Situation, batch: Batch) -> list[CustomerId]:
        """Customers that no input names: who waited long enough, whose time has come, who is not caught up yet."""
        room = situation.allowance
        chosen = self.store.due(situation.moment.now, room)
        marked = not self._is_before_mark(situation.reached)
        rested = situation.moment.monotonic_ms >= self._retry_unread_at
        if marked and rested and situation.complete and not self.stopped_by():
            waited, batch.waited_to = self.store.waiting(situation.reached, room, self._wait_from)
            chosen += waited
        chosen += situation.requested
        room -= len(chosen)
        if marked and situation.complete and self.meta.catching_up and room > 0:
            chunk = self.store.customers(self.meta.scanned_to, room)
            batch.scan_ended = len(chunk) < room
            batch.scanned_to, batch.scanned = (chunk[-1] if chunk else None), len(chunk)
            chosen += chunk
        batch.background = len(chosen)
        return chosen

    def _fold_consents(
        self, consents: Iterable[_Named], touched: Mapping[CustomerId, Touched], moment: Moment, batch: Batch
    ) -> None:
        for record, customer in consents:
            where = folding.pointer(record)
            if isinstance(customer, Misplaced):  # LOOP 15
                batch.misplaced.append((record, customer.rightful))
                self._reject(record, Cause.MISPLACED, moment, batch)
                continue
            if customer is None:  # LOOP 25
                batch.blockers.append(str(where))
                self._reject(record, Cause.KEY_UNREADABLE, moment, batch)
                continue
            case = touched[customer]
            case.asked = True
            case.covers.append(where)
            event = folding.consent_in(record)
            try:
                case.after, cause = folding.with_consent(case.after, customer, event, self._view.decode)
            except RegistryUnavailable:
                case.after = folding.with_unread_consent(case.after, event)
                continue
            case.consent_timestamp = max(case.consent_timestamp, record.timestamp)
            if cause is not None:
                self._reject(record, cause, moment, batch)

    def _read_consents(self, customer: CustomerId, touched: Touched, moment: Moment, batch: Batch) -> None:
        """Events that could not be read for want of their schema are tried again."""
        waiting = touched.after.consents.unread
        if not waiting:
            return
        consents = msgspec.structs.replace(touched.after.consents, unread=())
        touched.after = folding.with_consents(touched.after, consents)
        for event in waiting:
            try:
                touched.after, cause = folding.with_consent(touched.after, customer, event, self._view.decode)
            except RegistryUnavailable:
                touched.after = folding.with_unread_consent(touched.after, event)
                batch.unread = True
                continue
            touched.consent_timestamp = max(touched.consent_timestamp, event.logged_at)
            if cause is not None:
                self._reject(folding.record_of(event, customer), cause, moment, batch)

    def _fold_updates(
        self, updates: Iterable[_Named], touched: Mapping[CustomerId, Touched], moment: Moment, batch: Batch
    ) -> None:
        for record, customer in updates:
            batch.updates[record.offset] = False
            if isinstance(customer, Misplaced):  # LOOP 15
                if record.value is None:
                    batch.misplaced.append((record, customer.rightful))
                self._reject_update(record, Cause.MISPLACED, moment, batch)
                continue
            if customer is None:
                self._reject_update(record, Cause.KEY_UNREADABLE, moment, batch)
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
                self._reject_update(record, error.cause, moment, batch)
            return UNREADABLE
        if isinstance(profile, Unread):
            batch.unread = True
        return profile

    def _settle(self, customer: CustomerId, touched: Touched, situation: Situation, batch: Batch) -> None:
        """One customer: reconcile at every partner, and note what follows."""
        now = situation.moment.now
        self._read_consents(customer, touched, situation.moment, batch)
        profile = self._profile(customer, touched, situation, batch)
        may_widen, widen_at = self._widening(touched, profile, situation, batch)
        row = touched.after
        ruling = ruling_on(row.consents, profile, self._view.policy, now)
        case = Case(customer, row, profile, ruling, may_widen, now, self._view.policy)
        refused = self._refusals.of(case)
        asked = self._refusals.asked(refused)
        case = self._with_key(case, asked)
        outcomes = tuple([(party, reconcile(case, party)) for party in asked])
        decided = Decided(customer, outcomes, tuple(touched.covers), now)
        batch.outputs += output.outputs(decided, self._view.writers)
        batch.outputs += self._partner_rejects(touched, decided, batch)
        batch.outcomes += outcomes
        batch.refused[bytes(refused)] += 1
        if touched.consent_timestamp:
            recalls = sum(isinstance(outcome, Recalled) for _, outcome in outcomes)
            batch.recall_timestamps += [touched.consent_timestamp] * recalls
        held = output.held_after(row.held, decided)
        after = Row(row.profile, row.deleted, row.consents, widen_at, held, next_due(case, held, asked))
        if after.is_empty:
            after = Row()
        if after != touched.before:
            batch.rows[customer] = touched.before, after
            batch.standing[customer] = self._standing.of(case, after, refused)

    def _with_key(self, case: Case, asked: Sequence[Party]) -> Case:
        """With the customer's own key, fetched once, if a partner is to get what is sealed with it."""
        customer_keys = self._view.customer_keys
        if customer_keys is None or not needs_customer_key(case, asked):
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

    def _is_before_mark(self, reached: int) -> bool:
        """Whether everybody is still to be settled at the mark; once that has begun, it is behind for good."""
        return self.meta.catching_up and self.meta.scanned_to is None and reached < self._mark

    def _profile(self, customer: CustomerId, touched: Touched, situation: Situation, batch: Batch) -> Profile:
        profile = touched.profile
        if profile is None:
            if self._is_before_mark(situation.reached) and customer not in self._updated:
                return Unread()  # LOOP 22: compaction may have removed the update that says otherwise
            profile = self._read(touched.after, None, situation.moment, batch)
        if isinstance(profile, Snapshot) and (touched.after.consents.unread or not situation.complete):
            return Unread()  # a withdrawal may be among what is unread: nobody is given anything new
        return profile

    def _partner_rejects(self, touched: Touched, decided: Decided, batch: Batch) -> list[Output]:
        """Pointers for records that one partner could not be given, if an update in this batch is to blame."""
        found: list[Output] = []
        if touched.update is None:
            return found
        for party, outcome in decided.outcomes:
            if isinstance(outcome, Rejected):
                batch.updates[touched.update.offset] = True
                found.append(
                    output.rejected(
                        folding.pointer(touched.update),
                        outcome.cause,
                        touched.update.key,
                        decided.now,
                        self._view.writers,
                        schema_id=_schema_id(touched.update),
                        partner=party.partner,
                    )
                )
        return found

    def _reject_update(self, record: Record, cause: Cause, moment: Moment, batch: Batch) -> None:
        batch.updates[record.offset] = True
        self._reject(record, cause, moment, batch)

    def _reject(self, record: Record, cause: Cause, moment: Moment, batch: Batch) -> None:
        batch.rejects.append((record, cause))
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


def _customers(inputs: Iterable[_Named], others: Iterable[CustomerId]) -> list[CustomerId]:
    """Each once."""
    named = [customer for _, customer in inputs if isinstance(customer, str)]
    return list(dict.fromkeys([*named, *others]))


def _schema_id(record: Record) -> int | None:
    """The schema that the record claims to have, as far as an Avro int can say it."""
    if record.value is None or len(record.value) < FRAME_BYTES or record.value[0] != 0:
        return None
    schema_id, _ = unframe(record.value)
    return schema_id if schema_id < 1 << 31 else None
