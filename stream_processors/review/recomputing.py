"""What a partner may hold of a customer, recomputed from whole records: no slices, no cache, no store. Pure.

The definitions are shared with the processor, and nothing of what carries them out: who may hold what
(`sluice.decision`), what becomes of a value (`sluice.redaction`), which rows a contract is about
(`sluice.row_filter`), what keys make (`sluice.keys`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from sluice import field_path, keys, redaction
from sluice.consent import ConsentRecord, Contradiction, parse_event
from sluice.contract import CheckedContract, partner_field, partner_schema
from sluice.decision import Customer, Denied, Permitted, decide
from sluice.facts import Facts, read_facts
from sluice.field_path import ABSENT, FieldPath
from sluice.keys import CustomerKey, MasterKey, NoKey, PartnerKeys
from sluice.law.pack import Law
from sluice.log import Record
from sluice.model import Cause, CustomerId, Held, Millis, PartnerId, Pseudonym, Reason
from sluice.redaction import Target
from sluice.terms import Terms
from stream_processors.review.apache_avro import Codec, Encoder, Unreadable, Unwritable, Value
from stream_processors.review.evidence import Testimony

OVERHEAD_BYTES: Final = 200
"""What a record batch may add to key and value of its only record: part of what counts as too large."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One partner's contract, as it is to be carried out."""

    contract: CheckedContract
    digest: str
    keys: PartnerKeys
    encoder: Encoder
    max_bytes: int
    """The most that the partner's topic takes in one batch of records."""
    unanswered: bool = False
    """It leaves recalls unanswered, and is paused if its contract says so."""

    @property
    def partner(self) -> PartnerId:
        return self.contract.partner

    @property
    def paused(self) -> bool:
        written = self.contract.contract
        return written.paused or (self.unanswered and written.limits.pause_when_overdue)

    @classmethod
    def of(
        cls, contract: CheckedContract, master: MasterKey, schema_id: int, max_bytes: int, *, unanswered: bool = False
    ) -> Agreement:
        """`schema_id`: of the partner's records, as registered."""
        keys_now = PartnerKeys.of(master, contract.partner, contract.contract.pseudonym_epoch)
        encoder = Encoder(partner_schema(contract), schema_id)
        return cls(contract, contract.digest(master), keys_now, encoder, max_bytes, unanswered)

    def pseudonym(self, customer: CustomerId) -> Pseudonym:
        return keys.pseudonym(self.keys.record, customer)


@dataclass(frozen=True, slots=True)
class Book:
    """What everything is recomputed by."""

    agreements: Mapping[PartnerId, Agreement | None]
    """Every partner there is; None where no contract is left, and nothing may be held."""
    law: Law
    acknowledged: Collection[str]
    """Unreadable consent events that an operator has looked into."""
    customer_key: Callable[[CustomerId], CustomerKey]
    """The customer's own key, or why there is none; makes none."""
    codec: Codec


@dataclass(frozen=True, slots=True)
class Known:
    """One customer as the logs tell."""

    customer: CustomerId
    profile: Value | Reason
    """Or why there is none."""
    facts: Facts
    consents: ConsentRecord


@dataclass(frozen=True, slots=True)
class Allowed:
    """May be held, exactly so."""

    pseudonym: Pseudonym
    fields: tuple[str, ...]
    record: bytes = field(repr=False)
    """Framed."""
    consents: tuple[str, ...]
    rules: tuple[str, ...]
    until: Millis | None
    rectified_at: Millis | None
    sealed: frozenset[str] = frozenset()
    """Names of fields for the customer's own key, which was destroyed: older records may hold them still."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing may be held."""

    reason: Reason | Cause
    rules: tuple[str, ...] = ()
    sealed: frozenset[str] = frozenset()
    """As above, and the contract requires one."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Processing is restricted (GDPR 18): held as it was when that began, and not used."""

    consents: tuple[str, ...]
    rules: tuple[str, ...]
    until: Millis | None


Answer = Allowed | Kept | Refused
ENDED: Final = Refused(Reason.CONTRACT_ENDED)


def known(testimony: Testimony, book: Book) -> Known:
    """Raises SluiceError when a schema cannot be had for now."""
    profile = _profile(testimony.update, book.codec)
    facts = Facts() if isinstance(profile, Reason) else read_facts(lambda path: _value(profile, path), book.law.paths)
    consents = ConsentRecord()
    for record in testimony.consents:
        try:
            event = parse_event(dict(book.codec.read(record.value)), testimony.customer, Millis(record.timestamp))
        except (Unreadable, Contradiction):
            consents = consents.with_unreadable(place(record))
        else:
            consents = consents.with_event(event)
    return Known(testimony.customer, profile, facts, consents)


def answer(one: Known, agreement: Agreement, book: Book, now: Millis, held: Held | None) -> Answer:
    """What the partner may hold at this time.

    `held`, as disclosed, matters to a paused contract, and where processing is restricted.
    """
    if isinstance(one.profile, Reason):
        return Refused(one.profile)
    if held is not None and one.facts.restricted:
        return _kept(one, one.profile, agreement, book, now, held)
    question = _Question(one, one.profile, agreement, book, now)
    verdict = _decided(question, agreement.contract.terms())
    if isinstance(verdict, Denied) or not agreement.paused:
        return _carried_out(verdict, question)
    return Refused(Reason.CONTRACT_PAUSED) if held is None else narrow_answer(one, agreement, book, now, held)


def narrow_answer(one: Known, agreement: Agreement, book: Book, now: Millis, held: Held) -> Answer:
    """The same while nothing may be added to what is held (LOOP 12)."""
    if isinstance(one.profile, Reason):
        return Refused(one.profile)
    question = _Question(one, one.profile, agreement, book, now)
    return _carried_out(_decided(question, agreement.contract.terms().only(held.fields)), question)


def _kept(  # noqa: PLR0913, PLR0917 - as `answer`
    one: Known, profile: Value, agreement: Agreement, book: Book, now: Millis, held: Held
) -> Answer:
    """All that is held, if it might be held under this contract were processing not restricted; else nothing."""
    free = dataclasses.replace(one, facts=replace(one.facts, restricted=False))
    question = _Question(free, profile, agreement, book, now)
    admitted = _admitted(_decided(question, agreement.contract.terms().only(held.fields)), question)
    if isinstance(admitted, Refused):
        return admitted
    if not set(held.fields) <= set(admitted.fields) or held.contract != agreement.digest:
        return Refused(Reason.PROCESSING_RESTRICTED)
    return Kept(admitted.consents, admitted.rules, admitted.until)


def place(record: Record) -> str:
    return f"{record.topic}/{record.partition}@{record.offset}"


def _profile(update: Record | None, codec: Codec) -> Value | Reason:
    if update is None:
        return Reason.NO_PROFILE
    if update.value is None:
        return Reason.DELETED_AT_SOURCE
    try:
        return codec.read(update.value)
    except Unreadable:
        return Reason.PROFILE_UNREADABLE


def _value(profile: Value, path: str) -> object:
    """None if it, or something on the way, is null or not there."""
    found = field_path.parse(path).find(profile)
    return None if found is ABSENT else found


@dataclass(frozen=True, slots=True)
class _Question:
    """What is to be answered: may this be held, there and then."""

    one: Known
    profile: Value
    agreement: Agreement
    book: Book
    now: Millis


def _decided(question: _Question, terms: Terms) -> Permitted | Denied:
    one, book = question.one, question.book
    return decide(terms, book.law, Customer(one.facts, one.consents, book.acknowledged), question.now)


def _carried_out(verdict: Permitted | Denied, question: _Question) -> Answer:
    """1. Retention. 2. The row filter. 3. Every required field is there. 4. The record fits into the topic."""
    admitted = _admitted(verdict, question)  # 1, 2
    return admitted if isinstance(admitted, Refused) else _recorded(admitted, question)  # 3, 4


def _admitted(verdict: Permitted | Denied, question: _Question) -> Permitted | Refused:
    """What may be held, whatever the record will be, and until when."""
    if isinstance(verdict, Denied):
        return Refused(verdict.reason, verdict.rules)
    profile, now = question.profile, question.now
    retained = _retained_until(question.agreement, profile, question.book.law)
    if retained is not None and retained <= now:
        return Refused(Reason.RETENTION_ENDED)
    row_filter = question.agreement.contract.row_filter

    def find(path: FieldPath) -> object:
        return path.find(profile)

    if not row_filter.admits(find, now):
        return Refused(Reason.OUTSIDE_ROW_FILTER)
    ends = (verdict.until, retained, row_filter.next_change(find, now))
    return replace(verdict, until=min((end for end in ends if end is not None), default=None))


def _retained_until(agreement: Agreement, profile: Value, law: Law) -> Millis | None:
    retain = agreement.contract.contract.limits.retain_ms
    if retain is None:
        return None
    changed = _value(profile, law.paths.updated_at)
    return Millis(changed + retain) if isinstance(changed, int) else Millis(0)


def _recorded(verdict: Permitted, question: _Question) -> Answer:
    profile, agreement, customer = question.profile, question.agreement, question.one.customer
    contract = agreement.contract.contract
    pseudonym = agreement.pseudonym(customer)
    seals = frozenset(partner_field(path) for path in verdict.fields if contract.fields[path].needs_customer_key)
    own_key = question.book.customer_key(customer) if seals else NoKey.NOT_ISSUED
    sealed = seals if own_key is NoKey.DESTROYED else frozenset()
    values = _redacted(verdict.fields, redaction.Customer(customer, pseudonym, own_key), profile, agreement)
    for path in sorted(contract.required_fields):
        if field_path.parse(path).find(profile) is ABSENT:
            return Refused(Cause.REQUIRED_FIELD_NOT_IN_SCHEMA)
        if values.get(path) is None:
            return Refused(Reason.REQUIRED_FIELD_MISSING, sealed=sealed)
    row = {partner_field(path): values.get(path) for path in contract.shared_fields}
    try:
        record = agreement.encoder.write(row)
    except Unwritable:
        return Refused(Cause.UNENCODABLE)
    if len(pseudonym) + len(record) + OVERHEAD_BYTES > agreement.max_bytes:
        return Refused(Cause.RECORD_TOO_LARGE)
    rectified_at = question.one.facts.rectified_at
    basis = (verdict.consents, verdict.rules, verdict.until, rectified_at)
    return Allowed(pseudonym, verdict.fields, record, *basis, sealed)


def _redacted(
    fields: Collection[str], whose: redaction.Customer, profile: Value, agreement: Agreement
) -> dict[str, object]:
    contract = agreement.contract
    rules = contract.contract.shared_fields
    return {
        path: redaction.redact(
            rules[path],
            _value(profile, path),
            Target(agreement.keys.field(path), contract.leaves[path].category),
            whose,
        ).value
        for path in fields
    }
