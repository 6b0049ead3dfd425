"""A provider's reply, as it came and as it is read: what it says, or why it cannot be used. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from sluice.avro import Decode, Undecodable
from sluice.contract.task import ReplyValue
from sluice.model import Millis, PartnerId, Pointer, Pseudonym


class RefusedFor(StrEnum):
    """Why a reply is not taken in. A closed set: these are metric labels and stand in sluice.refused-replies."""

    UNREADABLE = "unreadable"
    KEY_CONTRADICTS_VALUE = "key_contradicts_value"
    UNKNOWN_CUSTOMER = "unknown_customer"
    CUSTOMER_OF_ANOTHER_PARTNER = "customer_of_another_partner"
    WITHDRAWN = "withdrawn"
    NO_TASK = "no_task"
    UNKNOWN_REQUEST = "unknown_request"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    REPEATED = "repeated"
    FIELD_NOT_AGREED = "field_not_agreed"
    VALUE_NOT_AGREED = "value_not_agreed"


class RepliedValue(msgspec.Struct, frozen=True):
    field: str
    value: ReplyValue = None
    confidence: float | None = None


class Reply(msgspec.Struct, frozen=True):
    """See `schemas/provider_reply`."""

    reply_id: str
    request_id: str
    customer: Pseudonym
    values: tuple[RepliedValue, ...]


class Arrival(NamedTuple):
    """A record of a provider's replies topic, which nobody but that provider can write to."""

    provider: PartnerId
    where: Pointer
    key: bytes | None
    value: bytes | None
    logged_at: Millis
    """By the broker's clock."""


def read(arrival: Arrival, decode: Decode) -> Reply | RefusedFor:
    """What a reply says, about the customer of its key. Raises RegistryUnavailable."""
    try:
        said = msgspec.convert(decode(arrival.value), Reply)
    except (Undecodable, msgspec.ValidationError):
        return RefusedFor.UNREADABLE
    return said if said.customer.encode() == arrival.key else RefusedFor.KEY_CONTRADICTS_VALUE
