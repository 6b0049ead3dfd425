"""Answers that are kept: while they hold they are what a new decision would say."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.consent import ConsentEvent, State
from sluice.decision import Denied, Permitted
from sluice.facts import Facts
from sluice.model import Millis, PartnerId, Reason
from sluice.ruling import Policy, Ruling
from tests.unit.deciding import ANYWHERE, HOSHI, NOW, SOMEBODY, TERMS, TO_OTHERS, grant, no, outcomes, record
from tests.unit.strategies import DAY, INSTANTS, Case, cases, cases_in_time, good_grants

ADRESSO = PartnerId("adresso")
POLICY = Policy({HOSHI: TERMS, ADRESSO: replace(TERMS, partner=ADRESSO, valid_until=Millis(5_000))}, ANYWHERE)


def of_both(case: Case) -> Policy:
    other = replace(case.terms, partner=ADRESSO, valid_from=Millis(case.now - DAY), valid_until=None)
    return Policy({HOSHI: case.terms, ADRESSO: other}, case.law)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases() | cases_in_time(), st.data())
def test_a_ruling_that_holds_is_what_a_new_decision_would_say(case: Case, data: st.DataObject) -> None:
    policy, consents = of_both(case), record(*case.events)
    ruling = policy.rule(case.facts, consents, case.now)
    assert ruling.holds(case.facts, case.now, policy.stamp)
    last = case.now + 2_000 * DAY if ruling.until is None else ruling.until - 1
    drawn = data.draw(st.integers(case.now, last))
    for instant in {last, drawn, *(one for one in INSTANTS if case.now <= one <= last)}:
        assert ruling.holds(case.facts, Millis(instant), policy.stamp)
        assert policy.rule(case.facts, consents, Millis(instant)).answers == ruling.answers


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_a_ruling_is_the_same_after_it_was_stored(case: Case) -> None:
    ruling = of_both(case).rule(case.facts, record(*case.events), case.now)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(ruling), type=Ruling) == ruling


@given(good_grants(TERMS.purpose), st.integers(0, 10_000))
def test_one_answer_of_a_ruling_is_the_answer_on_the_same_terms(said: ConsentEvent, now: int) -> None:
    ruling = POLICY.rule(SOMEBODY, record(said), Millis(now))
    assert ruling.answers[HOSHI] == POLICY.rule_on(TERMS, SOMEBODY, record(said), Millis(now))


def test_each_partner_has_its_own_answer() -> None:
    ruling = POLICY.rule(SOMEBODY, record(grant(), no(recipient_scope=TO_OTHERS)), NOW)
    assert outcomes(ruling.answers) == {HOSHI: None, ADRESSO: Reason.WITHDRAWN}


@pytest.mark.parametrize(("now", "holds"), [(NOW, True), (4_999, True), (5_000, False), (10**15, False)])
def test_a_ruling_ends_when_time_may_change_any_answer(now: int, holds: bool) -> None:  # noqa: FBT001
    ruling = POLICY.rule(SOMEBODY, record(grant()), NOW)
    assert ruling.until == 5_000
    assert ruling.holds(SOMEBODY, Millis(now), POLICY.stamp) is holds


def test_a_ruling_without_end_holds_for_ever() -> None:
    endless = Policy({HOSHI: replace(TERMS, valid_until=None)}, ANYWHERE)
    assert endless.rule(SOMEBODY, record(grant()), NOW).holds(SOMEBODY, Millis(2**62), endless.stamp)


@pytest.mark.parametrize(
    "others",
    [Facts("JP"), Facts("AU", collected_in="JP"), Facts("AU", born=1), Facts("AU", restricted=True), Facts()],
)
def test_a_ruling_holds_for_the_same_facts_alone(others: Facts) -> None:
    ruling = POLICY.rule(SOMEBODY, record(grant()), NOW)
    assert ruling.holds(Facts("AU"), NOW, POLICY.stamp)
    assert not ruling.holds(others, NOW, POLICY.stamp)


def test_an_acknowledgement_takes_the_ruling_away_and_so_does_taking_it_back() -> None:
    damaged = record(grant()).with_unreadable("t/0@7")
    ruling = POLICY.rule(SOMEBODY, damaged, NOW)
    assert ruling.answers[HOSHI] == Denied(Reason.CONSENT_UNREADABLE)
    looked_into = replace(POLICY, acknowledged=frozenset({"t/0@7"}))
    assert ruling.holds(SOMEBODY, NOW, POLICY.stamp)
    assert not ruling.holds(SOMEBODY, NOW, looked_into.stamp)
    again = looked_into.rule(SOMEBODY, damaged, NOW)
    assert isinstance(again.answers[HOSHI], Permitted)
    assert again.holds(SOMEBODY, NOW, looked_into.stamp)
    assert not again.holds(SOMEBODY, NOW, POLICY.stamp)


def test_another_contract_set_takes_the_ruling_away() -> None:
    one, other = replace(POLICY, rules="one"), replace(POLICY, rules="other")
    ruling = one.rule(SOMEBODY, record(grant()), NOW)
    assert ruling.holds(SOMEBODY, NOW, one.stamp)
    assert not ruling.holds(SOMEBODY, NOW, other.stamp)


def test_the_stamp_is_of_rules_and_acknowledgements_in_any_order_and_of_nothing_else() -> None:
    def stamp(rules: str, *acknowledged: str) -> bytes:
        return Policy({HOSHI: TERMS}, ANYWHERE, acknowledged, rules).stamp

    assert stamp("a", "t/0@1", "t/0@2") == stamp("a", "t/0@2", "t/0@1")
    different = [stamp("a"), stamp("b"), stamp("a", "t/0@1"), stamp("a", "t/0@2"), stamp("a", "t/0@1", "t/0@2")]
    assert len(set(different)) == len(different)


def test_a_ruling_of_a_store_that_knew_no_stamp_never_holds() -> None:
    older = msgspec.structs.replace(POLICY.rule(SOMEBODY, record(grant()), NOW), made_under=b"")
    assert not older.holds(SOMEBODY, NOW, POLICY.stamp)


def test_without_a_profile_the_rules_of_the_disclosure_are_asked() -> None:
    assert isinstance(POLICY.rule_on(TERMS, ("T-R1",), record(grant()), NOW), Permitted)
    assert POLICY.rule_on(TERMS, ("T-R1",), record(no(state=State.REFUSED)), NOW) == Denied(Reason.REFUSED, ("T-R1",))
    assert isinstance(POLICY.rule_on(TERMS, (), record(grant()), NOW), Denied)
