"""What becomes of a return: accepted for what it is, or refused with its cause; and by when a recall is due."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import catalogue
from sluice.avro import Reader, Undecodable, Writer, unframe
from sluice.consent import Channel, parse_event
from sluice.model import Cause, CustomerId, Millis, PartnerId
from stream_processors.returns.book import AcceptedReturn, Agreements, Book
from stream_processors.returns.deadlines import Account, accounts, pauses
from stream_processors.returns.deciding import (
    Acknowledged,
    Noted,
    Outcome,
    Refused,
    Settled,
    Unsubscribed,
    decide,
    label,
)
from stream_processors.returns.partner_return import (
    Arrival,
    Correction,
    PartnerReturn,
    RefusedFor,
    ReturnType,
    our_id,
    read,
)
from tests.unit.returning import (
    AGREEMENTS,
    DAY_MS,
    HOSHI,
    LISTMART,
    NOW,
    arrival,
    book,
    disclosure,
    pseudonym,
    said,
    two_customers,
)

SCHEMA = catalogue.text("partner_return")


def accepted(outcome: Outcome) -> AcceptedReturn:
    assert isinstance(outcome, Acknowledged | Unsubscribed | Noted), outcome
    return outcome.accepted


# --- reading


def framed(**fields: Any) -> bytes:  # noqa: ANN401
    record = {"return_id": "r-1", "type": "DECEASED", "customer": "p-1", "at": NOW, **fields}
    return Writer(SCHEMA, 7).write(record)


def decode(value: bytes | None) -> dict[str, Any]:
    schema_id, payload = unframe(value)
    if schema_id != 7:
        raise Undecodable(Cause.SCHEMA_UNKNOWN)
    return Reader(SCHEMA).read(payload)


def came(value: bytes | None, key: bytes | None = b"p-1") -> PartnerReturn | RefusedFor:
    return read(arrival()._replace(key=key, value=value), decode)


def test_a_return_is_read_as_it_was_written() -> None:
    found = came(framed(type="CORRECTION", corrections=[{"field": "city", "value": "Ōsaka"}, {"field": "email"}]))
    assert isinstance(found, PartnerReturn)
    assert found.corrections == (Correction("city", "Ōsaka"), Correction("email", None))


@pytest.mark.parametrize(
    "value", [None, b"", b"garbage", framed()[:-1], framed() + b"\0", b"\0\0\0\0\x08" + framed()[5:]]
)
def test_a_return_that_cannot_be_read_is_refused(value: bytes | None) -> None:
    assert came(value) is RefusedFor.UNREADABLE


def test_a_record_of_another_schema_is_no_return() -> None:
    def another(_value: bytes | None) -> dict[str, Any]:
        return {"decision_id": "d", "type": "ERASE"}

    assert read(arrival(), another) is RefusedFor.UNREADABLE


@pytest.mark.parametrize("key", [None, b"", b"p-2", b"\xff"])
def test_a_return_about_another_than_its_key_is_refused(key: bytes | None) -> None:
    assert came(framed(), key) is RefusedFor.KEY_CONTRADICTS_VALUE


@pytest.mark.parametrize(
    "fields",
    [
        {"return_id": ""},
        {"decision_id": "d-1"},
        {"other_customer": "p-2"},
        {"channel": "email"},
        {"corrections": [{"field": "city", "value": "x"}]},
        {"type": "ACKNOWLEDGED"},
        {"type": "DUPLICATE"},
        {"type": "DUPLICATE", "other_customer": "p-1"},
        {"type": "CORRECTION"},
        {"type": "UNSUBSCRIBED", "decision_id": "d-1"},
    ],
)
def test_a_return_that_says_more_or_less_than_its_type_is_refused(fields: dict[str, Any]) -> None:
    assert came(framed(**fields)) is RefusedFor.INCONSISTENT


def test_our_id_tells_partners_apart_and_nothing_of_theirs() -> None:
    assert our_id(HOSHI, "hana@example.com") == our_id(HOSHI, "hana@example.com")
    assert our_id(HOSHI, "1") != our_id(LISTMART, "1")
    assert "hana" not in our_id(HOSHI, "hana@example.com")


# --- deciding


def test_an_acknowledgement_closes_its_recall_and_no_other() -> None:
    known = two_customers()
    outcome = decide(arrival(), said("ACKNOWLEDGED", decision_id="d-1"), known)
    assert isinstance(outcome, Acknowledged)
    assert (outcome.customer, outcome.accepted.decision_id) == ("crm:1", "d-1")
    known.accept(outcome.accepted)
    assert known.open == {(LISTMART, "d-1")}


@pytest.mark.parametrize(("action", "reason"), [("REAFFIRMED", "processing_restricted"), ("SHARED", "rectified")])
def test_what_is_to_be_kept_or_put_right_is_acknowledged_too(action: str, reason: str) -> None:
    known = two_customers()
    known.disclose(CustomerId("crm:2"), disclosure("crm:2", (HOSHI, action), decision="d-2", reason=reason))
    assert (HOSHI, "d-2") in known.open
    outcome = decide(arrival(), said("ACKNOWLEDGED", "crm:2", decision_id="d-2"), known)
    assert isinstance(outcome, Acknowledged)


def test_what_stays_restricted_is_not_to_be_acknowledged_again() -> None:
    known = two_customers()
    known.disclose(
        CustomerId("crm:2"), disclosure("crm:2", (HOSHI, "REAFFIRMED"), decision="d-2", reason="still_restricted")
    )
    assert (HOSHI, "d-2") not in known.open


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        (said("DECEASED", "crm:9"), RefusedFor.UNKNOWN_CUSTOMER),
        (said("DECEASED", partner=LISTMART), RefusedFor.CUSTOMER_OF_ANOTHER_PARTNER),
        (said("UNSUBSCRIBED", partner=LISTMART), RefusedFor.CUSTOMER_OF_ANOTHER_PARTNER),
        (said("ACKNOWLEDGED", decision_id="d-2"), RefusedFor.UNKNOWN_RECALL),
        (said("ACKNOWLEDGED", "crm:2", decision_id="d-1"), RefusedFor.UNKNOWN_RECALL),
        (said("DUPLICATE", other_customer=pseudonym(HOSHI, "crm:9")), RefusedFor.UNKNOWN_CUSTOMER),
        (said("DUPLICATE", other_customer=pseudonym(LISTMART, "crm:2")), RefusedFor.CUSTOMER_OF_ANOTHER_PARTNER),
        (said("CORRECTION", corrections=(Correction("email", "x"),)), RefusedFor.FIELD_NOT_SHARED),
        (
            said("CORRECTION", corrections=(Correction("given_name", "x"), Correction("address.city", "x"))),
            RefusedFor.FIELD_NOT_SHARED,
        ),
        (RefusedFor.UNREADABLE, RefusedFor.UNREADABLE),
    ],
)
def test_what_a_partner_may_not_say(what: PartnerReturn | RefusedFor, cause: RefusedFor) -> None:
    assert decide(arrival(), what, two_customers()) == Refused(cause)


def test_a_repeated_return_is_refused_and_one_that_is_read_again_is_settled() -> None:
    known, bounced = two_customers(), said("BOUNCED", channel=Channel.EMAIL)
    known.accept(accepted(decide(arrival(3), bounced, known)))
    assert decide(arrival(3), bounced, known) == Settled()
    assert decide(arrival(4), bounced, known) == Refused(RefusedFor.REPEATED)


def test_a_recall_is_acknowledged_once() -> None:
    known = two_customers()
    known.accept(accepted(decide(arrival(0), said("ACKNOWLEDGED", decision_id="d-1"), known)))
    again = said("ACKNOWLEDGED", decision_id="d-1", return_id="another")
    assert decide(arrival(1), again, known) == Refused(RefusedFor.REPEATED)


def test_the_same_id_from_two_partners_is_two_returns() -> None:
    known = two_customers()
    known.accept(accepted(decide(arrival(), said("DECEASED"), known)))
    assert isinstance(decide(arrival(0, LISTMART), said("DECEASED", partner=LISTMART), known), Noted)


def test_what_is_learnt_is_noted_without_values() -> None:
    known = two_customers()
    corrections = Correction("address_city", "Secretville"), Correction("given_name", None)
    corrected = accepted(decide(arrival(), said("CORRECTION", corrections=corrections), known))
    assert corrected.fields == ("address_city", "given_name")
    assert "Secretville" not in str(corrected)
    duplicate = accepted(decide(arrival(), said("DUPLICATE", other_customer=pseudonym(HOSHI, "crm:2")), known))
    assert duplicate.other_customer == "crm:2"
    for kind in ("BOUNCED", "DECEASED", "WRONG_PERSON"):
        assert accepted(decide(arrival(), said(kind), known)).type == kind


def test_a_customer_that_was_recalled_is_still_the_partners_to_speak_of() -> None:
    assert isinstance(decide(arrival(), said("UNSUBSCRIBED", "crm:1"), two_customers()), Unsubscribed)


# --- withdrawals


def event_of(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Unsubscribed)
    return outcome.event


def test_an_unsubscribe_is_a_withdrawal_that_sharing_understands() -> None:
    outcome = decide(arrival(), said("UNSUBSCRIBED", "crm:2", channel=Channel.EMAIL), two_customers())
    event = event_of(outcome)
    schema = catalogue.text("consent_event")
    _, payload = unframe(Writer(schema, 1).write(event))
    parsed = parse_event(Reader(schema).read(payload), CustomerId("crm:2"), Millis(NOW + 6000))
    assert (parsed.state.value, parsed.actor.value, parsed.channel) == ("WITHDRAWN", "subject", "email")
    assert parsed.recipient_scope is not None
    assert parsed.recipient_scope.partner_ids == (HOSHI,)
    assert (parsed.purpose, parsed.source_system) == ("marketing.communications.email", HOSHI)
    assert (parsed.event_time, parsed.recorded_at) == (NOW + 5000, NOW + 6000)
    assert parsed.record_id == accepted(outcome).return_id


@pytest.mark.parametrize("at", [0, NOW - 1, NOW + 6001, NOW + 10 * DAY_MS])
def test_a_time_that_cannot_be_makes_no_withdrawal_older(at: int) -> None:
    event = event_of(decide(arrival(), said("UNSUBSCRIBED", at=Millis(at)), two_customers()))
    assert event["event_time"] == NOW + 6000


def test_whose_contract_cannot_be_read_any_more_loses_everything_by_an_unsubscribe() -> None:
    known = two_customers()
    known.conditions.clear()
    assert event_of(decide(arrival(), said("UNSUBSCRIBED"), known))["purpose"] == "*"


# --- deadlines


def test_a_recall_is_open_then_due_soon_then_overdue() -> None:
    known, issued = two_customers(), NOW + 1000
    for after, due_soon, overdue in (
        (0, 0, 0),
        (3 * DAY_MS * 0.75 - 1, 0, 0),
        (3 * DAY_MS * 0.75, 1, 0),
        (3 * DAY_MS - 1, 1, 0),
        (3 * DAY_MS, 0, 1),
    ):
        account = accounts(known, Millis(int(issued + after)), 0.75)[HOSHI]
        assert (account.open, account.due_soon, account.overdue) == (1, due_soon, overdue), after
        assert account.oldest_deadline == issued + 3 * DAY_MS


def test_partners_without_recalls_are_counted_too() -> None:
    assert accounts(book(), NOW, 0.75) == {HOSHI: Account(), LISTMART: Account()}


def test_a_deadline_is_that_of_the_set_that_it_was_decided_under() -> None:
    known = two_customers()
    known.agree(Agreements("c1", {HOSHI: 1, LISTMART: 1}, AGREEMENTS.conditions))
    assert accounts(known, NOW, 0.75)[HOSHI].oldest_deadline == NOW + 1000 + 3 * DAY_MS


def test_a_recall_under_a_set_that_nobody_has_is_due_at_once() -> None:
    known = Book()
    known.disclose(CustomerId("crm:1"), disclosure("crm:1", (HOSHI, "RECALLED")))
    assert accounts(known, NOW, 0.75)[HOSHI].overdue == 1


def test_who_is_overdue_is_paused_if_the_contract_says_so_and_until_it_answers() -> None:
    known, late = two_customers(), Millis(NOW + 10 * DAY_MS)
    assert pauses(known, accounts(known, NOW, 0.75), NOW) == {}
    standing = accounts(known, late, 0.75)
    assert pauses(known, standing, late) == {HOSHI: late}, "listmart's contract does not say so"
    known.paused[HOSHI] = late
    assert pauses(known, standing, late) == {}
    known.accept(accepted(decide(arrival(), said("ACKNOWLEDGED", decision_id="d-1"), known)))
    assert pauses(known, accounts(known, late, 0.75), late) == {HOSHI: None}


# --- any order, any repetition

PARTNERS = st.sampled_from((HOSHI, LISTMART))
CUSTOMERS = st.sampled_from(("crm:1", "crm:2"))
DISCLOSED = st.tuples(CUSTOMERS, PARTNERS, st.sampled_from(("SHARED", "RECALLED", "REAFFIRMED")), st.integers(0, 5))


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Any], list[tuple[Arrival, PartnerReturn]]]:
    """Disclosures, and returns about some of them and about what never was, some said several times."""
    disclosed = draw(st.lists(DISCLOSED, max_size=12))
    returns = []
    for offset in range(draw(st.integers(0, 12))):
        customer, partner, _, at = draw(DISCLOSED)
        kind = draw(st.sampled_from(list(ReturnType)))
        about: dict[ReturnType, dict[str, Any]] = {
            ReturnType.ACKNOWLEDGED: {"decision_id": f"{partner}/{customer}/{NOW + at}"},
            ReturnType.DUPLICATE: {"other_customer": pseudonym(partner, "crm:2" if customer == "crm:1" else "crm:1")},
            ReturnType.CORRECTION: {"corrections": (Correction("given_name", "x"),)},
        }
        what = said(kind, customer, partner, return_id=f"r-{draw(st.integers(0, 6))}", **about.get(kind, {}))
        returns.append((arrival(offset, draw(PARTNERS)), what))
    return disclosed, returns


def folded(disclosed: list[Any], returns: list[AcceptedReturn]) -> Book:
    made = book(*((c, disclosure(c, (p, action), at=NOW + at)) for c, p, action, at in disclosed))
    for one in returns:
        made.accept(one)
    return made


def settled(known: Book, returns: list[tuple[Arrival, PartnerReturn]]) -> tuple[list[AcceptedReturn], list[Outcome]]:
    """Returns in their order: what was accepted, and every outcome."""
    found, outcomes = [], []
    for where, what in returns:
        outcome = decide(where, what, known)
        outcomes.append(outcome)
        if isinstance(outcome, Acknowledged | Unsubscribed | Noted):
            known.accept(outcome.accepted)
            found.append(outcome.accepted)
    return found, outcomes


@given(histories(), st.randoms(use_true_random=False))
def test_the_book_is_the_same_in_any_order_and_after_any_repetition(history: Any, chance: Any) -> None:  # noqa: ANN401
    disclosed, returns = history
    found, _ = settled(folded(disclosed, []), returns)
    once = folded(disclosed, found)
    logs: list[tuple[str, Any]] = [("disclosed", one) for one in disclosed] + [("accepted", one) for one in found]
    shuffled = logs + chance.choices(logs, k=len(logs)) if logs else []
    chance.shuffle(shuffled)
    other = book()
    for kind, one in shuffled:
        if kind == "accepted":
            other.accept(one)
        else:
            customer, partner, action, at = one
            other.disclose(CustomerId(customer), disclosure(customer, (partner, action), at=NOW + at))
    assert other == once


@given(histories(), st.data())
def test_returns_read_again_from_anywhere_change_nothing(history: Any, data: st.DataObject) -> None:  # noqa: ANN401
    """Killed after any of them, and everything read again from any place before: the same is accepted, once."""
    disclosed, returns = history
    found, outcomes = settled(folded(disclosed, []), returns)
    killed = data.draw(st.integers(0, len(returns)))
    committed = data.draw(st.integers(0, killed))
    first, _ = settled(folded(disclosed, []), returns[:killed])
    again, repeated = settled(folded(disclosed, first), returns[committed:])
    assert first + again == found
    for before, after in zip(outcomes[committed:], repeated, strict=True):
        assert after == before or (isinstance(before, Acknowledged | Unsubscribed | Noted) and after == Settled())


@given(histories())
def test_every_recall_is_acknowledged_or_open_and_counts_agree_with_the_disclosures(history: Any) -> None:  # noqa: ANN401
    disclosed, returns = history
    known = folded(disclosed, [])
    settled(known, returns)
    for partner, account in accounts(known, Millis(NOW + 100 * DAY_MS), 0.75).items():
        recalls = {(c, at) for c, p, action, at in disclosed if p == partner and action == "RECALLED"}
        assert account.recalls == len(recalls)
        assert account.acknowledged + account.overdue == account.recalls


@given(histories())
def test_nobody_speaks_of_customers_that_it_was_never_given(history: Any) -> None:  # noqa: ANN401
    disclosed, returns = history
    found, _ = settled(folded(disclosed, []), returns)
    given_to = {(PartnerId(p), pseudonym(p, c)) for c, p, _, _ in disclosed}
    assert {(one.partner, one.pseudonym) for one in found} <= given_to


def test_labels_are_of_a_closed_set() -> None:
    assert label(Refused(RefusedFor.REPEATED)) == ("refused", "repeated")
    assert label(Settled()) == ("settled", "")
    assert label(decide(arrival(), said("DECEASED"), two_customers())) == ("noted", "")
