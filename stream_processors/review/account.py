"""What is told of a difference: who, what is held, what is allowed, and where the evidence stands. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sluice import topics
from sluice.log import Record
from sluice.model import Held, PartnerId, Pseudonym, Reason
from stream_processors.review.comparing import Comparison, Standing
from stream_processors.review.evidence import Cut, Delivered, Testimony
from stream_processors.review.findings import Difference, Fault, HoldingTold, Places, gravest_first
from stream_processors.review.recomputing import Agreement, Allowed, Answer, Kept, Known, Refused, place

_CONSENTS = 20
"""Record ids that are told, the newest: a customer may have said more than anybody wants to read."""


@dataclass(frozen=True, slots=True)
class Case:
    """One customer at one partner, at a cut."""

    partner: PartnerId
    standing: Standing
    testimony: Testimony
    known: Known
    answer: Answer
    cut: Cut


def difference(case: Case, comparison: Comparison) -> Difference:
    standing, answer = case.standing, case.answer
    refused = answer if isinstance(answer, Refused) else None
    allowed = answer if isinstance(answer, Allowed) else None
    return Difference(
        partition=case.cut.partition,
        partner=case.partner,
        customer=case.testimony.customer,
        pseudonym=_pseudonym(standing, allowed),
        faults=gravest_first(comparison.faults),
        held=None if standing.held is None else _disclosed(standing.held),
        allowed=None if allowed is None or standing.agreement is None else _allowed(allowed, standing.agreement),
        refused=_why_not(answer),
        refusing=() if refused is None else refused.rules,
        fields=comparison.fields,
        values=dict(comparison.values),
        evidence=_places(case),
    )


def _why_not(answer: Answer) -> str | None:
    """Why nothing may be held, or not be used."""
    match answer:
        case Refused(reason=reason):
            return reason.value
        case Kept():
            return Reason.PROCESSING_RESTRICTED.value
        case Allowed():
            return None


def stranger(partner: PartnerId, pseudonym: Pseudonym, delivered: Delivered, cut: Cut) -> Difference:
    """A record that belongs to nobody."""
    where = Places(delivered=(_delivered_at(partner, cut, delivered),))
    return Difference(cut.partition, partner, None, pseudonym, (Fault.NOT_DISCLOSED,), evidence=where)


def about_disclosure(record: Record, fault: Fault) -> Difference:
    """A disclosure that tells nothing."""
    customer = (record.key or b"").decode(errors="replace")
    return Difference(record.partition, None, customer, None, (fault,), evidence=Places(disclosure=place(record)))


def _pseudonym(standing: Standing, allowed: Allowed | None) -> str | None:
    if standing.held is not None:
        return standing.held.pseudonym
    if allowed is not None:
        return allowed.pseudonym
    return next(iter(standing.undisclosed), None)


def _disclosed(held: Held) -> HoldingTold:
    return HoldingTold(
        held.pseudonym, held.key_epoch, held.contract, held.fields, held.consents, held.rules, held.expires_at
    )


def _allowed(allowed: Allowed, agreement: Agreement) -> HoldingTold:
    return HoldingTold(
        allowed.pseudonym,
        agreement.keys.epoch,
        agreement.digest,
        allowed.fields,
        allowed.consents,
        allowed.rules,
        allowed.until,
    )


def _places(case: Case) -> Places:
    consents, told = case.known.consents, case.standing.disclosed
    events = sorted(consents.events, key=lambda event: event.effective_time)
    said = [event.record_id for event in events][-_CONSENTS:]
    return Places(
        update=None if case.testimony.update is None else place(case.testimony.update),
        consents=(*consents.unreadable[-_CONSENTS:], *said),
        disclosure=None if told is None else f"{topics.DISCLOSURES}/{case.cut.partition}@{told.offset}",
        delivered=tuple(_delivered_at(case.partner, case.cut, one) for one in case.standing.delivered.values()),
    )


def _delivered_at(partner: PartnerId, cut: Cut, delivered: Delivered) -> str:
    return f"{topics.customers(partner)}/{cut.partition}@{delivered.offset}"
