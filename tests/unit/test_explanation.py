"""An explanation tells the decision as the processor takes it: every rule, every answer, every field, and no value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice import keys, redaction
from sluice.consent import ConsentEvent, ConsentRecord, parse_event
from sluice.decision import Customer, Denied, Permitted, decide
from sluice.facts import Facts
from sluice.keys import CustomerKey, NoKey
from sluice.model import Cause, CustomerId, Millis, Reason
from sluice.projection import Snapshot
from sluice.redaction.encryption import AesSiv
from sluice.store import Row
from stream_processors.review.explaining import Asked, explain
from stream_processors.review.explanation import Explanation, FieldTold, replayed
from stream_processors.review.reasons import MEANINGS, meaning
from stream_processors.review.subject import Subject
from stream_processors.review.telling import told
from stream_processors.sharing.pipeline import DELETED
from tests.unit.installation import Installation

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
REQUIRED_MISSING = "required_field_missing"


@pytest.fixture(scope="module")
def installation() -> Installation:
    return Installation(CONTRACT)


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
    assert ("JP-A1", "APPI 33(5)") in [(duty.duty, duty.cite) for law in one.laws for duty in law.duties]
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
    assert "WITHHELD, because: withdrawn\n  The customer has withdrawn or revoked consent.\n" in text
    assert "JP-R3 (JP): only with the customer's opt-in; withdrawn; by consent record" in text
    assert "[APPI 27(1), 29, 30; seen, 2026-11-21]" in text


def test_every_reason_has_a_sentence() -> None:
    assert set(MEANINGS) == set(Reason)
    assert all(sentence.endswith(".") for sentence in MEANINGS.values())
    assert meaning(Cause.UNENCODABLE) is None, "a reject is told with what to do about it"


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


# --- what stops the whole record after the law has allowed it


@pytest.mark.parametrize(
    ("contract", "changes", "outcome", "reason"),
    [
        ({}, {"address": {"country": "NZ"}}, "withheld", "outside_row_filter"),
        ({"limits": {"retain": "P1D"}}, {"updated_at": NOW - 2 * 86_400_000}, "withheld", "retention_ended"),
        ({"fields": {**CONTRACT["fields"], "phone": {"keep": {"required": True}}}}, {}, "withheld", REQUIRED_MISSING),
        ({}, {"given_name": "Zaphod" * 400_000}, "rejected", "record_too_large"),
    ],
)
def test_no_field_is_told_as_shared_of_a_record_that_is_not(
    contract: dict[str, Any], changes: dict[str, Any], outcome: str, reason: str
) -> None:
    other = Installation({**CONTRACT, **contract})
    for states, data in ((("GIVEN",), ["*"]), (("GIVEN",), ["user.name", "user.contact"])):
        one = told_of(other, said(other, *states, data_scope=data), with_values=True, **changes)
        assert (one.outcome, one.reason) == (outcome, reason)
        assert {(field.outcome, field.reason, field.given_value) for field in one.fields} == {
            ("withheld", reason, None)
        }
        assert [field.field for field in one.fields] == list(CONTRACT["fields"])
        assert "zap'" not in told(one)


def test_where_the_law_refuses_each_field_has_the_laws_own_reason(installation: Installation) -> None:
    one = told_of(installation, said(installation, "GIVEN", data_scope=["user.name"]), with_values=True)
    assert one.outcome == "shared"
    assert {field.field: (field.outcome, field.reason) for field in one.fields} == {
        "given_name": ("shared", None),
        "birth_date": ("withheld", "no_matching_grant"),
        "email": ("withheld", "no_matching_grant"),
        "phone": ("withheld", "no_matching_grant"),
    }


# --- what is sealed with the customer's own key

OWN_KEY = bytes(range(32))


@pytest.fixture(scope="module")
def sealing() -> Installation:
    """With a field that is sealed and has to be there."""
    return Installation({**CONTRACT, "fields": {"given_name": "keep", "email": {"aes_siv": {"required": True}}}})


@pytest.fixture(scope="module")
def optional() -> Installation:
    return Installation({**CONTRACT, "fields": {"given_name": "keep", "email": "aes_siv"}})


def email_told(
    installation: Installation,
    key: CustomerKey,
    *,
    with_values: bool,
    **changes: Any,  # noqa: ANN401 - any field of the profile
) -> tuple[str, FieldTold, str]:
    """The outcome, the field of the address, and the whole as text."""
    subject = Subject(0, CUSTOMER, Row(consents=said(installation, "GIVEN")), Snapshot({**RECORD, **changes}))
    one = explain(subject, replace(asked(installation, with_values=with_values), customer_key=key))
    return one.outcome, next(field for field in one.fields if field.field == "email"), told(one)


@pytest.mark.parametrize("with_values", [False, True])
def test_a_field_is_empty_when_the_customers_key_was_destroyed(
    optional: Installation,
    sealing: Installation,
    with_values: bool,  # noqa: FBT001 - a table's column
) -> None:
    outcome, email, text = email_told(optional, NoKey.DESTROYED, with_values=with_values)
    assert outcome == "shared"
    assert (email.outcome, email.reason, email.given_value) == ("empty", "the customer's key was destroyed", None)
    assert "aes_siv: the customer's key was destroyed" in text
    outcome, email, _ = email_told(sealing, NoKey.DESTROYED, with_values=with_values)
    assert (outcome, email.outcome, email.reason) == ("withheld", "withheld", REQUIRED_MISSING)


def test_with_the_customers_key_the_value_is_the_one_that_is_shared(sealing: Installation) -> None:
    _, email, text = email_told(sealing, OWN_KEY, with_values=True)
    (hoshi,) = sealing.partnerships
    pseudonym = keys.pseudonym(hoshi.keys.record, CUSTOMER)
    rule = sealing.contracts.contracts[0].contract.fields["email"]
    assert isinstance(rule, AesSiv)
    target = redaction.Target(hoshi.keys.field("email"), "")
    assert (
        rule.open(str(email.given_value), target, redaction.Customer(CUSTOMER, pseudonym, OWN_KEY)) == RECORD["email"]
    )
    assert str(email.given_value) in text
    assert OWN_KEY.hex() not in text
    assert email_told(sealing, OWN_KEY, with_values=False)[1].given_value is None


def test_where_no_key_was_issued_the_field_is_shared_and_no_value_is_invented(sealing: Installation) -> None:
    outcome, email, text = email_told(sealing, NoKey.NOT_ISSUED, with_values=True)
    assert (outcome, email.outcome, email.given_value) == ("shared", "shared", None)
    assert email.source_value == RECORD["email"]
    assert email.reason == "the customer's key is made when it is first shared"
    assert f"{email.reason}   'zaphod@example.com'\n" in text
    _, email, _ = email_told(sealing, NoKey.NOT_ISSUED, with_values=False)
    assert (email.outcome, email.reason) == ("shared", None)


@pytest.mark.parametrize("key", [OWN_KEY, *NoKey])
def test_without_a_value_it_does_not_come_to_the_key(optional: Installation, key: CustomerKey) -> None:
    _, email, _ = email_told(optional, key, with_values=True, email=None)
    assert (email.outcome, email.reason) == ("empty", "the source has no value")


def test_without_a_profile_it_says_so(installation: Installation) -> None:
    one = explain(Subject(0, CUSTOMER, Row(deleted=True), DELETED), asked(installation))
    assert (one.outcome, one.reason, one.facts, one.categories) == ("withheld", "deleted_at_source", None, ())
    assert replayed(json.loads(msgspec.json.encode(one))) is None
    assert "there is no profile that can be read" in told(one)
    assert "5. Row filter: not asked, for there is no profile" in told(one), "and not: there is none"


def test_an_answer_is_told_with_what_it_is_limited_to(installation: Installation) -> None:
    limits = {"channel": "email", "brand_id": "hoshi", "valid_until": 1_800_000_000_000}
    text = told(told_of(installation, said(installation, "GIVEN", "WITHDRAWN", recipient_scope=None, **limits)))
    assert "to those whom its notice names, data *, channel email, brand hoshi, until 2027-01-15T08:00:00Z [" in text
    assert "WITHDRAWN (" in text
    assert "to everybody, data *, channel email" in text


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


def test_the_end_of_a_retention_is_told() -> None:
    """And a date reads as one."""
    kept = Installation({**CONTRACT, "limits": {"retain": "P30D"}, "fields": {"birth_date": "keep"}})
    changed = NOW - 40 * 24 * 60 * 60 * 1000
    one = told_of(kept, said(kept, "GIVEN"), updated_at=changed)
    assert (one.outcome, one.reason) == ("withheld", "retention_ended")
    assert one.retained_until == "2026-05-18T20:26:40Z"
    assert f"the contract's retention ends at {one.retained_until}" in told(one)
    fresh = told_of(kept, said(kept, "GIVEN"), with_values=True, updated_at=NOW)
    assert [(field.source_value, field.given_value) for field in fresh.fields] == [("1980-12-14", "1980-12-14")]
