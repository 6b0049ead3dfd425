"""An answer that was given to somebody alike is the one that the customer's own decision would be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice import precedents
from sluice.consent import (
    CLOCK_TOLERANCE_MS,
    Actor,
    ConsentEvent,
    ConsentRecord,
    Notice,
    RecipientKind,
    RecipientScope,
    Signal,
    SignalType,
    State,
)
from sluice.decision import Customer, Denied, Permitted, decide
from sluice.facts import Facts
from sluice.law.pack import Law
from sluice.law.rule import GUARDIAN_CONSENT, Ages, Mode
from sluice.model import Millis, PartnerId
from sluice.precedents import Precedents
from sluice.terms import Terms
from tests.unit.deciding import (
    ANYWHERE,
    HARMLESS,
    HOSHI,
    NOW,
    SOMEBODY,
    TERMS,
    TO_PARTNERS,
    event,
    grant,
    law_of,
    no,
    pack,
    record,
    rule,
    terms,
    under,
)
from tests.unit.strategies import DAY, FACTS, MOMENTS, NOON, PLACES, TODAY, TODAY_NUMBER, Case, cases, cases_in_time

OTHER = PartnerId("adresso")
often = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def told(
    terms: Mapping[PartnerId, Terms], law: Law, facts: Facts, consents: ConsentRecord, now: Millis
) -> dict[PartnerId, Permitted | Denied]:
    return {partner: decide(one, law, Customer(facts, consents), now) for partner, one in terms.items()}


def given_by(
    kept: Precedents, facts: Facts, consents: ConsentRecord, now: Millis
) -> dict[PartnerId, Permitted | Denied]:
    _, permitted, denials = kept.answers(facts, consents, now)
    return {**permitted, **denials.by_partner}


@st.composite
def nearly_alike(draw: st.DrawFn, case: Case) -> tuple[Facts, ConsentRecord, Millis]:
    """A customer like the case's but for one thing, which may matter; the ids are others."""
    events = [msgspec.structs.replace(event, record_id=f"{event.record_id}x", subject_id="d") for event in case.events]
    what = draw(st.sampled_from([*_FACTS, *_TOLD] if events else [*_FACTS]))
    if what in _TOLD:
        at = draw(st.integers(0, len(events) - 1))
        events[at] = msgspec.structs.replace(events[at], **draw(_TOLD[what]))
        return case.facts, record(*events), case.now
    facts, said = case.facts, record(*events)
    match what:
        case "now":
            return facts, said, draw(MOMENTS)
        case "unreadable":
            return facts, said.with_unreadable("t/0@1"), case.now
        case _:
            return msgspec.structs.replace(facts, **{what: draw(_FACTS[what])}), said, case.now


_FACTS: Mapping[str, st.SearchStrategy[Any]] = {
    "residence": st.sampled_from(PLACES),
    "collected_in": st.sampled_from(PLACES),
    "born": FACTS.map(lambda facts: facts.born),
    "restricted": st.booleans(),
    "deceased": st.booleans(),
    "now": st.nothing(),
    "unreadable": st.nothing(),
}
_TIMES = MOMENTS | st.builds(lambda at, off: Millis(at + off), MOMENTS, st.sampled_from([-1, 1]))
_TOLD: Mapping[str, st.SearchStrategy[dict[str, Any]]] = {
    "time": _TIMES.map(lambda at: {"event_time": at, "recorded_at": at}),
    "sequence": st.sampled_from([None, -1, 0, 1, 2, 3]).map(lambda number: {"sequence": number}),
    "valid_from": (st.none() | _TIMES).map(lambda at: {"valid_from": at}),
    "valid_until": (st.none() | _TIMES).map(lambda at: {"valid_until": at}),
    "guardian": st.sampled_from([None, "h"]).map(lambda ref: {"guardian_ref": ref}),
    "recipient": st.sampled_from(
        [
            None,
            RecipientScope(),
            RecipientScope(partner_ids=(HOSHI,)),
            RecipientScope(partner_ids=(OTHER,)),
            RecipientScope(partner_ids=(HOSHI, OTHER)),
            RecipientScope(partner_ids=("nobody",)),
            RecipientScope(RecipientKind.PARTNER, (OTHER,)),
        ]
    ).map(lambda scope: {"recipient_scope": scope}),
    "state": st.sampled_from(State).map(lambda state: {"state": state}),
    "signal": st.sampled_from([None, *SignalType]).map(lambda kind: {"signal": kind and Signal(kind)}),
    "purpose": st.sampled_from(["marketing", "marketing.advertising", "sales", "third_party_sharing"]).map(
        lambda purpose: {"purpose": purpose}
    ),
    "children": st.just({"data_scope": ("user.childrens",), "signal": Signal(SignalType.GPP)}),
}


@often
@given(cases() | cases_in_time(), st.data())
def test_the_answer_is_what_each_customers_own_decision_would_be(case: Case, data: st.DataObject) -> None:
    terms = {HOSHI: case.terms, OTHER: replace(case.terms, partner=OTHER, valid_from=Millis(case.now - DAY))}
    kept = Precedents(terms, case.law, ())
    others = data.draw(st.lists(nearly_alike(case), min_size=4, max_size=10))
    for facts, consents, now in [(case.facts, record(*case.events), case.now), *others]:
        assert given_by(kept, facts, consents, now) == told(terms, case.law, facts, consents, now)


@often
@given(cases() | cases_in_time(), st.data())
def test_who_is_like_nobody_as_a_whole_is_told_what_others_were_by_each_partner(
    case: Case, data: st.DataObject
) -> None:
    """Many events, each of which a customer or another has, to one partner or another; nobody is like anybody."""
    terms = {HOSHI: case.terms, OTHER: replace(case.terms, partner=OTHER)}
    kept = Precedents(terms, case.law, ())
    events = list(case.events)
    for n, told_otherwise in enumerate(data.draw(st.lists(st.sampled_from([*_TOLD.values()]), max_size=12))):
        if events:
            first = data.draw(st.sampled_from(events))
            changed = data.draw(told_otherwise)
            events.append(msgspec.structs.replace(first, record_id=f"{first.record_id}-{n}", **changed))
    for _ in range(4):
        some = [one for one in events if data.draw(st.booleans())]
        consents = record(*some)
        with patch.object(precedents, "_MOST", data.draw(st.sampled_from([1, 1 << 14]))):
            found = given_by(kept, case.facts, consents, case.now)
        assert found == told(terms, case.law, case.facts, consents, case.now)


def test_customers_with_many_partners_are_decided_once_for_what_each_partner_was_told() -> None:
    """Twenty partners, each of whom a customer may have said yes to or no: a million kinds of customers."""
    partners = {PartnerId(f"p{n}"): replace(CONTRACT, partner=PartnerId(f"p{n}")) for n in range(20)}
    kept = Precedents(partners, under(rule()), ())
    with patch.object(precedents, "decide", side_effect=decide) as deciding:
        for customer in range(50):
            said = [
                (grant if (customer >> (n % 6)) & 1 else no)(
                    NOON - DAY, record_id=f"{customer}-{n}", recipient_scope=RecipientScope(partner_ids=(partner,))
                )
                for n, partner in enumerate(partners)
            ]
            given_by(kept, SOMEBODY, record(*said), NOON)
    assert deciding.call_count == 2 * len(partners)


@dataclass(frozen=True)
class Told:
    """A customer, as far as one of these cases needs it."""

    events: tuple[ConsentEvent, ...]
    facts: Facts = SOMEBODY
    now: Millis = NOON
    unreadable: bool = False

    def consents(self) -> ConsentRecord:
        said = record(*self.events)
        return said.with_unreadable("t/0@1") if self.unreadable else said


NEXT_YEAR = Millis(NOON + 365 * DAY)
YES = grant(NOON - DAY)
NUMBERED: Mapping[str, Any] = {"source_system": "crm"}
CHILDREN = under(rule(), rule("C", Mode.FORBID, ages=Ages(0, None), unless=frozenset({GUARDIAN_CONSENT})))
ABROAD = law_of(pack(rule()), pack(rule("J", Mode.FORBID), jurisdiction="JP"))
BEGUN = Millis(NOON - 20 * 366 * DAY)
CONTRACT = terms(valid_from=BEGUN, valid_until=NEXT_YEAR)
OF_AGE, AS_A_CHILD = Millis(NOON - DAY), Millis(NOON - 8 * 366 * DAY)
GROWN_UP = Facts("AU", born=TODAY_NUMBER - 18 * 366)
THIRTEEN = Facts("AU", born=(TODAY.replace(year=TODAY.year - 13) - date(1970, 1, 1)).days)
NO_CHILDREN = under(rule(mode=Mode.ALLOW), rule("C", Mode.FORBID, ages=Ages(0, None)))
CHILD = Facts("AU", born=TODAY_NUMBER - 8 * 366)


@pytest.mark.parametrize(
    ("one", "other", "law"),
    [
        pytest.param(
            Told((grant(BEGUN, recipient_scope=TO_PARTNERS),)),
            Told((grant(BEGUN - 1, recipient_scope=TO_PARTNERS),)),
            ANYWHERE,
            id="said before the contract began",
        ),
        pytest.param(
            Told((grant(NOON + CLOCK_TOLERANCE_MS),)),
            Told((grant(NOON + CLOCK_TOLERANCE_MS + 1),)),
            ANYWHERE,
            id="dated ahead",
        ),
        pytest.param(
            Told((grant(NOON - DAY, valid_from=NOON),)),
            Told((grant(NOON - DAY, valid_from=Millis(NOON + 1)),)),
            ANYWHERE,
            id="not yet valid",
        ),
        pytest.param(
            Told((grant(NOON - DAY, valid_from=Millis(NOON + 1)),)),
            Told((grant(NOON + 2, valid_from=Millis(NOON + 1)),)),
            ANYWHERE,
            id="valid before it was said",
        ),
        pytest.param(
            Told((grant(NOON - DAY, valid_until=Millis(NOON + 1)),)),
            Told((grant(NOON - DAY, valid_until=NOON),)),
            ANYWHERE,
            id="no longer valid",
        ),
        pytest.param(Told((), THIRTEEN, Millis(NOON - DAY)), Told((), THIRTEEN), NO_CHILDREN, id="of age since today"),
        pytest.param(Told((YES,), GROWN_UP), Told((YES,), CHILD), CHILDREN, id="a child"),
        pytest.param(
            Told((grant(OF_AGE),), GROWN_UP), Told((grant(AS_A_CHILD),), GROWN_UP), CHILDREN, id="a child when asked"
        ),
        pytest.param(
            Told((YES, event(State.REQUESTED, NOON - 9, purpose="operations"))),
            Told((YES, event(State.REQUESTED, NOON - 9, purpose="operations", guardian_ref="g"))),
            CHILDREN,
            id="shown to be a child",
        ),
        pytest.param(
            Told((YES,)), Told((grant(NOON - DAY, notice=Notice(covers_purposes=("sales",))),)), ANYWHERE, id="notice"
        ),
        pytest.param(Told((YES,)), Told((YES,), Facts("JP")), ABROAD, id="residence"),
        pytest.param(Told((YES,)), Told((YES,), Facts("AU", "JP")), ABROAD, id="place of collection"),
        pytest.param(Told((YES,)), Told((YES,), Facts("AU", restricted=True)), ANYWHERE, id="restricted"),
        pytest.param(Told((YES,)), Told((YES,), Facts("AU", deceased=True)), ANYWHERE, id="deceased"),
        pytest.param(Told((YES,)), Told((YES,), now=NEXT_YEAR), ANYWHERE, id="the contract ended"),
        pytest.param(Told((YES,)), Told((YES,), unreadable=True), ANYWHERE, id="unreadable"),
        pytest.param(
            Told((grant(NOON - 9, record_id="b"), no(NOON - 10, record_id="a"))),
            Told((grant(NOON - 10, record_id="b"), no(NOON - 10, record_id="a"))),
            ANYWHERE,
            id="at the same time",
        ),
        pytest.param(
            Told((grant(NOON - 9, record_id="b", sequence=2, **NUMBERED), no(NOON - 9, sequence=1, **NUMBERED))),
            Told((grant(NOON - 9, record_id="b", sequence=2, **NUMBERED), no(NOON - 9, sequence=3, **NUMBERED))),
            ANYWHERE,
            id="in another order of their source",
        ),
        pytest.param(
            Told((grant(NOON - 9, record_id="b", sequence=2, **NUMBERED), no(NOON - 9, sequence=0, **NUMBERED))),
            Told((grant(NOON - 9, record_id="b", sequence=2, **NUMBERED), no(NOON - 9, sequence=None, **NUMBERED))),
            ANYWHERE,
            id="without a number of their source",
        ),
    ],
)
def test_who_differs_in_what_decides_has_an_own_answer(one: Told, other: Told, law: Law) -> None:
    contracts = {HOSHI: CONTRACT}
    for pair in ((one, other), (other, one)):
        kept = Precedents(contracts, law, ())
        given = [given_by(kept, customer.facts, customer.consents(), customer.now) for customer in pair]
        own = [told(contracts, law, customer.facts, customer.consents(), customer.now) for customer in pair]
        assert given == own
        assert isinstance(own[0][HOSHI], Permitted) != isinstance(own[1][HOSHI], Permitted), "the case shows nothing"


def test_somebody_alike_is_not_decided_again() -> None:
    kept = Precedents({HOSHI: TERMS}, ANYWHERE, ())
    first = given_by(kept, SOMEBODY, record(grant(100, record_id="a"), no(50)), NOW)
    with patch.object(precedents, "decide", side_effect=AssertionError("decided again")):
        alike = given_by(kept, SOMEBODY, record(grant(101, record_id="b"), no(49)), NOW)
    assert isinstance(first[HOSHI], Permitted)
    assert alike[HOSHI] == msgspec.structs.replace(first[HOSHI], consents=("b",))


TO_THE_OTHER: Mapping[str, Any] = {"recipient_scope": RecipientScope(partner_ids=(OTHER,))}
CALIFORNIA = under(rule(mode=Mode.OPT_OUT), opt_outs=replace(HARMLESS, gpc_binds=True))
NO_MINORS = under(rule(mode=Mode.ALLOW), rule("C", Mode.FORBID, ages=Ages(0, 13)))


@pytest.mark.parametrize(
    ("one", "other", "law"),
    [
        pytest.param(
            Told((no(NOON - DAY, **TO_THE_OTHER),)),
            Told((no(NOON - DAY, State.OPTED_OUT, signal=Signal(SignalType.GPC), **TO_THE_OTHER),)),
            CALIFORNIA,
            id="a signal that binds by law",
        ),
        pytest.param(
            Told((no(NOON - DAY, **TO_THE_OTHER),)),
            Told((no(NOON - DAY, actor=Actor.GUARDIAN, **TO_THE_OTHER),)),
            NO_MINORS,
            id="a guardian's word, which shows a minor",
        ),
        pytest.param(
            Told((no(NOON - DAY, **TO_THE_OTHER),)),
            Told((no(NOON - DAY, guardian_ref="g", **TO_THE_OTHER),)),
            NO_MINORS,
            id="a guardian named, who shows a minor",
        ),
        pytest.param(
            Told((no(NOON - DAY, purpose="operations", **TO_THE_OTHER),)),
            Told((no(NOON - DAY, State.OBJECTED, purpose="marketing", **TO_THE_OTHER),)),
            under(rule(mode=Mode.OPT_OUT)),
            id="an objection to marketing",
        ),
        pytest.param(Told(()), Told((no(NOON - DAY, **TO_THE_OTHER),)), ANYWHERE, id="anything at all"),
    ],
)
def test_what_names_one_partner_concerns_another_where_the_law_says_so(one: Told, other: Told, law: Law) -> None:
    partners = {partner: replace(CONTRACT, partner=partner) for partner in (HOSHI, OTHER)}
    kept = Precedents(partners, law, ())
    first = told(partners, law, one.facts, one.consents(), one.now)
    second = told(partners, law, other.facts, other.consents(), other.now)
    assert first[HOSHI] != second[HOSHI], "it makes a difference"
    assert given_by(kept, one.facts, one.consents(), one.now) == first
    assert given_by(kept, other.facts, other.consents(), other.now) == second


def test_a_permission_ends_with_the_customers_own_grant() -> None:
    kept = Precedents({HOSHI: TERMS}, ANYWHERE, ())
    for end in (2_000, 3_000, 8_999, 20_000):
        answer = given_by(kept, SOMEBODY, record(grant(valid_until=Millis(end))), NOW)[HOSHI]
        assert isinstance(answer, Permitted)
        assert answer.until == min(end, TERMS.valid_until or end)


def test_events_of_the_same_id_are_decided_by_themselves() -> None:
    """The id that an answer rests on would not tell which of them was meant."""
    said = record(grant(100, record_id="same", valid_until=Millis(5_000)), grant(101, record_id="same"))
    kept = Precedents({HOSHI: TERMS}, ANYWHERE, ())
    for _ in range(2):
        assert given_by(kept, SOMEBODY, said, NOW) == told({HOSHI: TERMS}, ANYWHERE, SOMEBODY, said, NOW)


def test_what_is_kept_is_bounded() -> None:
    kept = Precedents({HOSHI: TERMS}, ANYWHERE, ())
    with patch.object(precedents, "_MOST", 3):
        for number in range(10):
            given_by(kept, SOMEBODY, record(grant(purpose=f"purpose-{number}")), NOW)
            assert len(kept._given) <= 3
            assert len(kept._given_by_one[HOSHI]) <= 3
            assert len(kept._addressees) <= 3


def test_who_said_much_is_decided_by_themselves_and_takes_no_place() -> None:
    said = record(*(grant(at, record_id=f"r{at}") for at in range(100, 100 + precedents._LONG + 1)))
    kept = Precedents({HOSHI: TERMS}, ANYWHERE, ())
    assert given_by(kept, SOMEBODY, said, NOW) == told({HOSHI: TERMS}, ANYWHERE, SOMEBODY, said, NOW)
    assert not kept._given
