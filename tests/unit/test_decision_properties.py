"""What holds of every decision, whatever laws say, contracts prove and customers have said.

The laws are invented (`tests/unit/strategies.py`), for the shipped ones might be right by accident.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st

from sluice.consent import CLOCK_TOLERANCE_MS, Actor, ConsentEvent, RecipientKind, RecipientScope, State
from sluice.decision import Denied, Judgement, Permitted, RulesNamed, conclude, decide, judge
from sluice.law.rule import NOTICE, NOTICE_NAMES_RECIPIENT, Alternative, Mode
from sluice.model import Millis
from tests.unit.deciding import answer, change_after, customer, fields, no, record, rule, terms, under
from tests.unit.strategies import (
    ALTERNATIVES,
    CLAUSES,
    COUNTRIES,
    DAY,
    EVIDENCE,
    GRANTED,
    INSTANTS,
    NOON,
    PLACES,
    TODAY_NUMBER,
    Case,
    cases,
    cases_in_time,
    events,
    grants,
    negatives,
)

often = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
"""One example invents several laws: slow for Hypothesis, and no failure."""
CASES = cases()
WITH_A_GRANT = cases().flatmap(lambda case: st.tuples(st.just(case), grants(case.terms.purpose)))


# --- what narrows


@often
@given(CASES, negatives())
def test_adding_a_negative_never_widens(case: Case, negative: ConsentEvent) -> None:
    assert case.with_events(negative).fields() <= case.fields()


@often
@given(CASES, events(State.UNKNOWN, State.EXPIRED, State.INVALIDATED))
def test_adding_an_end_or_an_open_question_never_widens(case: Case, said: ConsentEvent) -> None:
    assert case.with_events(said).fields() <= case.fields()


@often
@given(CASES, events(State.REQUESTED, State.DEFERRED))
def test_asking_changes_nothing(case: Case, asked: ConsentEvent) -> None:
    """Unless it says that the customer is a child, or nothing had been said before."""
    assume(asked.actor is not Actor.GUARDIAN and asked.guardian_ref is None)
    assert case.with_events(asked).fields() == case.fields()


@often
@given(WITH_A_GRANT)
def test_removing_a_grant_never_widens(given_more: tuple[Case, ConsentEvent]) -> None:
    case, removed = given_more
    assert case.fields() <= case.with_events(removed).fields()


@often
@given(CASES)
def test_removing_any_of_the_grants_never_widens(case: Case) -> None:
    for removed in (one for one in case.events if one.state in GRANTED):
        rest = tuple(one for one in case.events if one is not removed)
        assert replace(case, events=rest).fields() <= case.fields()


@often
@given(CASES, st.sampled_from(INSTANTS), negatives())
def test_a_no_that_was_said_later_never_widens(case: Case, later: Millis, negative: ConsentEvent) -> None:
    """Later by the time that is believed: a source whose clock runs ahead is held to the time of its record."""
    assume(later >= negative.effective_time)
    moved = msgspec.structs.replace(negative, event_time=later, recorded_at=later)
    assert case.with_events(moved).fields() <= case.with_events(negative).fields()


@settings(often, max_examples=150)
@given(CASES, st.data())
def test_a_narrower_contract_gives_no_other_answer_to_what_is_left(case: Case, data: st.DataObject) -> None:
    left = data.draw(st.sets(st.sampled_from(sorted(case.terms.categories))))
    for paths in (left, *({path} for path in case.terms.categories)):
        assert replace(case, terms=case.terms.only(paths)).fields() == case.fields() & paths


@often
@given(CASES, st.sampled_from(sorted(EVIDENCE)))
def test_removing_evidence_never_widens_under_orderly_laws(case: Case, lost: str) -> None:
    assert case.with_terms(evidence=case.terms.evidence - {lost}).fields() <= case.fields()


@often
@given(CASES)
def test_switching_alternatives_off_never_widens_under_orderly_laws(case: Case) -> None:
    assert case.with_terms(alt_basis=frozenset()).fields() <= case.fields()


@often
@given(CASES, st.sampled_from(PLACES))
def test_another_law_never_widens(case: Case, place: str) -> None:
    alone = case.with_facts(collected_in=None).with_terms(controller=None)
    assert alone.with_facts(collected_in=place).fields() <= alone.fields()
    assert alone.with_terms(controller=place).fields() <= alone.fields()


@often
@given(CASES)
def test_suspended_customers_are_shared_with_nobody(case: Case) -> None:
    assert not case.with_facts(deceased=True).fields()
    assert not case.with_facts(restricted=True).fields()
    unread = replace(case.answer(), consents=record(*case.events).with_unreadable("t/0@7"))
    assert isinstance(decide(case.terms, case.law, unread, case.now), Denied)


@often
@given(CASES, st.sampled_from([mode for mode in Mode if mode is not Mode.FORBID]), st.booleans())
def test_a_last_no_to_the_recipient_denies_whatever_was_said_before(case: Case, mode: Mode, named: bool) -> None:  # noqa: FBT001
    """By name it binds even where nobody has to be asked; a grant said before it takes nothing back."""
    scope = RecipientScope(partner_ids=(case.terms.partner,)) if named or mode is Mode.ALLOW else None
    last = no(max(INSTANTS) + DAY, purpose="*", recipient_scope=scope)
    assert not replace(case, law=under(rule(mode=mode))).with_events(last).fields()


@often
@given(CASES, st.sampled_from(INSTANTS))
def test_nothing_rests_on_a_grant_from_before_a_no(case: Case, at: Millis) -> None:
    verdict = case.with_events(no(at, purpose="*", record_id="the no")).verdict()
    given_since = {one.record_id for one in case.events if one.state in GRANTED and one.effective_time >= at}
    assert isinstance(verdict, Denied) or set(verdict.consents) <= given_since


# --- what is not known


@often
@given(CASES, st.sampled_from(PLACES), st.sampled_from([None, "XX", "", "nowhere", "?"]))
def test_an_unknown_residence_is_never_wider_than_any_that_is_known(
    case: Case, known: str, unknown: str | None
) -> None:
    assert case.with_facts(residence=unknown).fields() <= case.with_facts(residence=known).fields()


@often
@given(CASES, st.sampled_from(["DE", "FR", "US-CA", "US-CO"]))
def test_a_country_alone_is_never_wider_than_any_part_of_it_that_has_a_law(case: Case, part: str) -> None:
    whole = part.partition("-")[0]
    assert case.with_facts(residence=whole).fields() <= case.with_facts(residence=part).fields()


@settings(often, max_examples=150)
@given(CASES, st.sampled_from(COUNTRIES), st.sampled_from(["ZZ", "XX", ""]))
def test_an_unknown_destination_is_never_wider_than_any_that_is_known(case: Case, known: str, unknown: str) -> None:
    assert case.with_terms(country=unknown).fields() <= case.with_terms(country=known).fields()


@often
@given(CASES)
def test_an_unknown_age_is_never_wider_than_an_adults(case: Case) -> None:
    adult = case.with_facts(born=TODAY_NUMBER - 60 * 366)
    assert case.with_facts(born=None).fields() <= adult.fields()


@often
@given(CASES)
def test_words_that_no_law_has_prove_nothing(case: Case) -> None:
    unheard = case.with_terms(evidence=case.terms.evidence | {"ouija"}, alt_basis=case.terms.alt_basis | {"whim"})
    assert unheard.verdict() == case.verdict()


@often
@given(CASES, st.sampled_from(["partner", "purpose", "category"]))
def test_what_no_answer_names_needs_no_answer_or_gets_none(case: Case, unheard: str) -> None:
    """Where somebody has to be asked, an unknown recipient, purpose or kind of data is a no."""
    opt_in = replace(case, law=under(rule(mode=Mode.OPT_IN)))
    changes: dict[str, dict[str, Any]] = {
        "partner": {"partner": "unheard-of", "valid_from": Millis(NOON - DAY // 2)},
        "purpose": {"purpose": "soothsaying"},
        "category": {"categories": {"aura": "aura.colour"}},
    }
    asked = tuple(msgspec.structs.replace(one, data_scope=one.data_scope and ("user",)) for one in case.events)
    assert not replace(opt_in, events=asked).with_terms(**changes[unheard]).fields()


# --- the record is a set


@often
@given(CASES, st.integers(0, 2**32))
def test_arrival_order_and_repetition_do_not_matter(case: Case, number: int) -> None:
    shuffled = [*case.events, *case.events]
    Random(number).shuffle(shuffled)
    assert replace(case, events=tuple(shuffled)).verdict() == case.verdict()


# --- the explanation


@often
@given(CASES)
def test_the_explanation_replayed_gives_the_decision(case: Case) -> None:
    explained = judge(case.terms, case.law, case.answer(), case.now)
    told = msgspec.json.decode(msgspec.json.encode(explained), type=Judgement)
    assert told == explained
    assert conclude(told) == conclude(explained) == case.verdict()


@often
@given(CASES)
def test_what_is_permitted_rests_on_grants_in_force_and_on_rules_of_the_laws(case: Case) -> None:
    verdict = case.verdict()
    assume(isinstance(verdict, Permitted))
    assert verdict.fields == tuple(path for path in case.terms.categories if path in verdict.fields) != ()
    assert verdict.until is None or case.now < verdict.until
    known = {one.id for p in case.law.packs.values() for one in p.rules} | {"default"}
    assert set(verdict.rules) <= known
    assert verdict.rules
    for name in verdict.consents:
        relied_on = [one for one in case.events if one.record_id == name and one.state in GRANTED]
        assert any(
            one.purpose == case.terms.purpose
            and one.effective_time <= case.now + CLOCK_TOLERANCE_MS
            and (one.valid_until is None or case.now < (verdict.until or 0) <= one.valid_until)
            for one in relied_on
        )


@often
@given(CASES)
def test_each_field_that_is_refused_is_refused_by_a_rule_that_is_told(case: Case) -> None:
    explained = judge(case.terms, case.law, case.answer(), case.now)
    allowed = case.fields()
    for category in explained.categories:
        assert (category.denied is None) is (set(category.fields) <= allowed)
        assert category.verdicts, "no field passes unjudged"
        assert {one.jurisdiction for one in category.verdicts} <= set(explained.jurisdictions)


# --- every input has an answer


@settings(often, max_examples=150)
@given(
    case=CASES,
    more=st.lists(events(), max_size=3),
    ids=st.none() | st.frozensets(st.sampled_from(["ZZ-0", "EU-0", "EU-1", "JP-0", "US-CA-0", "default", "gone"])),
    now=st.integers(-(2**63), 2**63 - 1),
    at=st.integers(-(2**63), 2**63 - 1),
    odd=st.tuples(
        st.sampled_from(["soothsaying", "", "*", "marketing", "a.b..c"]),
        st.dictionaries(st.text(max_size=3), st.sampled_from(["user", "", "*", "aura", "user.name"]), max_size=3),
    ),
)
def test_there_is_always_an_answer(
    *,
    case: Case,
    more: list[ConsentEvent],
    ids: frozenset[str] | None,
    now: int,
    at: int,
    odd: tuple[str, dict[str, str]],
) -> None:
    said = [msgspec.structs.replace(one, event_time=Millis(at), recorded_at=Millis(at)) for one in more]
    known = case.facts if ids is None else RulesNamed(ids)
    for contract in (case.terms, replace(case.terms, purpose=odd[0], categories=odd[1])):
        for instant in (Millis(now), case.now):
            verdict = decide(contract, case.law, customer(*case.events, *said, facts=known), instant)
            assert isinstance(verdict, Denied) or set(verdict.fields) <= set(contract.categories)
            change_after(contract, case.law, record(*said), case.facts.born, instant)


@often
@given(CASES, negatives())
def test_while_the_profile_cannot_be_read_a_no_still_narrows(case: Case, negative: ConsentEvent) -> None:
    verdict = case.verdict()
    assume(isinstance(verdict, Permitted))
    named = RulesNamed(frozenset(verdict.rules))

    def held(*said: ConsentEvent) -> tuple[str, ...]:
        return fields(decide(case.terms, case.law, customer(*said, facts=named), case.now))

    assert set(held(*case.events, negative)) <= set(held(*case.events))


# --- time


@settings(often, max_examples=150)
@given(CASES | cases_in_time() | cases_in_time(), st.data())
def test_no_answer_changes_before_the_next_change(case: Case, data: st.DataObject) -> None:
    change = change_after(case.terms, case.law, record(*case.events), case.facts.born, case.now)
    assert change is None or change > case.now
    until = Millis(case.now + 5_000 * DAY) if change is None else change
    verdict = case.verdict()
    between = [one for one in _instants(case) if case.now <= one < until]
    for instant in {until - 1, data.draw(st.integers(case.now, until - 1)), *between}:
        assert case.verdict(Millis(instant)) == verdict


def _instants(case: Case) -> list[int]:
    """Where answers might change: around all times that anybody named, and around birthdays."""
    named = {t for one in case.events for t in (one.event_time, one.recorded_at, one.valid_from, one.valid_until)}
    born = [] if case.facts.born is None else [_noon_after(case.facts.born, years) for years in range(5, 20)]
    around = [(t or 0) + by for t in {*named, *INSTANTS} for by in (0, 1, -CLOCK_TOLERANCE_MS, 1 - CLOCK_TOLERANCE_MS)]
    return [*around, *born]


def _noon_after(born: int, years: int) -> int:
    birth = date(1970, 1, 1) + timedelta(days=born)
    return ((date(birth.year + years, birth.month, min(birth.day, 28)) - date(1970, 1, 1)).days + 2) * DAY


@often
@given(CASES)
def test_a_basis_does_not_outlast_the_next_change(case: Case) -> None:
    verdict = case.verdict()
    change = change_after(case.terms, case.law, record(*case.events), case.facts.born, case.now)
    if isinstance(verdict, Permitted) and verdict.until is not None:
        assert change is not None
        assert case.now < change <= verdict.until


# --- the laws that the strategies leave out, and why


def test_evidence_can_narrow_where_what_holds_without_it_is_milder() -> None:
    upside_down = under(rule(mode=Mode.FORBID, requires=frozenset({"x"}), otherwise=Mode.ALLOW))
    assert isinstance(answer(law=upside_down), Permitted)
    assert isinstance(answer(law=upside_down, terms=terms(evidence=frozenset({"x"}))), Denied)


def test_evidence_can_narrow_where_an_alternative_is_stricter() -> None:
    stricter = Alternative("odd", Mode.FORBID, frozenset({"x"}), frozenset(RecipientKind), None)
    odd = under(rule(mode=Mode.ALLOW, alternatives=(stricter,)))
    switched_on = terms(alt_basis=frozenset({"odd"}))
    assert isinstance(answer(law=odd, terms=switched_on), Permitted)
    assert isinstance(answer(law=odd, terms=replace(switched_on, evidence=frozenset({"x"}))), Denied)


def test_a_notice_that_names_the_recipient_is_also_one_that_names_its_kind() -> None:
    told = under(rule(mode=Mode.OPT_OUT, requires=frozenset({NOTICE})))
    named = terms(evidence=frozenset({NOTICE_NAMES_RECIPIENT}))
    assert isinstance(answer(law=told, terms=named), Permitted)


# --- that the properties are about something


def _as_it_is(case: Case) -> Case:
    return case


def _ungranted(case: Case) -> Case:
    return replace(case, events=tuple(one for one in case.events if one.state not in GRANTED))


SEED = 20261121
NARROWING: dict[str, Callable[[Case, Random], Case]] = {
    "a negative": lambda case, dice: case.with_events(
        no(NOON - dice.randrange(2) * DAY, dice.choice([State.WITHDRAWN, State.REFUSED]), purpose=case.terms.purpose)
    ),
    "no grant": lambda case, _: _ungranted(case),
    "no evidence": lambda case, _: case.with_terms(evidence=frozenset()),
    "no alternative": lambda case, _: case.with_terms(alt_basis=frozenset()),
    "another law": lambda case, dice: case.with_facts(collected_in=dice.choice(PLACES)),
    "no residence": lambda case, _: case.with_facts(residence=None),
    "no destination": lambda case, _: case.with_terms(country="ZZ"),
    "a child": lambda case, _: case.with_facts(born=TODAY_NUMBER - 8 * 366),
    "a year later": lambda case, _: replace(case, now=Millis(case.now + 366 * DAY)),
}


STARTING_FROM: dict[str, Callable[[Case], Case]] = {
    "no alternative": lambda case: _ungranted(case).with_terms(alt_basis=ALTERNATIVES),
    "no destination": lambda case: case.with_terms(evidence=case.terms.evidence - {CLAUSES}),
    "a year later": lambda case: case.with_terms(valid_until=Millis(case.now + 183 * DAY)),
}
"""Cases to which the change is more likely to matter."""


@pytest.fixture(scope="module")
def census() -> Counter[str]:
    """Of the same few hundred cases: how many are permitted, and how many each change narrows."""
    counted: Counter[str] = Counter()
    for number in range(6):  # cases of one seed resemble each other
        _count(counted, SEED + number)
    return counted


def _count(counted: Counter[str], number: int) -> None:
    dice = Random(number)

    @seed(number)
    @settings(often, max_examples=60, database=None, phases=[Phase.generate])
    @given(CASES)
    def count(case: Case) -> None:
        verdict, allowed = case.verdict(), case.fields()
        counted["cases"] += 1
        counted["permitted"] += isinstance(verdict, Permitted)
        counted["resting on a grant"] += isinstance(verdict, Permitted) and bool(verdict.consents)
        counted["without a grant"] += isinstance(verdict, Permitted) and not verdict.consents
        counted["in part"] += bool(allowed) and allowed != set(case.terms.categories)
        for name, change in NARROWING.items():
            start = STARTING_FROM.get(name, _as_it_is)(case)
            counted[name] += change(start, dice).fields() < start.fields()

    count()


def test_a_good_part_of_the_cases_is_permitted(census: Counter[str]) -> None:
    assert census["cases"] >= 250
    assert census["permitted"] >= census["cases"] * 0.3
    assert census["resting on a grant"] >= census["cases"] * 0.15
    assert census["without a grant"] >= census["cases"] * 0.05
    assert census["in part"] >= 2


@pytest.mark.parametrize("change", NARROWING)
def test_what_narrows_does_so_in_some_of_the_cases(change: str, census: Counter[str]) -> None:
    assert census[change] >= 1
