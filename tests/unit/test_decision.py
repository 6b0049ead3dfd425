"""The decision as a whole: the contract, what suspends, which laws are asked, and what comes of their answers."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.consent import Actor, ConsentEvent, ConsentRecord, Expression, RecipientKind, Signal, SignalType, State
from sluice.decision import (
    CategoryJudgement,
    Customer,
    Denied,
    Judgement,
    Permitted,
    RulesNamed,
    conclude,
    decide,
)
from sluice.facts import Facts
from sluice.judgement import Verdict
from sluice.law.pack import DEFAULT_RULE
from sluice.law.rule import GUARDIAN_CONSENT, Ages, Mode
from sluice.model import Millis, Reason
from tests.unit.deciding import (
    ALL_FIELDS,
    ANYWHERE,
    NEGATIVES,
    NOW,
    SOMEBODY,
    TERMS,
    TO_HOSHI,
    answer,
    basis,
    change_after,
    event,
    grant,
    judgement,
    law_of,
    no,
    pack,
    reason,
    record,
    rule,
    terms,
    under,
)

YEAR = 366 * 24 * 60 * 60 * 1000


def refused(reason: Reason, *rules: str) -> Denied:
    """By the one rule of the tests' law, unless others are named."""
    return Denied(reason, rules or ("T-R1",))


def test_a_positive_current_matching_grant_permits_what_the_contract_lists_in_its_order() -> None:
    assert basis(answer(grant())) == (ALL_FIELDS, ("given-100",), 9_000)


def test_renewed_is_a_grant() -> None:
    renewed = event(State.RENEWED, 100, data_scope=("*",), recipient_scope=TO_HOSHI)
    assert basis(answer(renewed)) == (ALL_FIELDS, ("renewed-100",), 9_000)


# --- rule 1: the contract


@pytest.mark.parametrize(
    ("now", "in_force"), [(9, False), (10, True), (8_999, True), (9_000, False), (-(10**15), False)]
)
def test_the_contract_is_in_force_from_its_start_to_below_its_end(now: int, in_force: bool) -> None:  # noqa: FBT001
    verdict = answer(grant(5, recorded_at=5), now=now)
    assert isinstance(verdict, Permitted) is in_force
    assert in_force or verdict == Denied(Reason.CONTRACT_NOT_IN_FORCE)


def test_a_contract_without_end_has_none() -> None:
    endless = terms(valid_until=None)
    assert basis(answer(grant(), terms=endless, now=10**15)) == (ALL_FIELDS, ("given-100",), None)


# --- rules 2 and 3: what is not known


def test_an_unreadable_event_denies_until_it_is_acknowledged_and_each_by_itself() -> None:
    consents = record(grant()).with_unreadable("t/0@7").with_unreadable("t/0@8")
    assert decide(TERMS, ANYWHERE, Customer(SOMEBODY, consents), NOW) == Denied(Reason.CONSENT_UNREADABLE)
    assert decide(TERMS, ANYWHERE, Customer(SOMEBODY, consents, {"t/0@7"}), NOW) == Denied(Reason.CONSENT_UNREADABLE)
    assert decide(TERMS, ANYWHERE, Customer(SOMEBODY, consents, {"t/0@7", "t/0@80"}), NOW) == Denied(
        Reason.CONSENT_UNREADABLE
    )
    assert isinstance(decide(TERMS, ANYWHERE, Customer(SOMEBODY, consents, {"t/0@7", "t/0@8"}), NOW), Permitted)


def test_nothing_known_and_nothing_but_acknowledged_damage_are_a_no() -> None:
    assert answer() == refused(Reason.NO_CONSENT_RECORD)
    only_damage = ConsentRecord().with_unreadable("t/0@7")
    assert decide(TERMS, ANYWHERE, Customer(SOMEBODY, only_damage, {"t/0@7"}), NOW) == refused(Reason.NO_CONSENT_RECORD)


@pytest.mark.parametrize("state", sorted(set(State) - {State.GIVEN, State.RENEWED}))
def test_without_a_grant_no_answer_permits_anything(state: State) -> None:
    alone = answer(event(state, 100, data_scope=("*",), recipient_scope=TO_HOSHI))
    asked = {State.UNKNOWN: Reason.UNANSWERED}
    assert alone == refused((NEGATIVES | asked).get(state, Reason.NO_MATCHING_GRANT))


@pytest.mark.parametrize(
    ("facts", "why"),
    [(Facts("AU", restricted=True), Reason.PROCESSING_RESTRICTED), (Facts("AU", deceased=True), Reason.DECEASED)],
)
def test_what_suspends_comes_before_the_law(facts: Facts, why: Reason) -> None:
    assert answer(grant(), facts=facts, law=under(rule(mode=Mode.ALLOW))) == Denied(why)
    assert judgement(grant(), facts=facts) == Judgement(stopped=why)


# --- which laws are asked

JAPAN_FORBIDS = law_of(pack(rule()), pack(rule("J-R1", Mode.FORBID), jurisdiction="JP"))


@pytest.mark.parametrize(
    ("facts", "controller", "refused_by"),
    [
        (Facts("AU"), None, None),
        (Facts("JP"), None, ("J-R1",)),
        (Facts("AU", collected_in="JP"), None, ("J-R1",)),
        (Facts("AU"), "JP", ("J-R1",)),
        (Facts(), None, ("J-R1",)),
        (Facts("Narnia"), None, ("J-R1",)),
        (Facts("AU", collected_in="?"), None, ("J-R1",)),
    ],
)
def test_every_law_that_protects_the_customer_has_to_permit(
    facts: Facts, controller: str | None, refused_by: tuple[str, ...] | None
) -> None:
    verdict = answer(grant(), facts=facts, terms=terms(controller=controller), law=JAPAN_FORBIDS)
    assert verdict == (Denied(Reason.FORBIDDEN_BY_LAW, refused_by) if refused_by else answer(grant()))


def test_the_gravest_reason_is_told_with_all_rules_that_refuse() -> None:
    two = under(rule("A"), rule("B", Mode.FORBID), rule("C", Mode.ALLOW))
    assert answer(law=two) == Denied(Reason.FORBIDDEN_BY_LAW, ("A", "B"))


def test_where_a_law_has_no_general_rule_in_force_consent_is_asked_for() -> None:
    """No rule for the recipient, or only for children, or one that has not begun or has ended: unknown means no."""
    nothing_general = [
        rule("A", Mode.ALLOW, recipients=frozenset({RecipientKind.PROCESSOR})),
        rule("A", Mode.ALLOW, purposes=("operations",)),
        rule("A", Mode.ALLOW, data_class="sensitive"),
        rule("A", Mode.ALLOW, ages=Ages(0, 13)),
        rule("A", Mode.ALLOW, outside=True),
        rule("A", Mode.ALLOW, start=Millis(NOW + 1)),
        rule("A", Mode.ALLOW, end=NOW),
    ]
    for one in nothing_general:
        law = law_of(pack(one), pack(rule("J-R1", Mode.ALLOW), jurisdiction="JP"))
        assert answer(law=law) == Denied(Reason.NO_CONSENT_RECORD, (DEFAULT_RULE.id,))
        assert answer(law=law, facts=Facts("AU", collected_in="JP")) == Denied(
            Reason.NO_CONSENT_RECORD, (DEFAULT_RULE.id,)
        ), "beside a law that allows"
    assert isinstance(answer(law=under(rule("A", Mode.ALLOW, start=NOW, end=Millis(NOW + 1)))), Permitted)


def test_before_any_law_has_begun_consent_is_asked_for() -> None:
    ancient = under(rule("A", Mode.ALLOW, start=Millis(-5)))
    long_ago = terms(valid_from=Millis(-100))
    assert answer(law=ancient, terms=long_ago, now=-6) == Denied(Reason.NO_CONSENT_RECORD, (DEFAULT_RULE.id,))
    assert isinstance(answer(law=ancient, terms=long_ago, now=-5), Permitted)


def test_a_rule_that_has_ended_does_not_come_back_when_another_begins() -> None:
    elsewhere = rule("B", Mode.FORBID, purposes=("operations",), start=Millis(500))
    law = under(rule("A", Mode.ALLOW, end=Millis(100)), elsewhere)
    assert answer(law=law) == Denied(Reason.NO_CONSENT_RECORD, (DEFAULT_RULE.id,))


def test_a_rule_about_a_class_of_data_leaves_the_rest() -> None:
    law = under(
        rule("A", Mode.ALLOW), rule("S", Mode.FORBID, data_class="sensitive"), sensitive=frozenset({"user.name"})
    )
    assert basis(answer(law=law)) == (("email",), (), 9_000)
    assert [one.denied for one in judgement(law=law).categories] == [Reason.FORBIDDEN_BY_LAW] * 2 + [None]


def test_a_rule_that_two_laws_share_is_told_once() -> None:
    law = law_of(pack(rule()), pack(rule(), jurisdiction="JP"))
    told = judgement(grant(), law=law, facts=Facts("AU", collected_in="JP"))
    assert told.jurisdictions == ("JP", "ZZ")
    assert [len(one.verdicts) for one in told.categories] == [1, 1, 1]


# --- age

CHILDREN_BY_GUARDIAN = under(rule(), rule("C", Mode.FORBID, ages=Ages(0, None), unless=frozenset({GUARDIAN_CONSENT})))
NOON = Millis(1_795_262_400_000)
"""2026-11-21."""
IN_FORCE = terms(valid_from=Millis(0), valid_until=None)


def _born(years: int) -> Facts:
    return Facts("AU", born=NOON // 86_400_000 - years * 366)


@pytest.mark.parametrize(
    ("facts", "said", "why"),
    [
        pytest.param(_born(30), {}, None, id="an adult"),
        pytest.param(Facts("AU"), {}, None, id="of no known age"),
        pytest.param(_born(10), {}, Reason.GUARDIAN_CONSENT_MISSING, id="a child itself"),
        pytest.param(_born(10), {"actor": Actor.AGENT}, Reason.GUARDIAN_CONSENT_MISSING, id="a child's agent"),
        pytest.param(_born(10), {"actor": Actor.GUARDIAN}, None, id="a child's guardian"),
        pytest.param(
            _born(10),
            {"actor": Actor.GUARDIAN, "expression": Expression.IMPLIED},
            Reason.GUARDIAN_CONSENT_MISSING,
            id="a guardian not expressly",
        ),
    ],
)
def test_who_may_consent_for_a_child(facts: Facts, said: dict[str, Any], why: Reason | None) -> None:
    """DOMAIN A4.8."""
    verdict = answer(grant(NOON - 1, **said), law=CHILDREN_BY_GUARDIAN, terms=IN_FORCE, facts=facts, now=NOON)
    assert reason(verdict) is why


def test_a_no_denies_a_child_too_whatever_the_guardian_says_later() -> None:
    """The table of DOMAIN A3 (6), FORBID: only the customer takes a no back, and a guardian is not the customer."""
    law = under(rule(mode=Mode.ALLOW), rule("C", Mode.FORBID, ages=Ages(0, None), unless=frozenset({GUARDIAN_CONSENT})))
    later = grant(NOON - 1, actor=Actor.GUARDIAN)
    verdict = answer(no(NOON - 2, purpose="marketing"), later, law=law, terms=IN_FORCE, facts=_born(10), now=NOON)
    assert verdict == Denied(Reason.WITHDRAWN, ("C",))


def test_a_grant_is_judged_by_the_age_when_it_was_given_and_by_the_age_now() -> None:
    """DOMAIN A4.8: who gave it as a child has not consented as an adult."""
    given_as_a_child = grant(NOON - 5 * YEAR)
    verdict = answer(given_as_a_child, law=CHILDREN_BY_GUARDIAN, terms=IN_FORCE, facts=_born(15), now=NOON)
    assert reason(verdict) is Reason.NOT_ENTITLED_TO_CONSENT
    by_the_guardian = grant(NOON - 5 * YEAR, actor=Actor.GUARDIAN)
    assert reason(answer(by_the_guardian, law=CHILDREN_BY_GUARDIAN, terms=IN_FORCE, facts=_born(15), now=NOON)) is None


@pytest.mark.parametrize(
    "sign",
    [
        event(State.REQUESTED, NOON - 9, purpose="operations", actor=Actor.GUARDIAN),
        event(State.REQUESTED, NOON - 9, purpose="operations", guardian_ref="g"),
        event(
            State.UNKNOWN,
            NOON - 9,
            purpose="operations",
            signal=Signal(SignalType.GPP),
            data_scope=("user.childrens",),
        ),
    ],
)
def test_what_shows_a_child_makes_one_of_whom_no_age_is_known(sign: ConsentEvent) -> None:
    known: dict[str, Any] = {"law": CHILDREN_BY_GUARDIAN, "terms": IN_FORCE, "now": NOON}
    assert reason(answer(grant(NOON - 1), sign, **known)) is Reason.GUARDIAN_CONSENT_MISSING
    assert reason(answer(grant(NOON - 1), sign, facts=_born(30), **known)) is None, "unless it is known"
    granted = grant(NOON - 1, guardian_ref="g")
    assert reason(answer(granted, **known)) is None, "a grant shows nothing: without it no more may be shared"
    infants = under(rule(), rule("I", Mode.FORBID, ages=Ages(0, 1)))
    assert reason(answer(grant(NOON - 1), sign, **known | {"law": infants})) is Reason.FORBIDDEN_BY_LAW, "any child"


def test_neither_another_signal_nor_a_word_about_childrens_data_shows_a_child() -> None:
    known: dict[str, Any] = {"law": CHILDREN_BY_GUARDIAN, "terms": IN_FORCE, "now": NOON}
    other_signal = event(State.REQUESTED, NOON - 9, purpose="operations", signal=Signal(SignalType.GPC))
    no_signal = event(State.REQUESTED, NOON - 9, purpose="operations", data_scope=("user.childrens",))
    assert reason(answer(grant(NOON - 1), other_signal, **known)) is None
    assert reason(answer(grant(NOON - 1), no_signal, **known)) is None


# --- without the profile

NAMED = RulesNamed(frozenset({"T-R1"}))


def test_while_the_profile_cannot_be_read_the_rules_of_the_disclosure_are_asked() -> None:
    law = law_of(pack(rule()), pack(rule("J-R1", Mode.FORBID), jurisdiction="JP"))
    assert isinstance(answer(grant(), law=law, facts=NAMED), Permitted)
    assert answer(grant(), no(), law=law, facts=NAMED) == refused(Reason.WITHDRAWN)
    both = RulesNamed(frozenset({"T-R1", "J-R1"}))
    assert answer(grant(), law=law, facts=both) == Denied(Reason.FORBIDDEN_BY_LAW, ("J-R1",))


def test_rules_that_no_law_has_permit_nothing() -> None:
    assert answer(grant(), facts=RulesNamed(frozenset({"gone"}))) == Denied(Reason.NO_MATCHING_GRANT)
    assert answer(grant(), facts=RulesNamed(frozenset())) == Denied(Reason.NO_MATCHING_GRANT)


# --- what comes of it


def _judged(*denied: Reason | None) -> CategoryJudgement:
    verdicts = tuple(Verdict(f"R{at}", "ZZ", Mode.OPT_IN, one) for at, one in enumerate(denied))
    return CategoryJudgement("user", ("name",), verdicts)


def test_the_conclusion_takes_the_gravest_reason_whatever_the_order_of_fields() -> None:
    one, other = _judged(Reason.NOTICE_MISSING, None, Reason.OBJECTED), _judged(None, Reason.FORBIDDEN_BY_LAW)
    expected = Denied(Reason.FORBIDDEN_BY_LAW, ("R1",))
    assert conclude(Judgement(categories=(one, other))) == conclude(Judgement(categories=(other, one))) == expected
    assert conclude(Judgement(categories=(one,))) == Denied(Reason.OBJECTED, ("R0", "R2"))


def test_nothing_follows_from_no_verdict() -> None:
    assert conclude(Judgement(categories=(_judged(),))) == Denied(Reason.NO_MATCHING_GRANT)
    assert conclude(Judgement()) == Denied(Reason.NO_MATCHING_GRANT)


def test_the_basis_ends_with_whatever_ends_first() -> None:
    verdicts = tuple(Verdict(f"R{end}", "ZZ", Mode.OPT_IN, grants=("g",), until=Millis(end)) for end in (70, 60))
    told = Judgement(categories=(CategoryJudgement("user", ("name",), verdicts),), contract_until=Millis(80))
    assert conclude(told) == Permitted(("name",), ("g",), ("R60", "R70"), Millis(60))


# --- when time alone changes something


@pytest.mark.parametrize(
    ("now", "change"),
    [(0, 10), (10, 700), (700, 800), (800, 8_000), (8_000, 9_000), (9_000, None)],
)
def test_the_next_change_is_the_next_date_that_anything_names(now: int, change: int | None) -> None:
    law = under(rule("A"), rule("B", start=Millis(8_000)))
    said = grant(5, valid_from=Millis(700), valid_until=Millis(800))
    assert change_after(TERMS, law, record(said), None, Millis(now)) == change


def test_birthdays_that_laws_name_are_such_dates() -> None:
    born = NOON // 86_400_000 - 12 * 365
    change = change_after(IN_FORCE, CHILDREN_BY_GUARDIAN, ConsentRecord(), born, NOON)
    assert change is not None
    assert 0 < change - NOON < 2 * YEAR
    assert change_after(IN_FORCE, CHILDREN_BY_GUARDIAN, ConsentRecord(), None, NOON) is None
