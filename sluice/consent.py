"""Consent events as data: one customer's answers, as they were given and recorded.

The model is that of DOMAIN A2 (after ISO/IEC TS 27560): see `schemas/consent_event`. Here stand only the fields that a
decision reads; the rest is evidence and stays on the topic.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from sluice import purposes
from sluice.model import CustomerId, Millis

CLOCK_TOLERANCE_MS = 5 * 60 * 1000


class State(StrEnum):
    GIVEN = "GIVEN"
    RENEWED = "RENEWED"
    REQUESTED = "REQUESTED"
    DEFERRED = "DEFERRED"
    REFUSED = "REFUSED"
    WITHDRAWN = "WITHDRAWN"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"
    INVALIDATED = "INVALIDATED"
    OBJECTED = "OBJECTED"
    OPTED_OUT = "OPTED_OUT"
    LIMITED = "LIMITED"
    UNKNOWN = "UNKNOWN"


class Expression(StrEnum):
    EXPLICIT = "explicit"
    OPT_IN = "opt_in"
    IMPLIED = "implied"
    OPT_OUT_SIGNAL = "opt_out_signal"
    DEFAULT = "default"


class Actor(StrEnum):
    SUBJECT = "subject"
    GUARDIAN = "guardian"
    AGENT = "agent"
    CONTROLLER = "controller"
    AUTHORITY = "authority"
    SIGNAL = "signal"


class RecipientKind(StrEnum):
    """Who receives, in the words of the law table."""

    PROCESSOR = "processor"
    AFFILIATE_SAME_BRAND = "affiliate_same_brand"
    AFFILIATE_OTHER_BRAND = "affiliate_other_brand"
    PARTNER = "partner"
    THIRD_PARTY_SALE = "third_party_sale"


class RecipientScope(msgspec.Struct, frozen=True, omit_defaults=True):
    """To whom an answer applies. Both empty: to everybody, which a refusal may say and a grant may not."""

    category: RecipientKind | None = None
    partner_ids: tuple[str, ...] | None = None


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the customer was told when answering. Empty lists: the notice did not say."""

    names_recipients: tuple[str, ...] = ()
    names_recipient_kinds: tuple[RecipientKind, ...] = ()
    covers_purposes: tuple[str, ...] = ()
    covers_categories: tuple[str, ...] = ()


class ConsentEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """One answer of one customer."""

    record_id: str
    subject_id: str
    purpose: str
    state: State
    expression: Expression
    actor: Actor
    event_time: Millis
    recorded_at: Millis
    sequence: int | None = None
    brand_id: str | None = None
    channel: str | None = None
    recipient_scope: RecipientScope | None = None
    data_scope: tuple[str, ...] = ()
    valid_from: Millis | None = None
    valid_until: Millis | None = None
    notice: Notice | None = None

    @property
    def effective_time(self) -> Millis:
        """When it was said; a source whose clock runs ahead is not believed (DOMAIN A3, 5b)."""
        return self.recorded_at if self.event_time > self.recorded_at + CLOCK_TOLERANCE_MS else self.event_time

    @property
    def order(self) -> tuple[int, int, int]:
        """Sorts one customer's events by when they were said, whatever their order of arrival."""
        return self.effective_time, self.sequence or 0, self.recorded_at


class Contradiction(ValueError):
    """The event is not about the customer under whose key it came, or says what nobody understands. Holds no value."""


def parse_event(record: dict[str, Any], customer: CustomerId) -> ConsentEvent:
    """The event from its Avro record, whose times are milliseconds since the epoch. Raises Contradiction.

    A purpose that is not known is not understood: a withdrawal of it may mean any.
    """
    try:
        event = msgspec.convert(record, ConsentEvent)
    except msgspec.ValidationError:
        raise Contradiction from None
    if event.subject_id != customer or event.purpose not in purposes.known() | {purposes.EVERY_PURPOSE}:
        raise Contradiction
    return event


class ConsentRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that is known of one customer's answers: a set of events, so arrival order and repetition do not matter."""

    events: tuple[ConsentEvent, ...] = ()
    unreadable: tuple[str, ...] = ()
    """Where events stand that could not be read (`topic/partition@offset`): until put right, they count as a no."""

    def with_event(self, event: ConsentEvent) -> ConsentRecord:
        if event in self.events:
            return self
        return msgspec.structs.replace(self, events=tuple(sorted((*self.events, event), key=_canonical)))

    def with_unreadable(self, pointer: str) -> ConsentRecord:
        if pointer in self.unreadable:
            return self
        return msgspec.structs.replace(self, unreadable=tuple(sorted((*self.unreadable, pointer))))


def _canonical(event: ConsentEvent) -> tuple[tuple[int, int, int], str, bytes]:
    """A total order, so that equal sets are equal records."""
    return event.order, event.record_id, msgspec.msgpack.encode(event)


def within(key: str, scope: str) -> bool:
    """Whether a dotted taxonomy key is `scope` or lies below it. `*` holds everything."""
    return scope in ("*", key) or key.startswith(scope + ".")
