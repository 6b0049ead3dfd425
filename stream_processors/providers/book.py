"""Whom providers hold, what they were asked and have answered: the fold of what was logged. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import NAMESPACE_URL, uuid5

import msgspec

from sluice.avro import Record as AvroRecord
from sluice.contract.task import ReplyValue, Task
from sluice.model import RESTRICTED, CustomerId, Millis, PartnerId, Pseudonym

_NAMESPACE = uuid5(NAMESPACE_URL, "sluice:provider-requests")
_APPEND = "append:"

Pair = tuple[PartnerId, CustomerId]


class Request(msgspec.Struct, frozen=True):
    """See `schemas/provider_request`: what a provider was asked about one customer."""

    request_id: str
    task: str
    customer: Pseudonym
    decision_id: str
    issued_at: Millis
    expires_at: Millis


class Appended(msgspec.Struct, frozen=True):
    """See `schemas/enrichment`: one value of one provider, with where it is from and what it may be used for."""

    field: str
    category: str
    value: ReplyValue
    source: str
    obtained_at: Millis
    purpose_limits: tuple[str, ...]
    licence: str
    licence_until: Millis | None
    confidence: float | None
    request_id: str


@dataclass(slots=True)
class Holding:
    """What one provider calls one customer, and what became of it there."""

    partner: PartnerId
    customer: CustomerId
    decision_id: str | None = None
    """The newest disclosure of what the provider holds. None: it was recalled."""
    is_restricted: bool = False
    """It keeps what it holds, and does nothing with it (GDPR 18)."""
    recall: str | None = None
    """Decision id of the newest recall."""
    digests: dict[str, bytes] = field(default_factory=dict)
    """Of the record that the provider held after each disclosure since it was last recalled, by decision id."""
    asked: Request | None = None
    """The newest request."""

    @property
    def is_asked(self) -> bool:
        """The newest request is about the very data that the provider holds now."""
        asked, now = self.asked, self.decision_id
        return asked is not None and now is not None and self.digests.get(asked.decision_id) == self.digests[now]


@dataclass(frozen=True, slots=True)
class Work:
    """What a provider's contract asks of it."""

    purpose: str
    task: Task


@dataclass(frozen=True, slots=True)
class Agreements:
    """The contract set in force, as far as it matters here."""

    within_ms: Mapping[PartnerId, int]
    """How long each partner has to carry out a recall, former ones too."""
    work: Mapping[PartnerId, Work]


@dataclass(slots=True)
class Book:
    """Each log is folded in its order; how they come between each other makes no difference."""

    holdings: dict[Pseudonym, Holding] = field(default_factory=dict)
    held_as: dict[Pair, Pseudonym] = field(default_factory=dict)
    """Whom each partner holds now."""
    enrichments: dict[CustomerId, tuple[Appended, ...]] = field(default_factory=dict)
    in_force: Agreements | None = None
    touched: dict[Pair, None] = field(default_factory=dict)
    """With whom something may have to be done (`stream_processors/providers/asking.py`), in order of time."""
    _asked: dict[Pseudonym, Request] = field(default_factory=dict)
    """Requests that were read before the disclosure that they rest on."""

    def disclose(self, customer: CustomerId, disclosure: AvroRecord) -> None:
        for entry in disclosure["entries"]:
            partner, pseudonym = PartnerId(entry["partner"]), Pseudonym(entry["pseudonym"])
            one = self.holdings.setdefault(pseudonym, Holding(partner, customer))
            one.asked = self._asked.pop(pseudonym, one.asked)
            if entry["action"] == "RECALLED":
                one.decision_id, one.recall = None, entry["decision_id"]
                one.digests.clear()  # what was asked of it is void: it is asked anew when it is shared anew
                if self.held_as.get((partner, customer)) == pseudonym:
                    del self.held_as[partner, customer]
            else:
                one.decision_id = entry["decision_id"]
                one.is_restricted = entry["reason"] in RESTRICTED
                if one.is_restricted:
                    one.digests.clear()  # likewise, when it may be used again
                one.digests[entry["decision_id"]] = entry["digest"]
                self.held_as[partner, customer] = pseudonym
            self.touched[partner, customer] = None

    def ask(self, request: Request) -> None:
        one = self.holdings.get(request.customer)
        if one is None:
            self._asked[request.customer] = request
        else:
            one.asked = request

    def enrich(self, customer: CustomerId, appended: Iterable[Appended]) -> None:
        """All that stands there of the customer; nothing: it was taken back."""
        self.enrichments[customer] = tuple(appended)
        self.touched |= {(provider_of(one.source), customer): None for one in self.enrichments[customer]}
        if not self.enrichments[customer]:
            del self.enrichments[customer]

    def agree(self, agreements: Agreements) -> None:
        """A contract set was recorded."""
        self.in_force = agreements
        self.touched |= dict.fromkeys(self.held_as)

    def appended_by(self, partner: PartnerId, customer: CustomerId) -> tuple[Appended, ...]:
        return tuple(one for one in self.enrichments.get(customer, ()) if one.source == source(partner))

    def is_answered(self, one: Holding) -> bool:
        """The newest request to it."""
        known = self.appended_by(one.partner, one.customer)
        return one.asked is not None and any(value.request_id == one.asked.request_id for value in known)


def source(provider: PartnerId) -> str:
    """Of what a provider has found out."""
    return _APPEND + provider


def provider_of(source: str) -> PartnerId:
    return PartnerId(source.removeprefix(_APPEND))


def request_id(provider: PartnerId, decision_id: str) -> str:
    """The same whenever it is asked; a disclosure is one customer's."""
    return str(uuid5(_NAMESPACE, f"{provider}\n{decision_id}"))
