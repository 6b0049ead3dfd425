"""What is known of partners' customers, recalls and returns: the fold of what was logged, in any order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

from sluice.avro import Record as AvroRecord
from sluice.consent import RecipientKind
from sluice.contract.partner_record import partner_field
from sluice.model import STILL_RESTRICTED, CustomerId, Millis, PartnerId, Pointer, Pseudonym

RecallKey = tuple[PartnerId, str]
"""A partner and the recall's decision id."""


class Known(msgspec.Struct, frozen=True):
    """A customer that a partner was ever given."""

    partner: PartnerId
    customer: CustomerId
    since: Millis
    fields: frozenset[str]
    """All that it was ever given of the customer, as the partner calls them."""


class Recall(msgspec.Struct, frozen=True):
    """What a partner was told to delete, to keep unused, or to take over."""

    partner: PartnerId
    decision_id: str
    customer: CustomerId
    pseudonym: Pseudonym
    issued_at: Millis
    contract_set: str
    """Digest of the set that it was decided under, which says by when it is due."""


class AcceptedReturn(msgspec.Struct, frozen=True):
    """See `schemas/accepted_return`; the customer's id is the record's key."""

    topic: str
    partition: int
    offset: int
    partner: PartnerId
    return_id: str
    type: str
    pseudonym: Pseudonym
    at: Millis
    received_at: Millis
    decision_id: str | None = None
    other_customer: CustomerId | None = None
    fields: tuple[str, ...] = ()

    @property
    def where(self) -> Pointer:
        return Pointer(self.topic, self.partition, self.offset)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a partner's contract says that matters here."""

    kind: RecipientKind
    purpose: str
    pause_when_overdue: bool = False


@dataclass(frozen=True, slots=True)
class Agreements:
    """One contract set, as far as it matters here."""

    digest: str
    within_ms: Mapping[PartnerId, int]
    """How long each partner has to carry out a recall."""
    conditions: Mapping[PartnerId, Conditions]


@dataclass(slots=True)
class Book:
    """Folding a record twice, or records of several topics in another order, comes to the same.

    Only contract sets have an order among themselves: the last is in force.
    """

    known: dict[Pseudonym, Known] = field(default_factory=dict)
    recalls: dict[RecallKey, Recall] = field(default_factory=dict)
    acknowledged: dict[RecallKey, Millis] = field(default_factory=dict)
    """When the acknowledgement was received."""
    open: set[RecallKey] = field(default_factory=set)
    """Recalls without acknowledgement."""
    accepted: dict[str, Pointer] = field(default_factory=dict)
    """Where the return stands that was accepted under this id."""
    conditions: dict[PartnerId, Conditions] = field(default_factory=dict)
    """Of each partner's newest contract, which may have ended."""
    paused: dict[PartnerId, Millis] = field(default_factory=dict)
    """Since when a partner gets nothing new, because it does not answer."""
    in_force: Agreements | None = None
    _within_ms: dict[tuple[str, PartnerId], int] = field(default_factory=dict)

    def disclose(self, customer: CustomerId, disclosure: AvroRecord) -> None:
        """With a reason goes a control message, which is to be acknowledged."""
        for entry in disclosure["entries"]:
            partner, at = PartnerId(entry["partner"]), Millis(disclosure["decided_at"])
            self._know(Pseudonym(entry["pseudonym"]), Known(partner, customer, at, _named(tuple(entry["fields"]))))
            if entry["action"] == "RECALLED" or entry["reason"] not in (None, STILL_RESTRICTED):
                key = partner, entry["decision_id"]
                recall = Recall(*key, customer, Pseudonym(entry["pseudonym"]), at, disclosure["contract_set"])
                self.recalls[key] = recall
                if key not in self.acknowledged:
                    self.open.add(key)

    def accept(self, accepted: AcceptedReturn) -> None:
        """The first of several returns with the same id, or acknowledgements of the same recall, is the one."""
        before = self.accepted.get(accepted.return_id, accepted.where)
        self.accepted[accepted.return_id] = min(before, accepted.where)
        if accepted.decision_id is not None:
            key = accepted.partner, accepted.decision_id
            self.acknowledged[key] = min(self.acknowledged.get(key, accepted.received_at), accepted.received_at)
            self.open.discard(key)

    def agree(self, agreements: Agreements) -> None:
        """A contract set was recorded."""
        self.in_force = agreements
        self.conditions |= agreements.conditions
        self._within_ms |= {(agreements.digest, partner): ms for partner, ms in agreements.within_ms.items()}

    def deadline(self, recall: Recall) -> Millis:
        """As in the control message. At once, where no set says: nobody may wait for what nobody agreed to."""
        return Millis(recall.issued_at + self.term_ms(recall))

    def term_ms(self, recall: Recall) -> int:
        return self._within_ms.get((recall.contract_set, recall.partner), 0)

    def open_recalls(self) -> Iterable[Recall]:
        return (self.recalls[key] for key in self.open)

    def _know(self, pseudonym: Pseudonym, known: Known) -> None:
        before = self.known.get(pseudonym)
        if before is not None:
            fields = before.fields if known.fields <= before.fields else before.fields | known.fields
            if fields is before.fields and before.since <= known.since:
                return
            known = Known(known.partner, known.customer, min(before.since, known.since), fields)
        self.known[pseudonym] = known


@lru_cache(1 << 12)
def _named(paths: tuple[str, ...]) -> frozenset[str]:
    """Kept: a contract's fields are the same for everybody."""
    return frozenset(partner_field(path) for path in paths)
