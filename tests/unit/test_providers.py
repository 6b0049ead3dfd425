"""Who is asked for what, what becomes of replies, and what is taken back: decided by hand, and in any order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import catalogue
from sluice.avro import Reader, Undecodable, Writer, unframe
from sluice.model import Cause, CustomerId, PartnerId
from stream_processors.providers.asking import Asked, TakenBack
from stream_processors.providers.book import Book, request_id
from stream_processors.providers.deciding import Discarded, Refused, TakenIn, decide, label
from stream_processors.providers.reply import RefusedFor, RepliedValue, Reply, read
from tests.unit.providing import (
    ADRESSO,
    AGREEMENTS,
    CUSTOMER,
    DAY_MS,
    NOW,
    OTHER,
    PURPOSE,
    arrival,
    disclosed,
    entry,
    pseudonym,
    reconciled,
    reply,
    shared,
)

# --- asking


def requests(book: Book) -> list[str]:
    return [change.request.decision_id for change in reconciled(book) if isinstance(change, Asked)]


def book_of(*entries: dict[str, Any]) -> Book:
    book = Book()
    book.agree(AGREEMENTS)
    for one in entries:
        disclosed(book, one)
    return book


def test_who_is_newly_held_is_asked_for_once() -> None:
    book = book_of(entry("SHARED", "d-1"))
    (change,) = reconciled(book)
    assert isinstance(change, Asked)
    request = change.request
    assert (request.customer, request.task, request.decision_id) == (pseudonym(ADRESSO), PURPOSE, "d-1")
    assert (request.issued_at, request.expires_at) == (NOW, NOW + 2 * DAY_MS)
    assert request.request_id == request_id(ADRESSO, "d-1")
    book.agree(AGREEMENTS)
    assert reconciled(book) == []


def test_the_same_data_on_another_basis_asks_nothing() -> None:
    book = shared()
    disclosed(book, entry("REAFFIRMED", "d-2"))
    disclosed(book, entry("SHARED", "d-3"))
    assert requests(book) == []


def test_changed_data_is_asked_about_and_flapping_data_is_not() -> None:
    book = shared()
    disclosed(book, entry("SHARED", "d-2", b"b"))
    disclosed(book, entry("SHARED", "d-3", b"a"))
    assert requests(book) == []
    disclosed(book, entry("SHARED", "d-4", b"b"))
    assert requests(book) == ["d-4"]
    disclosed(book, entry("SHARED", "d-5", b"a"))
    assert requests(book) == ["d-5"], "what it says of b is not said of a"


def test_who_is_shared_anew_is_asked_for_anew() -> None:
    book = shared()
    disclosed(book, entry("RECALLED", "d-2"))
    assert requests(book) == []
    disclosed(book, entry("SHARED", "d-3"))
    assert requests(book) == ["d-3"]


def test_nothing_is_asked_about_whom_a_provider_may_not_use() -> None:
    book = book_of(entry("SHARED", "d-1"), entry("REAFFIRMED", "d-2", reason="processing_restricted"))
    assert requests(book) == []
    disclosed(book, entry("SHARED", "d-3"))
    assert requests(book) == ["d-3"], "it may be used again"


def test_an_answer_about_whom_a_provider_may_not_use_is_refused_and_asked_for_anew() -> None:
    book = shared()
    said = reply(book)
    disclosed(book, entry("REAFFIRMED", "d-2", reason="processing_restricted"))
    assert decide(arrival(), said, book) == Refused(RefusedFor.SUPERSEDED)
    disclosed(book, entry("REAFFIRMED", "d-3", reason="still_restricted"))
    assert requests(book) == []
    disclosed(book, entry("SHARED", "d-4"))
    assert requests(book) == ["d-4"]


def test_nobody_is_asked_without_a_task() -> None:
    book = book_of(entry("SHARED", "d-1", provider="hoshi-card"))
    assert requests(book) == []


# --- replies


def test_a_reply_is_taken_in_with_where_it_is_from() -> None:
    book = shared()
    said = reply(book, values={"street": "1 LONG ST", "moved": False, "score": None})
    outcome = decide(arrival(), said, book)
    assert isinstance(outcome, TakenIn)
    assert outcome.customer == CUSTOMER
    street, moved, score = outcome.appended
    assert (moved.value, score.value, street.value) == (False, None, "1 LONG ST")
    assert (street.source, street.obtained_at) == ("append:adresso", arrival().logged_at)
    assert (street.licence, street.licence_until) == ("G-NAF", 1_830_297_600_000)
    assert street.purpose_limits == (PURPOSE,)
    assert street.category == "user.contact.address.street"
    assert street.request_id == said.request_id


def test_what_another_provider_found_out_stays_beside_it() -> None:
    book = shared()
    disclosed(book, entry("SHARED", "d-1", provider=OTHER))
    reconciled(book)
    for provider in (ADRESSO, OTHER):
        outcome = decide(arrival(provider=provider), reply(book, provider), book)
        assert isinstance(outcome, TakenIn)
        book.enrich(outcome.customer, outcome.appended)
    assert [one.source for one in book.enrichments[CUSTOMER]] == ["append:adresso", "append:other-house"]


@pytest.mark.parametrize("values", [
    {"street": "x" * 21}, {"street": 1}, {"street": True},
    {"code": "X"}, {"code": None, "score": 11}, {"score": -1}, {"score": float("nan")}, {"score": "1"}, {"score": True},
    {"moved": "yes"}, {"moved": 1}, {"moved_on": "last summer"}, {"moved_on": "20260701"}, {"moved_on": 20_000},
    {},
])  # fmt: skip
def test_a_value_that_was_not_agreed_has_the_whole_reply_refused(values: dict[str, Any]) -> None:
    book = shared()
    assert decide(arrival(), reply(book, values=values), book) == Refused(RefusedFor.VALUE_NOT_AGREED)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_confidence_is_a_share(share: float) -> None:
    book = shared()
    said = reply(book)
    said = Reply(said.reply_id, said.request_id, said.customer, (RepliedValue("code", "Y", share),))
    assert decide(arrival(), said, book) == Refused(RefusedFor.VALUE_NOT_AGREED)


def test_a_field_that_was_not_agreed_has_the_whole_reply_refused() -> None:
    book = shared()
    said = reply(book, values={"code": "Y", "religion": "none"})
    assert decide(arrival(), said, book) == Refused(RefusedFor.FIELD_NOT_AGREED)
    twice = Reply(said.reply_id, said.request_id, said.customer, (RepliedValue("code", "Y"), RepliedValue("code", "N")))
    assert decide(arrival(), twice, book) == Refused(RefusedFor.FIELD_NOT_AGREED)


def test_a_reply_names_a_customer_and_a_request_of_its_own_provider() -> None:
    book = shared()
    disclosed(book, entry("SHARED", "d-1", provider=OTHER))
    reconciled(book)
    theirs = reply(book, OTHER)
    assert decide(arrival(), theirs, book) == Refused(RefusedFor.CUSTOMER_OF_ANOTHER_PARTNER)
    assert decide(arrival(), reply(book, customer="crm:9"), book) == Refused(RefusedFor.UNKNOWN_CUSTOMER)
    crossed = reply(book, request_id=theirs.request_id)
    assert decide(arrival(), crossed, book) == Refused(RefusedFor.UNKNOWN_REQUEST)


def test_a_reply_comes_in_time_and_once() -> None:
    book = shared()
    said = reply(book)
    assert decide(arrival(at=NOW + 2 * DAY_MS), said, book) == Refused(RefusedFor.EXPIRED)
    outcome = decide(arrival(at=NOW + 2 * DAY_MS - 1), said, book)
    assert isinstance(outcome, TakenIn)
    book.enrich(outcome.customer, outcome.appended)
    assert decide(arrival(1), said, book) == Refused(RefusedFor.REPEATED)


def test_a_reply_about_data_that_has_changed_is_refused() -> None:
    """Before it was asked about the new data, and after."""
    book = shared()
    said = reply(book)
    disclosed(book, entry("SHARED", "d-2", b"b"))
    assert decide(arrival(), said, book) == Refused(RefusedFor.SUPERSEDED)
    reconciled(book)
    assert decide(arrival(), said, book) == Refused(RefusedFor.SUPERSEDED)
    assert isinstance(decide(arrival(), reply(book), book), TakenIn)


def test_a_reply_that_was_refused_may_be_put_right() -> None:
    book = shared()
    assert isinstance(decide(arrival(), reply(book, values={"code": "?"}), book), Refused)
    assert isinstance(decide(arrival(1), reply(book), book), TakenIn)


def test_a_reply_about_who_was_recalled_is_discarded_whatever_it_says() -> None:
    book = shared()
    said = reply(book)
    disclosed(book, entry("RECALLED", "recall-1"))
    for wrong in (said, reply(book, values={"religion": "none"}), reply(book, request_id="made up")):
        assert decide(arrival(at=NOW + 9 * DAY_MS), wrong, book) == Discarded(CUSTOMER, "recall-1")


def test_a_reply_from_before_a_recall_says_nothing_after_it() -> None:
    book = shared()
    said = reply(book)
    disclosed(book, entry("RECALLED", "recall-1"))
    disclosed(book, entry("SHARED", "d-2"))
    reconciled(book)
    assert decide(arrival(), said, book) == Refused(RefusedFor.UNKNOWN_REQUEST)


def test_a_provider_whose_contract_asks_nothing_any_more_is_not_heard() -> None:
    book = shared()
    said = reply(book)
    book.agree(type(AGREEMENTS)(AGREEMENTS.within_ms, {}))
    assert decide(arrival(), said, book) == Refused(RefusedFor.NO_TASK)


def test_labels_are_of_a_closed_set() -> None:
    assert label(Refused(RefusedFor.EXPIRED)) == ("refused", "expired")
    assert label(Discarded(CUSTOMER, "d")) == ("discarded", "withdrawn")
    assert label(TakenIn(CUSTOMER, ())) == ("taken_in", "")


# --- taken back


def test_what_a_provider_appended_goes_with_the_recall_and_what_others_did_stays() -> None:
    book = shared()
    disclosed(book, entry("SHARED", "d-1", provider=OTHER))
    reconciled(book)
    for provider in (ADRESSO, OTHER):
        outcome = decide(arrival(provider=provider), reply(book, provider), book)
        assert isinstance(outcome, TakenIn)
        book.enrich(outcome.customer, outcome.appended)
    disclosed(book, entry("RECALLED", "d-2"))
    (change,) = reconciled(book)
    assert isinstance(change, TakenBack)
    assert [one.source for one in change.left] == ["append:other-house"]
    disclosed(book, entry("RECALLED", "d-3", provider=OTHER))
    assert reconciled(book) == [TakenBack(CUSTOMER, ())]
    assert book.enrichments == {}


def test_another_pseudonym_of_the_same_customer_keeps_what_is_known_and_is_asked_for() -> None:
    book = shared()
    outcome = decide(arrival(), reply(book), book)
    assert isinstance(outcome, TakenIn)
    book.enrich(outcome.customer, outcome.appended)
    replaced = {**entry("SHARED", "d-2", b"c"), "pseudonym": "new"}
    disclosed(book, entry("RECALLED", "d-2"), replaced)
    assert requests(book) == ["d-2"]
    assert book.appended_by(ADRESSO, CUSTOMER)
    assert decide(arrival(), reply(book), book) == Discarded(CUSTOMER, "d-2")


# --- reading

SCHEMA = catalogue.text("provider_reply")


def framed(**fields: Any) -> bytes:  # noqa: ANN401
    record = {
        "reply_id": "r",
        "request_id": "q",
        "customer": "p",
        "values": [{"field": "code", "value": "Y"}],
        **fields,
    }
    return Writer(SCHEMA, 7).write(record)


def decode(value: bytes | None) -> dict[str, Any]:
    schema_id, payload = unframe(value)
    if schema_id != 7:
        raise Undecodable(Cause.SCHEMA_UNKNOWN)
    return Reader(SCHEMA).read(payload)


def came(value: bytes | None, key: bytes | None = b"p") -> Reply | RefusedFor:
    return read(arrival()._replace(key=key, value=value), decode)


def test_a_reply_is_read_as_it_was_written() -> None:
    values = (None, True, 3, 2.5, "x")
    found = came(framed(values=[{"field": "a", "value": one, "confidence": 0.5} for one in values]))
    assert isinstance(found, Reply)
    assert found.values == tuple(RepliedValue("a", one, 0.5) for one in values)


@pytest.mark.parametrize("value", [None, b"", b"garbage", framed()[:-1], framed() + b"\0", b"\0\0\0\0\x08"])
def test_a_reply_that_cannot_be_read_is_refused(value: bytes | None) -> None:
    assert came(value) is RefusedFor.UNREADABLE


@pytest.mark.parametrize("key", [None, b"", b"p2", b"\xff"])
def test_a_reply_about_another_than_its_key_is_refused(key: bytes | None) -> None:
    assert came(framed(), key) is RefusedFor.KEY_CONTRADICTS_VALUE


def test_a_record_of_another_schema_is_no_reply() -> None:
    assert read(arrival(), lambda _value: {"decision_id": "d"}) is RefusedFor.UNREADABLE


# --- any order

ACTIONS = st.sampled_from(("SHARED", "REAFFIRMED", "RECALLED"))
STEPS = st.lists(
    st.tuples(ACTIONS, st.sampled_from((ADRESSO, OTHER)), st.sampled_from((b"a", b"b")), st.booleans()), max_size=12
)


def history(steps: list[tuple[str, PartnerId, bytes, bool]]) -> tuple[Book, list[list[tuple[str, Any]]]]:
    """A customer's life, asked and answered as it goes on; and the logs of it: disclosures, requests, enrichments."""
    book = Book()
    book.agree(AGREEMENTS)
    disclosures, asked, enriched = [], [], []
    for number, (action, provider, digest, answers) in enumerate(steps):
        one = entry(action, f"d-{number}", digest, provider)
        disclosures.append(("disclosed", one))
        disclosed(book, one)
        for change in reconciled(book):
            if isinstance(change, Asked):
                asked.append(("asked", change.request))
            else:
                enriched.append(("enriched", change.left))
        outcome = decide(arrival(number, provider), reply(book, provider), book) if answers else None
        if isinstance(outcome, TakenIn):
            book.enrich(outcome.customer, outcome.appended)
            enriched.append(("enriched", outcome.appended))
    return book, [disclosures, asked, enriched]


def told(book: Book, kind: str, what: Any) -> None:  # noqa: ANN401
    match kind:
        case "disclosed":
            disclosed(book, what)
        case "asked":
            book.ask(what)
        case _:
            book.enrich(CustomerId(CUSTOMER), what)


@given(STEPS, st.randoms(use_true_random=False))
def test_logs_come_to_the_same_however_they_come_between_each_other(steps: Any, chance: Any) -> None:  # noqa: ANN401
    """And whoever reads them has nothing to ask, and nothing to take back: nothing is done twice."""
    lived, logs = history(steps)
    left = [list(log) for log in logs]
    other = Book()
    other.agree(AGREEMENTS)
    while remaining := [log for log in left if log]:
        told(other, *chance.choice(remaining).pop(0))
    assert (other.holdings, other.held_as, other.enrichments) == (lived.holdings, lived.held_as, lived.enrichments)
    assert reconciled(other) == []


@given(STEPS)
def test_values_stand_only_of_who_is_held_and_who_is_held_was_asked_for(steps: Any) -> None:  # noqa: ANN401
    book, (_, asked, _) = history(steps)
    sources = {one.source for one in book.enrichments.get(CUSTOMER, ())}
    assert sources <= {f"append:{provider}" for provider, _ in book.held_as}
    assert all(book.holdings[name].is_asked for name in book.held_as.values())
    ids = [request.request_id for _, request in asked]
    assert len(set(ids)) == len(ids)


@given(STEPS)
def test_a_request_is_answered_once_for_ever(steps: Any) -> None:  # noqa: ANN401
    book, _ = history(steps)
    for provider in (ADRESSO, OTHER):
        outcome = decide(arrival(100, provider), reply(book, provider), book)
        if isinstance(outcome, TakenIn):
            book.enrich(outcome.customer, outcome.appended)
        assert not isinstance(decide(arrival(101, provider), reply(book, provider), book), TakenIn)
