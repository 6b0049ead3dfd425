"""Consent events as data: who is believed, in what order, and what cannot be believed at all."""

from __future__ import annotations

import tracemalloc
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.consent import (
    CLOCK_TOLERANCE_MS,
    Actor,
    ConsentEvent,
    ConsentRecord,
    Contradiction,
    Expression,
    RecipientKind,
    State,
    UnreadEvent,
    parse_event,
    within,
)
from sluice.model import Cause, CustomerId, Millis

CUSTOMER = CustomerId("dell-crm:1")
RECORD: dict[str, Any] = {
    "record_id": "r1",
    "schema_version": "1",
    "subject_id": "dell-crm:1",
    "purpose": "marketing",
    "recipient_scope": {"category": "partner", "partner_ids": ["hoshi-card"]},
    "data_scope": ["user.name"],
    "channel": "email",
    "state": "GIVEN",
    "expression": "explicit",
    "actor": "subject",
    "event_time": 10,
    "recorded_at": 20,
    "sequence": 3,
    "notice": {"id": "n", "names_recipient_kinds": ["partner"], "names_recipients": [], "covers_purposes": []},
}


def said(at: int, recorded: int | None = None, **more: Any) -> ConsentEvent:  # noqa: ANN401 - any field of the event
    event = ConsentEvent(
        record_id=f"r{at}",
        subject_id=CUSTOMER,
        purpose="marketing",
        state=State.GIVEN,
        expression=Expression.EXPLICIT,
        actor=Actor.SUBJECT,
        event_time=Millis(at),
        recorded_at=Millis(at if recorded is None else recorded),
    )
    return msgspec.structs.replace(event, **more)


def test_an_event_is_read_from_its_avro_record() -> None:
    event = parse_event(RECORD, CUSTOMER, Millis(10**15))
    assert (event.state, event.expression, event.actor) == (State.GIVEN, Expression.EXPLICIT, Actor.SUBJECT)
    assert event.recipient_scope is not None
    assert event.recipient_scope.partner_ids == ("hoshi-card",)
    assert event.notice is not None
    assert event.notice.names_recipient_kinds == (RecipientKind.PARTNER,)
    assert (event.event_time, event.recorded_at, event.sequence) == (10, 20, 3)


@pytest.mark.parametrize(
    "change",
    [
        {"subject_id": "dell-crm:2"},
        {"subject_id": ""},
        {"purpose": "marketing.communications.fax"},
        {"purpose": ""},
        {"state": "PERHAPS"},
        {"state": None},
        {"expression": "shouted"},
        {"actor": "neighbour"},
        {"event_time": "yesterday"},
        {"event_time": 1.5},
        {"recipient_scope": {"category": "friends"}},
        {"notice": {"names_recipient_kinds": ["friends"]}},
        {"signal": {"type": "smoke"}},
        {"signal": {}},
        {"confirmed": "yes"},
        {"data_scope": None},
    ],
    ids=str,
)
def test_a_contradiction_is_told_without_its_value(change: dict[str, Any]) -> None:
    with pytest.raises(Contradiction) as raised:
        parse_event(RECORD | change, CUSTOMER, Millis(10**15))
    assert str(raised.value) in set(Cause)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_an_answer_may_be_about_every_purpose() -> None:
    assert parse_event(RECORD | {"purpose": "*"}, CUSTOMER, Millis(10**15)).purpose == "*"


@pytest.mark.parametrize("missing", ["record_id", "subject_id", "purpose", "state", "expression", "actor"])
def test_a_record_of_another_shape_is_a_contradiction(missing: str) -> None:
    with pytest.raises(Contradiction):
        parse_event({key: value for key, value in RECORD.items() if key != missing}, CUSTOMER, Millis(10**15))


def test_a_source_clock_that_runs_ahead_is_believed_for_five_minutes_and_no_longer() -> None:
    assert said(1_000 + CLOCK_TOLERANCE_MS, 1_000).effective_time == 1_000 + CLOCK_TOLERANCE_MS
    assert said(1_001 + CLOCK_TOLERANCE_MS, 1_000).effective_time == 1_000
    assert said(1, 10**15).effective_time == 1, "a late record is of the time when it was said"


def test_events_stand_in_one_order_whatever_their_order_of_arrival() -> None:
    """By when they were said, then by id: equal sets are equal records. Which answer wins, the decision says."""
    in_order = [
        said(1, 90, sequence=9),
        said(2, 50, record_id="a"),
        said(2, 40, record_id="b", sequence=1),
        said(3 + 2 * CLOCK_TOLERANCE_MS, 2, record_id="c"),
        said(3, 3),
    ]
    for arrival in permutations(in_order):
        record = ConsentRecord()
        for event in arrival:
            record = record.with_event(event)
        assert record.events == tuple(in_order)


@given(st.lists(st.builds(said, st.integers(0, 3), st.integers(0, 3), sequence=st.none() | st.integers(0, 1))))
def test_the_record_is_a_set(events: list[ConsentEvent]) -> None:
    once, twice = ConsentRecord(), ConsentRecord()
    for event in events:
        once = once.with_event(event)
    for event in [*reversed(events), *events]:
        twice = twice.with_event(event)
    assert once == twice
    assert len(once.events) == len(set(events))


def test_a_signal_a_notice_and_a_guardian_are_read_from_the_record() -> None:
    told = {
        "signal": {"type": "gpc", "raw": "1"},
        "guardian_ref": "g",
        "confirmed": True,
        "gpc_conflict_ack": True,
        "source_system": "crm",
        "lawful_basis": "consent",
        "notice": {"id": "n", "version": "3"},
    }
    event = parse_event(RECORD | told, CUSTOMER, Millis(10**15))
    assert event.is_gpc
    assert (event.guardian_ref, event.confirmed, event.gpc_conflict_ack) == ("g", True, True)
    assert (event.source_system, event.lawful_basis) == ("crm", "consent")
    assert event.notice is not None
    assert (event.notice.id, event.notice.version, event.notice.names_recipients) == ("n", "3", ())


@pytest.mark.parametrize("signal", [None, {"type": "gpp"}, {"type": "tcf"}])
def test_only_global_privacy_control_is_such_a_signal(signal: object) -> None:
    event = parse_event(RECORD | {"signal": signal}, CUSTOMER, Millis(10**15))
    assert not event.is_gpc
    assert not event.confirmed, "what is not said is not so"
    assert not event.gpc_conflict_ack


def test_events_that_cannot_be_read_yet_are_kept_once() -> None:
    later = UnreadEvent("t/0@7", b"x", Millis(1))
    assert ConsentRecord().with_unread(later).with_unread(later).unread == (later,)


def test_unreadable_events_are_a_set_of_places() -> None:
    record = ConsentRecord().with_unreadable("t/0@9").with_unreadable("t/0@10").with_unreadable("t/0@9")
    assert record == ConsentRecord().with_unreadable("t/0@10").with_unreadable("t/0@9")
    assert len(record.unreadable) == 2


@pytest.mark.parametrize(
    ("key", "scope", "holds"),
    [
        ("user.name", "user.name", True),
        ("user.name.first", "user.name", True),
        ("user.name", "user.name.first", False),
        ("user.names", "user.name", False),
        ("user.name", "*", True),
        ("*", "user.name", False),
        ("user.name", "", False),
        ("", "user.name", False),
    ],
)
def test_a_key_lies_within_itself_and_above(key: str, scope: str, holds: bool) -> None:  # noqa: FBT001 - a table's column
    assert within(key, scope) is holds


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        pytest.param({"data_scope": ["user.contact.emial"]}, Cause.NOT_UNDERSTOOD, id="misspelt data"),
        pytest.param({"data_scope": ["email"]}, Cause.NOT_UNDERSTOOD, id="data in words of one's own"),
        pytest.param({"channel": "EMAIL"}, Cause.NOT_UNDERSTOOD, id="a channel in capitals"),
        pytest.param({"subject_id": "somebody else"}, Cause.KEY_CONTRADICTS_VALUE, id="somebody else"),
        pytest.param(
            {"event_time": 10**12, "recorded_at": 10**12}, Cause.DATED_IN_THE_FUTURE, id="said after it was logged"
        ),
    ],
)
def test_what_cannot_be_heeded_is_no_event(change: dict[str, Any], cause: Cause) -> None:
    """It would otherwise be a withdrawal that nobody heeds, or a grant that outlives its withdrawal."""
    with pytest.raises(Contradiction) as raised:
        parse_event(RECORD | change, CUSTOMER, Millis(10**12 - 10**6))
    assert raised.value.cause is cause


@pytest.mark.parametrize(("ahead_ms", "heeded"), [(0, True), (5 * 60_000, True), (5 * 60_000 + 1, False)])
def test_an_answer_may_be_dated_five_minutes_after_it_was_logged_and_no_later(ahead_ms: int, heeded: bool) -> None:  # noqa: FBT001
    """DOMAIN A3, 5b: so much may clocks differ."""
    said_at = {"event_time": 10**12 + ahead_ms, "recorded_at": 10**12 + ahead_ms}
    if heeded:
        assert parse_event(RECORD | said_at, CUSTOMER, Millis(10**12)).event_time == 10**12 + ahead_ms
    else:
        with pytest.raises(Contradiction):
            parse_event(RECORD | said_at, CUSTOMER, Millis(10**12))


def test_many_events_of_one_customer_are_gathered_in_good_time() -> None:
    """A preference centre in a loop must not stop its partition."""
    assert len(_gathered(5_000).events) == 5_000


def test_many_events_of_one_customer_take_no_room_but_their_own() -> None:
    """Each makes another set, and no set of before is kept."""
    tracemalloc.start()
    try:
        record = _gathered(1_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(record.events) == 1_000
    assert peak < 30_000_000


def _gathered(events: int) -> ConsentRecord:
    record = ConsentRecord()
    for number in range(events):
        event = parse_event(RECORD | {"record_id": str(number * 7919 % events)}, CUSTOMER, Millis(10**15))
        record = record.with_event(event).with_event(event)
    return record
