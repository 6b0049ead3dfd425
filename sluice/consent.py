"""Consent events as data: one customer's answers, as they were given and recorded.

The model is that of DOMAIN A2 (after ISO/IEC TS 27560): see `schemas/consent_event`. Here stand only the fields that a
decision reads; the rest is evidence and stays on the topic.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any

import msgspec

from sluice import vocabulary
from sluice.model import Cause, CustomerId, Millis

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


class Channel(StrEnum):
    EMAIL = "email"
    SMS = "sms"
    POSTAL = "postal"
    PHONE = "phone"
    ANY = "any"


class RecipientScope(msgspec.Struct, frozen=True, omit_defaults=True):
    """To whom an answer applies. Both empty: to everybody, which a refusal may say and a grant may not."""

    category: RecipientKind | None = None
    partner_ids: tuple[str, ...] | None = None


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the customer was told when answering. Empty lists: the notice did not say."""

    id: str | None = None
    version: str | None = None
    names_recipients: tuple[str, ...] = ()
    names_recipient_kinds: tuple[RecipientKind, ...] = ()
    covers_purposes: tuple[str, ...] = ()
    covers_categories: tuple[str, ...] = ()


class SignalType(StrEnum):
    GPC = "gpc"
    GPP = "gpp"
    TCF = "tcf"
    USP = "usp"
    FORM = "form"
    CALL = "call"


class Signal(msgspec.Struct, frozen=True):
    """The machine-readable signal that an answer was read from; its text is evidence and stays on the topic."""

    type: SignalType


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
    source_system: str | None = None
    sequence: int | None = None
    lawful_basis: str | None = None
    brand_id: str | None = None
    channel: Channel | None = None
    recipient_scope: RecipientScope | None = None
    data_scope: tuple[str, ...] = ()
    valid_from: Millis | None = None
    valid_until: Millis | None = None
    notice: Notice | None = None
    signal: Signal | None = None
    guardian_ref: str | None = None
    confirmed: bool = False
    gpc_conflict_ack: bool = False

    @property
    def is_gpc(self) -> bool:
        return self.signal is not None and self.signal.type is SignalType.GPC

    @property
    def effective_time(self) -> Millis:
        """When it was said; a source whose clock runs ahead is not believed (DOMAIN A3, 5b)."""
        return effective_time(self.event_time, self.recorded_at)


def effective_time(event_time: Millis, recorded_at: Millis) -> Millis:
    """Of an event with these times."""
    return recorded_at if event_time > recorded_at + CLOCK_TOLERANCE_MS else event_time


class Contradiction(ValueError):
    """The event is about somebody else, from the future, or in words that nobody understands. Holds no value."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.value)
        self.cause = cause


def parse_event(record: dict[str, Any], customer: CustomerId, logged_at: Millis) -> ConsentEvent:
    """The event from its Avro record, whose times are milliseconds since the epoch. Raises Contradiction.

    1. It is about the customer under whose key it came.
    2. Its words are known: a withdrawal of an unknown purpose or for unknown data may mean any.
    3. It was not said after it was logged, by the broker's clock: it would otherwise outlive later withdrawals.
    """
    try:
        event = msgspec.convert(record, ConsentEvent)
    except msgspec.ValidationError:
        raise Contradiction(Cause.NOT_UNDERSTOOD) from None
    if event.subject_id != customer:
        raise Contradiction(Cause.KEY_CONTRADICTS_VALUE)
    words = ({event.purpose} - vocabulary.purposes()) | (set(event.data_scope) - vocabulary.data_categories())
    if words - {vocabulary.EVERYTHING}:
        raise Contradiction(Cause.NOT_UNDERSTOOD)
    if event.effective_time > logged_at + CLOCK_TOLERANCE_MS:
        raise Contradiction(Cause.DATED_IN_THE_FUTURE)
    return event


_encode = msgspec.msgpack.Encoder().encode
_decode_event = msgspec.msgpack.Decoder(ConsentEvent).decode
_OF_NOBODY: dict[str, Any] = {
    "record_id": "",
    "subject_id": "",
    "event_time": 0,
    "recorded_at": 0,
    "sequence": None,
    "valid_from": None,
    "valid_until": None,
    "guardian_ref": None,
}


class Statement(msgspec.Struct, frozen=True, array_like=True):
    """One event in two parts: who said it and when, and what, which is the same bytes for all who said the same."""

    record_id: str
    subject_id: str
    event_time: Millis
    recorded_at: Millis
    sequence: int | None
    valid_from: Millis | None
    valid_until: Millis | None
    guardian_ref: str | None
    content: bytes

    @property
    def effective_time(self) -> Millis:
        """That of the event."""
        return effective_time(self.event_time, self.recorded_at)

    @property
    def event(self) -> ConsentEvent:
        """As it was parsed."""
        return msgspec.structs.replace(
            _decode_event(self.content),
            record_id=self.record_id,
            subject_id=self.subject_id,
            event_time=self.event_time,
            recorded_at=self.recorded_at,
            sequence=self.sequence,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            guardian_ref=self.guardian_ref,
        )


def _stated(event: ConsentEvent) -> Statement:
    return Statement(
        event.record_id,
        event.subject_id,
        event.event_time,
        event.recorded_at,
        event.sequence,
        event.valid_from,
        event.valid_until,
        event.guardian_ref,
        _encode(msgspec.structs.replace(event, **_OF_NOBODY)),
    )


_decode_statements = msgspec.msgpack.Decoder(tuple[Statement, ...]).decode
_ENCODED_NONE = _encode(())


_LONG_BYTES = 4_000
"""Some twenty statements; hardly anybody makes more."""


def _decoded(said: bytes) -> tuple[Statement, ...]:
    """Kept for a while: one decision asks several times."""
    return _long(said) if len(said) > _LONG_BYTES else _short(said)


@lru_cache(1 << 12)
def _short(said: bytes) -> tuple[Statement, ...]:
    return _decode_statements(said)


@lru_cache(4)
def _long(said: bytes) -> tuple[Statement, ...]:
    """Few of these: whoever gathers thousands has all that grew to them kept otherwise, and that is gigabytes."""
    return _decode_statements(said)


class UnreadEvent(msgspec.Struct, frozen=True):
    """An event whose schema cannot be had for now."""

    place: str
    value: bytes
    logged_at: Millis


class ConsentRecord(msgspec.Struct, frozen=True, array_like=True):
    """All that is known of one customer's answers: a set of events, so arrival order and repetition do not matter."""

    said: msgspec.Raw = msgspec.Raw(_ENCODED_NONE)
    """The statements as `_encode` has them: few who read a record ask what was said."""
    unreadable: tuple[str, ...] = ()
    """Where events stand that could not be read (`topic/partition@offset`): until put right, they count as a no."""
    unread: tuple[UnreadEvent, ...] = ()
    """Events that will be read when the registry answers again; nothing is added before."""

    @property
    def statements(self) -> tuple[Statement, ...]:
        """In the order of `_canonical`."""
        return _decoded(bytes(self.said))

    @property
    def events(self) -> tuple[ConsentEvent, ...]:
        """What was stated, in the same order."""
        return tuple(statement.event for statement in self.statements)

    def with_events(self, *events: ConsentEvent) -> ConsentRecord:
        """These, in their order, in the place of all others."""
        return self._with_statements([_stated(event) for event in events])

    def _with_statements(self, statements: Sequence[Statement]) -> ConsentRecord:
        return msgspec.structs.replace(self, said=msgspec.Raw(_encode(statements)))

    def with_event(self, event: ConsentEvent, place: str = "") -> ConsentRecord:
        """`place`: where it stands; if it could not be read before, it is put right."""
        if place in self.unreadable:
            rest = tuple(other for other in self.unreadable if other != place)
            return msgspec.structs.replace(self, unreadable=rest).with_event(event)
        said, new = self.statements, _stated(event)
        at = bisect_left(said, _canonical(new), key=_canonical)
        return self if said[at : at + 1] == (new,) else self._with_statements([*said[:at], new, *said[at:]])

    def with_unreadable(self, place: str) -> ConsentRecord:
        if place in self.unreadable:
            return self
        return msgspec.structs.replace(self, unreadable=tuple(sorted((*self.unreadable, place))))

    def with_unread(self, event: UnreadEvent) -> ConsentRecord:
        return self if event in self.unread else msgspec.structs.replace(self, unread=(*self.unread, event))


def _canonical(said: Statement) -> tuple[int, str, bytes]:
    """A total order, so that equal sets are equal records."""
    return said.effective_time, said.record_id, _encode(said)


def within(key: str, scope: str) -> bool:
    """Whether a dotted taxonomy key is `scope` or lies below it. `*` holds everything."""
    return scope in ("*", key) or key.startswith(scope + ".")
