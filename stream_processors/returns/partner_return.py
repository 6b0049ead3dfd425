"""A partner's return, as it came and as it is read: what it says, or why it cannot be used. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple
from uuid import NAMESPACE_URL, uuid5

import msgspec

from sluice.avro import Decode, Undecodable
from sluice.consent import Channel
from sluice.model import Millis, PartnerId, Pointer, Pseudonym

_NAMESPACE = uuid5(NAMESPACE_URL, "sluice:partner-returns")


class ReturnType(StrEnum):
    ACKNOWLEDGED = "ACKNOWLEDGED"
    UNSUBSCRIBED = "UNSUBSCRIBED"
    BOUNCED = "BOUNCED"
    DECEASED = "DECEASED"
    WRONG_PERSON = "WRONG_PERSON"
    DUPLICATE = "DUPLICATE"
    CORRECTION = "CORRECTION"


class RefusedFor(StrEnum):
    """Why a return is refused. A closed set: these are metric labels and stand in sluice.refused-returns."""

    UNREADABLE = "unreadable"
    KEY_CONTRADICTS_VALUE = "key_contradicts_value"
    INCONSISTENT = "inconsistent"
    REPEATED = "repeated"
    UNKNOWN_CUSTOMER = "unknown_customer"
    CUSTOMER_OF_ANOTHER_PARTNER = "customer_of_another_partner"
    UNKNOWN_RECALL = "unknown_recall"
    FIELD_NOT_SHARED = "field_not_shared"


class Correction(msgspec.Struct, frozen=True):
    field: str
    value: str | None


class PartnerReturn(msgspec.Struct, frozen=True):
    """See `schemas/partner_return`."""

    return_id: str
    type: ReturnType
    customer: Pseudonym
    at: Millis
    decision_id: str | None = None
    other_customer: Pseudonym | None = None
    channel: Channel | None = None
    corrections: tuple[Correction, ...] = ()

    @property
    def is_consistent(self) -> bool:
        """It says what its type needs, and nothing that its type has no place for."""
        needs = (
            (self.decision_id is not None, self.type is ReturnType.ACKNOWLEDGED),
            (self.other_customer is not None, self.type is ReturnType.DUPLICATE),
            (bool(self.corrections), self.type is ReturnType.CORRECTION),
        )
        may_name_channel = self.type in (ReturnType.UNSUBSCRIBED, ReturnType.BOUNCED)
        named = bool(self.return_id) and self.other_customer != self.customer
        return named and all(there is needed for there, needed in needs) and (may_name_channel or self.channel is None)


class Arrival(NamedTuple):
    """A record of a partner's returns topic, which nobody but that partner can write to."""

    partner: PartnerId
    where: Pointer
    key: bytes | None
    value: bytes | None
    logged_at: Millis
    """By the broker's clock."""


def read(arrival: Arrival, decode: Decode) -> PartnerReturn | RefusedFor:
    """What a return says, about the customer of its key. Raises RegistryUnavailable."""
    try:
        said = msgspec.convert(decode(arrival.value), PartnerReturn)
    except (Undecodable, msgspec.ValidationError):
        return RefusedFor.UNREADABLE
    if said.customer.encode() != arrival.key:
        return RefusedFor.KEY_CONTRADICTS_VALUE
    return said if said.is_consistent else RefusedFor.INCONSISTENT


def our_id(partner: PartnerId, return_id: str) -> str:
    """The same whenever the return is read; says nothing of the partner's own id, which may be any text."""
    return str(uuid5(_NAMESPACE, f"{partner}\n{return_id}"))
