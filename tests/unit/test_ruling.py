"""Answers that are kept: while they hold they are what a new decision would say."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.consent import ConsentEvent, State
from sluice.decision import Denied, Permitted
from sluice.model import Millis, PartnerId, Reason
from sluice.ruling import Policy, Ruling
from tests.unit.deciding import ANYWHERE, HOSHI, NOW, SOMEBODY, TERMS, TO_OTHERS, grant, no, outcomes, record
from tests.unit.strategies import DAY, INSTANTS, Case, cases, cases_in_time, good_grants

ADRESSO = PartnerId("adresso")
POLICY = Policy({HOSHI: TERMS, ADRESSO: replace(TERMS, partner=ADRESSO, valid_until=Millis(5_000))}, ANYWHERE)


def answers(ruling: Ruling, policy: Policy) -> dict[PartnerId, Permitted | Denied]:
    return {partner: ruling.answer(partner) for partner in policy.terms}


def of_both(case: Case) -> Policy:
    other = replace(case.terms, partner=ADRESSO, valid_from=Millis(case.now - DAY), valid_until=None)
    return Policy({HOSHI: case.terms, ADRESSO: other}, case.law)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases() | cases_in_time(), st.data())
def test_until_it_ends_a_ruling_is_what_a_new_decision_would_say(case: Case, data: st.DataObject) -> None:
    policy, consents = of_both(case), record(*case.events)
    ruling = policy.rule(case.facts, consents, case.now)
    last = case.now + 2_000 * DAY if ruling.until is None else ruling.until - 1
    drawn = data.draw(st.integers(case.now, last))
    for instant in {last, drawn, *(one for one in INSTANTS if case.now <= one <= last)}:
        assert answers(policy.rule(case.facts, consents, Millis(instant)), policy) == answers(ruling, policy)


@given(good_grants(TERMS.purpose), st.integers(0, 10_000))
def test_one_answer_of_a_ruling_is_the_answer_on_the_same_terms(said: ConsentEvent, now: int) -> None:
    ruling = POLICY.rule(SOMEBODY, record(said), Millis(now))
    assert ruling.answer(HOSHI) == POLICY.rule_on(TERMS, SOMEBODY, record(said), Millis(now))


def test_each_partner_has_its_own_answer() -> None:
    ruling = POLICY.rule(SOMEBODY, record(grant(), no(recipient_scope=TO_OTHERS)), NOW)
    assert outcomes(answers(ruling, POLICY)) == {HOSHI: None, ADRESSO: Reason.WITHDRAWN}


def test_a_ruling_ends_when_time_may_change_any_answer() -> None:
    assert POLICY.rule(SOMEBODY, record(grant()), NOW).until == 5_000
    assert POLICY.rule(SOMEBODY, record(grant()), Millis(5_000)).until == TERMS.valid_until


def test_a_ruling_that_time_does_not_change_has_no_end() -> None:
    endless = Policy({HOSHI: replace(TERMS, valid_until=None)}, ANYWHERE)
    assert endless.rule(SOMEBODY, record(grant()), NOW).until is None


def test_an_acknowledged_event_stands_in_nobodys_way() -> None:
    damaged = record(grant()).with_unreadable("t/0@7")
    assert POLICY.rule(SOMEBODY, damaged, NOW).answer(HOSHI) == Denied(Reason.CONSENT_UNREADABLE)
    looked_into = replace(POLICY, acknowledged=frozenset({"t/0@7"}))
    assert isinstance(looked_into.rule(SOMEBODY, damaged, NOW).answer(HOSHI), Permitted)


def test_customers_who_are_alike_share_their_refusals() -> None:
    one, other = (POLICY.rule(SOMEBODY, record(grant(record_id=name)), Millis(6_000)) for name in ("a", "b"))
    assert one.denials is other.denials
    assert one.denials.by_partner.keys() == {ADRESSO}


def test_the_stamp_is_of_rules_and_acknowledgements_in_any_order_and_of_nothing_else() -> None:
    def stamp(rules: str, *acknowledged: str) -> bytes:
        return Policy({HOSHI: TERMS}, ANYWHERE, acknowledged, rules).stamp

    assert stamp("a", "t/0@1", "t/0@2") == stamp("a", "t/0@2", "t/0@1")
    different = [stamp("a"), stamp("b"), stamp("a", "t/0@1"), stamp("a", "t/0@2"), stamp("a", "t/0@1", "t/0@2")]
    assert len(set(different)) == len(different)


def test_without_a_profile_the_rules_of_the_disclosure_are_asked() -> None:
    assert isinstance(POLICY.rule_on(TERMS, ("T-R1",), record(grant()), NOW), Permitted)
    assert POLICY.rule_on(TERMS, ("T-R1",), record(no(state=State.REFUSED)), NOW) == Denied(Reason.REFUSED, ("T-R1",))
    assert isinstance(POLICY.rule_on(TERMS, (), record(grant()), NOW), Denied)
