"""What outcomes become on the way out: partner records, control messages, disclosures, pointers to rejects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from sluice import keys, topics
from sluice.avro import Record as AvroRecord
from sluice.model import (
    STILL_RESTRICTED,
    Cause,
    CustomerId,
    Held,
    Millis,
    Outcome,
    PartnerId,
    Pointer,
    Reason,
    Recalled,
    Rejected,
    Restricted,
    Shared,
    Unchanged,
    Withheld,
)
from stream_processors.sharing.parties import Party
from stream_processors.sharing.view import Writers

_ACTIONS: Mapping[str, str] = {
    "WITHDRAW": "Delete this customer's record and every copy of it, and acknowledge.",
    "ERASE": "Erase this customer's record and every copy of it, backups included, and acknowledge.",
    "RESTRICT": "Keep this customer's record, do not use it until it comes again, and acknowledge.",
    "RECTIFY": "Take over this customer's new record wherever you keep the old one, and acknowledge.",
    "CONTRACT_ENDED": "The contract is over: delete this customer's record and every copy of it, and acknowledge.",
}

_KINDS: Mapping[Reason | Cause, str] = {
    Reason.DELETED_AT_SOURCE: "ERASE",
    Reason.CONTRACT_ENDED: "CONTRACT_ENDED",
    Reason.CONTRACT_NOT_IN_FORCE: "CONTRACT_ENDED",
}
"""What a partner is told when something is taken back; for every other reason it is a withdrawal."""

RECTIFIED: Final = "rectified"
"""The reason in a disclosure of what was shared because it had been wrong."""

COVERS = 1_000
"""Input offsets that one disclosure lists, the newest: a customer with more in one batch must not make it too large."""


class Output(NamedTuple):
    """One record to be written, to the partition it was decided for."""

    topic: str
    key: bytes | None
    value: bytes | None


class Decided(NamedTuple):
    """One customer's outcomes in one batch, with the input offsets that they answer."""

    customer: CustomerId
    outcomes: tuple[tuple[Party, Outcome], ...]
    covers: tuple[Pointer, ...]
    now: Millis


def outputs(decided: Decided, writers: Writers) -> list[Output]:
    """Everything to be written for one customer; the disclosure last, and only if something changed."""
    found: list[Output] = []
    entries: list[bytes] = []
    basis: str | None = None
    for partner, outcome in decided.outcomes:
        if _changes_nothing(outcome):
            continue
        if basis is None:
            basis = decision_basis(decided.customer, decided.now, decided.covers)
        decision = keys.decision_id(writers.decision_key, partner.partner, basis)
        recalled = _recall(outcome)
        if recalled is not None:  # before what takes its place: the fold takes them in order
            held, reason = recalled
            found.append(Output(topics.customers(partner.partner), held.pseudonym.encode(), None))
            found.append(_told(partner, held, _KINDS.get(reason, "WITHDRAW"), decision, decided.now, writers))
            entries.append(writers.disclosure.recalled(partner.partner, reason.value, held, decision))
        if isinstance(outcome, Shared):
            found.append(Output(topics.customers(partner.partner), outcome.held.pseudonym.encode(), outcome.record))
            if outcome.rectifies:
                found.append(_told(partner, outcome.held, "RECTIFY", decision, decided.now, writers))
            why = RECTIFIED if outcome.rectifies else None
            entries.append(writers.disclosure.entry(partner.partner, "SHARED", outcome.held, decision, why))
        elif isinstance(outcome, Restricted):
            found.append(_told(partner, outcome.held, "RESTRICT", decision, decided.now, writers))
            why = Reason.PROCESSING_RESTRICTED
            entries.append(writers.disclosure.entry(partner.partner, "REAFFIRMED", outcome.held, decision, why))
        elif isinstance(outcome, Unchanged) and outcome.renewed is not None:
            why = STILL_RESTRICTED if outcome.renewed.restricted else None
            entries.append(writers.disclosure.entry(partner.partner, "REAFFIRMED", outcome.renewed, decision, why))
    if entries:
        covers = decided.covers[-COVERS:]
        value = writers.disclosure.write(covers, decided.now, writers.contract_set, len(entries), entries)
        found.append(Output(topics.DISCLOSURES, decided.customer.encode(), value))
    return found


def held_after(held: Mapping[PartnerId, Held], decided: Decided) -> dict[PartnerId, Held]:
    """What is held as the disclosure of these outcomes leaves it, in their order: the same fold, without reading it."""
    left = dict(held)
    after: dict[PartnerId, Held] = {}
    for party, outcome in decided.outcomes:
        before = left.pop(party.partner, None)
        match outcome:
            case Shared(held=new) | Restricted(held=new) | Unchanged(renewed=Held() as new):
                after[party.partner] = new
            case Recalled() | Rejected(recalls=Held()):
                pass
            case Unchanged() | Withheld() | Rejected():
                if before is not None:
                    after[party.partner] = before
    return after | left if left else after


def rejected(where: Pointer, cause: Cause, key: bytes | None, now: Millis, writers: Writers, **more: object) -> Output:
    """A pointer to a record that could not be used, filed under a digest of its key; nothing of its content."""
    record = {
        "topic": where.topic,
        "partition": where.partition,
        "offset": where.offset,
        "cause": cause.value,
        "schema_id": None,
        "partner": None,
        "detected_at": now,
        **more,
    }
    digest = keys.keyed_digest(writers.source_key, key or b"")
    return Output(topics.REJECTED, digest, writers.rejected.write(record))


def _changes_nothing(outcome: Outcome) -> bool:
    match outcome:
        case Withheld() | Unchanged(renewed=None) | Rejected(recalls=None):
            return True
        case _:
            return False


def decision_basis(customer: CustomerId, now: Millis, covers: Iterable[Pointer]) -> str:
    """What the decisions for all partners answer."""
    return "\x1f".join((customer, str(now), *[f"{topic}/{partition}@{offset}" for topic, partition, offset in covers]))


def _recall(outcome: Outcome) -> tuple[Held, Reason | Cause] | None:
    """What is taken back, and why."""
    match outcome:
        case Recalled(held=held, reason=reason):
            return held, reason
        case Rejected(cause=cause, recalls=Held() as held):
            return held, cause
        case Shared(replaces=Held() as held):
            return held, Reason.PSEUDONYM_REPLACED
        case Shared() | Restricted() | Unchanged() | Withheld() | Rejected():
            return None


def _told(  # noqa: PLR0913, PLR0917 - a control message's fields
    party: Party, held: Held, kind: str, decision: str, now: Millis, writers: Writers
) -> Output:
    """What the partner has to do and by when, and nothing about why beyond that."""
    message: AvroRecord = {
        "decision_id": decision,
        "type": kind,
        "customer": held.pseudonym,
        "action": _ACTIONS[kind],
        "deadline": now + party.acknowledge_within_ms,
        "issued_at": now,
    }
    control = writers.control[party.partner].write(message)
    return Output(topics.control(party.partner), held.pseudonym.encode(), control)
