"""What becomes of one return: exactly one of five outcomes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_never

from sluice import vocabulary
from sluice.avro import Record as AvroRecord
from sluice.consent import Actor, Expression, RecipientKind, State
from sluice.model import CustomerId, PartnerId, Pseudonym
from stream_processors.returns.book import AcceptedReturn, Book, Conditions, Known
from stream_processors.returns.partner_return import Arrival, PartnerReturn, RefusedFor, ReturnType, our_id

_ANY = Conditions(RecipientKind.PARTNER, vocabulary.EVERYTHING)
"""Of a partner whose contract cannot be read any more: it stops being given anything."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A recall is carried out."""

    customer: CustomerId
    accepted: AcceptedReturn


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """A withdrawal, to be said as a consent event; everything else follows from that."""

    customer: CustomerId
    accepted: AcceptedReturn
    event: AvroRecord


@dataclass(frozen=True, slots=True)
class Noted:
    """Something to be looked into at the source. It changes nothing by itself: a partner does not write our data."""

    customer: CustomerId
    accepted: AcceptedReturn


@dataclass(frozen=True, slots=True)
class Settled:
    """This very record was accepted before, and read again."""


@dataclass(frozen=True, slots=True)
class Refused:
    cause: RefusedFor


Outcome = Acknowledged | Unsubscribed | Noted | Settled | Refused
Accepted = Acknowledged | Unsubscribed | Noted


def label(outcome: Outcome) -> tuple[str, str]:
    """Its name and cause, as metric labels."""
    match outcome:
        case Refused(cause=cause):
            return "refused", cause.value
        case Acknowledged() | Unsubscribed() | Noted() | Settled():
            return type(outcome).__name__.lower(), ""
        case _:
            assert_never(outcome)


def decide(arrival: Arrival, said: PartnerReturn | RefusedFor, book: Book) -> Outcome:
    """What becomes of a return, by what the book knows.

    An acceptance stands whatever is read later. A refusal holds only if the book had been brought up to date after the
    return was logged: what it does not know may lie in what it has not read.

    1. A record that was accepted and is read again is settled, whatever has come since.
    2. A pseudonym is this partner's, or the return is refused: nobody speaks of customers that it was never given.
    3. A recall is acknowledged by the partner, and for the customer, that it was sent to, and once.
    4. Whoever is a duplicate is the partner's customer too; a field that is corrected was shared with it.
    5. Under one id one return is accepted. Asked last, so that what was refused is refused for the same cause again.
    """
    if isinstance(said, RefusedFor):
        return Refused(said)
    before = book.accepted.get(our_id(arrival.partner, said.return_id))
    if before == arrival.where:  # 1
        return Settled()
    outcome = _by_itself(arrival, said, book)
    return outcome if before is None or isinstance(outcome, Refused) else Refused(RefusedFor.REPEATED)  # 5


def _by_itself(arrival: Arrival, said: PartnerReturn, book: Book) -> Accepted | Refused:
    known = _known(book, arrival.partner, said.customer)  # 2
    if isinstance(known, RefusedFor):
        return Refused(known)
    match said.type:
        case ReturnType.ACKNOWLEDGED:
            return _acknowledgement(arrival, said, known, book)
        case ReturnType.UNSUBSCRIBED:
            conditions = book.conditions.get(arrival.partner, _ANY)
            return Unsubscribed(known.customer, _accepted(arrival, said), withdrawal(arrival, said, known, conditions))
        case _:
            return _note(arrival, said, known, book)


def withdrawal(arrival: Arrival, said: PartnerReturn, known: Known, conditions: Conditions) -> AvroRecord:
    """The customer's withdrawal as a consent event: the same record whenever the return is read.

    A time before the partner had the customer, or after the return was logged, is not believed: the withdrawal counts
    from when it was logged, so that no wrong clock makes it older than a grant.
    """
    believed = known.since <= said.at <= arrival.logged_at
    return {
        "record_id": our_id(arrival.partner, said.return_id),
        "subject_id": known.customer,
        "purpose": conditions.purpose,
        "recipient_scope": {"category": conditions.kind.value, "partner_ids": [arrival.partner]},
        "channel": said.channel.value if said.channel is not None else None,
        "state": State.WITHDRAWN.value,
        "expression": Expression.EXPLICIT.value,
        "actor": Actor.SUBJECT.value,
        "event_time": said.at if believed else arrival.logged_at,
        "recorded_at": arrival.logged_at,
        "source_system": arrival.partner,
        "collection_method": "partner_return",
        "evidence_ref": str(arrival.where),
    }


def _known(book: Book, partner: PartnerId, pseudonym: Pseudonym) -> Known | RefusedFor:
    known = book.known.get(pseudonym)
    if known is None:
        return RefusedFor.UNKNOWN_CUSTOMER
    return known if known.partner == partner else RefusedFor.CUSTOMER_OF_ANOTHER_PARTNER


def _acknowledgement(arrival: Arrival, said: PartnerReturn, known: Known, book: Book) -> Acknowledged | Refused:
    key = arrival.partner, said.decision_id or ""
    recall = book.recalls.get(key)
    if recall is None or recall.pseudonym != said.customer:  # 3
        return Refused(RefusedFor.UNKNOWN_RECALL)
    if key in book.acknowledged:
        return Refused(RefusedFor.REPEATED)
    return Acknowledged(known.customer, _accepted(arrival, said, decision_id=recall.decision_id))


def _note(arrival: Arrival, said: PartnerReturn, known: Known, book: Book) -> Noted | Refused:
    fields = tuple(correction.field for correction in said.corrections)
    if not known.fields.issuperset(fields):  # 4
        return Refused(RefusedFor.FIELD_NOT_SHARED)
    if said.other_customer is None:
        return Noted(known.customer, _accepted(arrival, said, fields=fields))
    other = _known(book, arrival.partner, said.other_customer)  # 4
    if isinstance(other, RefusedFor):
        return Refused(other)
    return Noted(known.customer, _accepted(arrival, said, other_customer=other.customer))


def _accepted(arrival: Arrival, said: PartnerReturn, **more: Any) -> AcceptedReturn:  # noqa: ANN401 - fields of it
    return AcceptedReturn(
        topic=arrival.where.topic,
        partition=arrival.where.partition,
        offset=arrival.where.offset,
        partner=arrival.partner,
        return_id=our_id(arrival.partner, said.return_id),
        type=said.type.value,
        pseudonym=said.customer,
        at=said.at,
        received_at=arrival.logged_at,
        **more,
    )
