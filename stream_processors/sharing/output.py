"""What outcomes become on the way out: partner records, control messages, disclosures, pointers to rejects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from sluice import keys, topics
from sluice.avro import Record as AvroRecord
from sluice.model import (
    Cause,
    CustomerId,
    Held,
    Millis,
    Outcome,
    Pointer,
    Reason,
    Recalled,
    Rejected,
    Shared,
    Unchanged,
    Withheld,
)
from sluice.store import Row
from stream_processors.sharing.parties import Party
from stream_processors.sharing.view import Writers

_ACTIONS: Mapping[str, str] = {
    "WITHDRAW": "Delete this customer's record and every copy of it, and acknowledge.",
    "ERASE": "Erase this customer's record and every copy of it, backups included, and acknowledge.",
    "CONTRACT_ENDED": "The contract is over: delete this customer's record and every copy of it, and acknowledge.",
}

_KINDS: Mapping[Reason | Cause, str] = {
    Reason.DELETED_AT_SOURCE: "ERASE",
    Reason.CONTRACT_ENDED: "CONTRACT_ENDED",
    Reason.CONTRACT_NOT_IN_FORCE: "CONTRACT_ENDED",
}
"""What a partner is told; for every other reason it is a withdrawal."""

_COVERS = 1_000
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


def outputs(decided: Decided, writers: Writers) -> Iterable[Output]:
    """Everything to be written for one customer; the disclosure last, and only if something changed."""
    entries: list[AvroRecord] = []
    for partner, outcome in decided.outcomes:
        if _changes_nothing(outcome):
            continue
        decision = _decision_id(decided, partner, writers)
        yield from _to_partner(partner, outcome, decision, decided.now, writers)
        entries += _entries(partner, outcome, decision)
    if entries:
        value = writers.disclosure.write(
            {
                "covers": [{"topic": topic, "offset": offset} for topic, _, offset in decided.covers[-_COVERS:]],
                "decided_at": decided.now,
                "contract_set": writers.contract_set,
                "entries": entries,
            }
        )
        yield Output(topics.DISCLOSURES, decided.customer.encode(), value)


def held_after(row: Row, decided: Decided) -> Row:
    """The row as the disclosure of these outcomes leaves it: the same fold, without reading it back."""
    held = dict(row.held)
    for partner, outcome in decided.outcomes:
        match outcome:
            case Shared(held=new) | Unchanged(renewed=Held() as new):
                held[partner.partner] = new
            case Recalled() | Rejected(recalls=Held()):
                held.pop(partner.partner, None)
            case Unchanged() | Withheld() | Rejected():
                pass
    return msgspec.structs.replace(row, held=held)


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


def _to_partner(partner: Party, outcome: Outcome, decision: str, now: Millis, writers: Writers) -> Iterable[Output]:
    recalled = _recall(outcome)
    if recalled is not None:
        held, reason = recalled
        key = held.pseudonym.encode()
        yield Output(topics.customers(partner.partner), key, None)
        message = _message(partner, held, _KINDS.get(reason, "WITHDRAW"), decision, now)
        yield Output(topics.control(partner.partner), key, writers.control[partner.partner].write(message))
    if isinstance(outcome, Shared):
        yield Output(topics.customers(partner.partner), outcome.held.pseudonym.encode(), outcome.record)


def _recall(outcome: Outcome) -> tuple[Held, Reason | Cause] | None:
    """What is taken back, and why."""
    match outcome:
        case Recalled(held=held, reason=reason):
            return held, reason
        case Rejected(cause=cause, recalls=Held() as held):
            return held, cause
        case Shared(replaces=Held() as held):
            return held, Reason.PSEUDONYM_REPLACED
        case Shared() | Unchanged() | Withheld() | Rejected():
            return None


def _message(party: Party, held: Held, kind: str, decision: str, now: Millis) -> AvroRecord:
    """Tells the partner what to do and by when, and nothing about why beyond that."""
    return {
        "decision_id": decision,
        "type": kind,
        "customer": held.pseudonym,
        "action": _ACTIONS[kind],
        "deadline": now + party.acknowledge_within_ms,
        "issued_at": now,
    }


def _entries(partner: Party, outcome: Outcome, decision: str) -> Iterable[AvroRecord]:
    """A recall before what takes its place: the fold takes them in order."""
    recalled = _recall(outcome)
    if recalled is not None:
        held, reason = recalled
        yield _recalled(partner, held, reason.value, decision)
    match outcome:
        case Shared(held=held):
            yield _disclosed(partner, "SHARED", held, decision)
        case Unchanged(renewed=Held() as held):
            yield _disclosed(partner, "REAFFIRMED", held, decision)
        case Recalled() | Unchanged() | Withheld() | Rejected():
            pass


def _disclosed(partner: Party, action: str, held: Held, decision: str) -> AvroRecord:
    return {
        "partner": partner.partner,
        "action": action,
        "reason": None,
        "pseudonym": held.pseudonym,
        "key_epoch": held.key_epoch,
        "contract": held.contract,
        "fields": held.fields,
        "digest": held.digest,
        "consents": held.consents,
        "rules": held.rules,
        "expires_at": held.expires_at,
        "decision_id": decision,
    }


def _recalled(partner: Party, held: Held, reason: str, decision: str) -> AvroRecord:
    """Names what is taken back by its pseudonym; a recall discloses no field."""
    nothing: AvroRecord = {"fields": [], "digest": None, "consents": [], "rules": [], "expires_at": None}
    return _disclosed(partner, "RECALLED", held, decision) | nothing | {"reason": reason}


def _decision_id(decided: Decided, partner: Party, writers: Writers) -> str:
    parts = (decided.customer, partner.partner, str(decided.now), *map(str, decided.covers))
    return keys.decision_id(writers.decision_key, *parts)
