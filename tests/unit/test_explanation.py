"""An explanation tells the decision as the processor takes it: every rule, every answer, every field, and no value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.consent import ConsentEvent, ConsentRecord, parse_event
from sluice.decision import Customer, Denied, Permitted, decide
from sluice.facts import Facts
from sluice.model import CustomerId, Millis
from sluice.projection import Snapshot
from sluice.store import Row
from stream_processors.review.explaining import Asked, explain
from stream_processors.review.explanation import Explanation, replayed
from stream_processors.review.subject import Subject
from stream_processors.review.telling import told
from stream_processors.sharing.pipeline import DELETED

if TYPE_CHECKING:
    from tests.unit.conftest import Installation

CUSTOMER = CustomerId("dell-crm:1")
NOW = Millis(1_780_000_000_000)
CONTRACT: Mapping[str, Any] = {
    "partner": "hoshi-card",
    "name": "Hoshi Card",
    "recipient": "corporate_partner",
    "purpose": "marketing.communications.email",
    "country": "JP",
    "valid": {"from": date(2026, 1, 1)},
    "evidence": ["notice_names_recipient"],
    "fields": {"given_name": "keep", "birth_date": "birth_year", "email": {"truncate": 3}, "phone": "keep"},
    "where": {"address.country": ["JP", "AU"]},
}
RECORD: Mapping[str, Any] = {
    "customer_id": CUSTOMER,
    "given_name": "Zaphod",
    "birth_date": 4_000,
    "email": "zaphod@example.com",
    "phone": None,
    "residence": "JP",
    "address": {"country": "JP"},
}
VALUES = ("Zaphod", "zaphod", "1980", "zap")


@pytest.fixture(scope="module")
def installation(new_installation: type[Installation]) -> Installation:
    return new_installation(CONTRACT)


def asked(installation: Installation, *, with_values: bool = False) -> Asked:
    (checked,), (partnership,) = installation.contracts.contracts, installation.partnerships
    return Asked(checked, partnership, installation.policy(), NOW, with_values)


def said(installation: Installation, *states: str, **more: Any) -> ConsentRecord:  # noqa: ANN401 - of the event
    record = ConsentRecord()
    for at, state in enumerate(states):
        event = installation.decode(installation.answer(CUSTOMER, "hoshi-card", at, state, **more))
        record = record.with_event(parse_event(event, CUSTOMER, NOW))
    return record


def told_of(
    installation: Installation,
    consents: ConsentRecord,
    *,
    with_values: bool = False,
    **changes: Any,  # noqa: ANN401
) -> Explanation:
    subject = Subject(0, CUSTOMER, Row(consents=consents), Snapshot({**RECORD, **changes}))
    return explain(subject, asked(installation, with_values=with_values))


def test_every_link_of_the_chain_is_told(installation: Installation) -> None:
    one = told_of(installation, said(installation, "GIVEN"))
    assert (one.outcome, one.reason) == ("shared", None)
    assert [(law.jurisdiction, law.because) for law in one.laws] == [("JP", ("lives in JP",))]
    rules = {(rule.rule, rule.test, rule.cite, rule.passed) for told in one.categories for rule in told.rules}
    assert rules == {("JP-R3", "OPT_IN", "APPI 27(1), 29, 30", True)}
    assert [(c.bearing, c.event.record_id) for c in one.consents] == [("permits", f"{CUSTOMER} hoshi-card GIVEN 0")]
    assert [(c.condition, c.passed) for c in one.row_filter] == [("address.country is JP or AU", True)]
    assert [(field.field, field.transform, field.outcome, field.reason) for field in one.fields] == [
        ("given_name", "keep", "shared", None),
        ("birth_date", "birth_year", "shared", None),
        ("email", "truncate", "shared", None),
        ("phone", "keep", "empty", "the source has no value"),
    ]
    assert one.facts is not None
    assert (one.facts.age, one.facts.born) == (45, None), "the birth date is a value"


def test_a_refusal_names_the_rule_and_the_answer(installation: Installation) -> None:
    one = told_of(installation, said(installation, "GIVEN", "WITHDRAWN"))
    assert (one.outcome, one.reason) == ("withheld", "withdrawn")
    assert {c.bearing for c in one.consents if c.event.state == "WITHDRAWN"} == {"refuses"}
    assert {c.bearing for c in one.consents if c.event.state == "GIVEN"} == {"decides nothing here"}
    assert {field.outcome for field in one.fields} == {"withheld"}
    text = told(one)
    assert "WITHHELD, because: withdrawn" in text
    assert "JP-R3 (JP): only with the customer's opt-in; withdrawn; by consent record" in text
    assert "[APPI 27(1), 29, 30; seen, 2026-11-21]" in text


def test_every_law_of_an_unknown_residence_is_told(installation: Installation) -> None:
    one = told_of(installation, said(installation, "GIVEN"), residence=None)
    assert {because for law in one.laws for because in law.because} == {"residence not known"}
    assert len(one.laws) > 20
    assert one.outcome == "withheld"


@pytest.mark.parametrize("states", [("GIVEN",), ("GIVEN", "WITHDRAWN")])
def test_no_value_is_told_unless_asked_for(installation: Installation, states: tuple[str, ...]) -> None:
    one = told_of(installation, said(installation, *states))
    for text in (told(one), msgspec.json.encode(one).decode()):
        assert not any(value in text for value in VALUES)
    with_values = told_of(installation, said(installation, *states), with_values=True)
    assert "Zaphod" in told(with_values)
    assert ("'zap'" in told(with_values)) is (states == ("GIVEN",)), "what is withheld is not given, even here"


def test_without_a_profile_it_says_so(installation: Installation) -> None:
    one = explain(Subject(0, CUSTOMER, Row(deleted=True), DELETED), asked(installation))
    assert (one.outcome, one.reason, one.facts, one.categories) == ("withheld", "deleted_at_source", None, ())
    assert replayed(json.loads(msgspec.json.encode(one))) is None
    assert "there is no profile that can be read" in told(one)


STATES = st.lists(st.sampled_from(["GIVEN", "GIVEN", "WITHDRAWN", "EXPIRED", "UNKNOWN", "OPTED_OUT"]), max_size=5)
FACTS = st.fixed_dictionaries(
    {
        "residence": st.sampled_from(["JP", "DE", "US-CA", "US-VA", "AU", None, "??"]),
        "collected_in": st.sampled_from([None, "BR", "GB"]),
        "birth_date": st.sampled_from([4_000, 18_000, None]),
        "restricted": st.sampled_from([False, False, True]),
    }
)


@given(STATES, FACTS, st.sampled_from([["*"], ["user.name"], ["user.contact"]]))
def test_replayed(installation: Installation, states: list[str], facts: dict[str, Any], data_scope: list[str]) -> None:
    """From the told judgement alone, and from the told facts and answers, the same decision follows."""
    consents = said(installation, *states, data_scope=data_scope)
    one = told_of(installation, consents, with_values=True, **facts)
    policy, (partnership,) = installation.policy(), installation.partnerships
    told_json = json.loads(msgspec.json.encode(one))
    assert one.facts is not None
    told_facts = told_json["facts"]
    names = ("residence", "collected_in", "born", "restricted", "deceased")
    known_facts = Facts(*(told_facts.get(name) for name in names))
    decision = decide(partnership.terms, policy.law, Customer(known_facts, consents), NOW)
    assert replayed(told_json) == decision
    again = ConsentRecord()
    for consent in told_json["consents"]:
        again = again.with_event(msgspec.convert(consent["event"], ConsentEvent))
    assert decide(partnership.terms, policy.law, Customer(known_facts, again), NOW) == decision
    match decision:
        case Permitted(fields=fields):
            assert [f.field for f in one.fields if f.outcome != "withheld"] == list(fields)
        case Denied(reason=reason):
            assert (one.outcome, one.reason) == ("withheld", reason.value)
