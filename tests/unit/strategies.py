"""Terms, laws, facts and histories as Hypothesis invents them, weighted so that a good part of the answers is yes.

The laws are orderly, as the shipped ones are; `tests/unit/test_decision_properties.py` shows what others break:
what holds `otherwise` is never milder than the rule's own test, an alternative is never stricter than it, and who has
to consent does not turn on a child's age that differs from country to country unless it is the guardian alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from random import Random
from typing import Any

import msgspec
from hypothesis import strategies as st

from sluice.consent import (
    CLOCK_TOLERANCE_MS,
    Actor,
    Channel,
    ConsentEvent,
    Expression,
    Notice,
    RecipientKind,
    RecipientScope,
    Signal,
    SignalType,
    State,
)
from sluice.decision import Customer, Permitted, decide
from sluice.facts import Facts
from sluice.law.pack import Law, OptOuts, Pack
from sluice.law.rule import (
    GUARDIAN_CONSENT,
    NOTICE,
    NOTICE_NAMES_RECIPIENT,
    Ages,
    Alternative,
    Entitled,
    Mode,
    Rule,
)
from sluice.model import Millis
from sluice.terms import Terms
from tests.unit.deciding import ADVERTISING, EMAIL, HOSHI, HYGIENE, customer, event, law_of, pack, rule, terms

MINUTE, DAY = 60_000, 24 * 60 * 60_000
TODAY = date(2026, 11, 21)
TODAY_NUMBER = (TODAY - date(1970, 1, 1)).days
NOON = Millis(TODAY_NUMBER * DAY + DAY // 2)
"""When most of it is decided."""

SENSITIVE = frozenset({"user.location.precise", "user.health_and_medical"})
CATEGORIES = {
    "given_name": "user.name.first",
    "email": "user.contact.email",
    "position": "user.location.precise",
    "note": "user",
}
CONTRACT, ASSESSMENT, CLAUSES = "contract_on_file", "lia_on_file", "standard_clauses"
EVIDENCE = frozenset({NOTICE, NOTICE_NAMES_RECIPIENT, CONTRACT, ASSESSMENT, CLAUSES})
ALTERNATIVES = frozenset({"legitimate_interests", "soft_opt_in"})
COUNTRIES = ("JP", "DE", "US", "AU")
PLACES = ("AU", "JP", "DE", "FR", "US-CA", "US-CO", "US-NY", "US")
"""Countries and states with a law of their own, one that belongs to a wider one, and some without."""
GRANTED = (State.GIVEN, State.RENEWED)
NEGATIVE = (State.REFUSED, State.WITHDRAWN, State.REVOKED, State.OBJECTED, State.OPTED_OUT, State.LIMITED)

LONG_AGO = (-4000 * DAY, -1200 * DAY, -400 * DAY, -30 * DAY, -DAY, -DAY + 1)
ABOUT_NOW = (-CLOCK_TOLERANCE_MS - 1, -CLOCK_TOLERANCE_MS, -1, 0, 1, CLOCK_TOLERANCE_MS, CLOCK_TOLERANCE_MS + 1)
LATER = (DAY // 2, DAY, 30 * DAY, 400 * DAY)


def mostly(usual: st.SearchStrategy[Any], seldom: st.SearchStrategy[Any], of: int = 5) -> st.SearchStrategy[Any]:
    """From the second about once in `of` times."""
    return st.one_of(*(usual.map(lambda one: one) for _ in range(of - 1)), seldom)


def rarely(seldom: st.SearchStrategy[Any], otherwise: object = None, of: int = 5) -> st.SearchStrategy[Any]:
    return mostly(st.just(otherwise), seldom, of)


INSTANTS = tuple(Millis(NOON + after) for after in (*LONG_AGO, *ABOUT_NOW, *LATER))
MOMENTS = st.sampled_from(INSTANTS)
WHEN = rarely(MOMENTS, NOON, 8)
PAST = st.sampled_from([Millis(NOON + after) for after in LONG_AGO])


# --- contracts

ALL_EVIDENCE = st.just(EVIDENCE)
SOME_EVIDENCE = st.frozensets(st.sampled_from(sorted(EVIDENCE)))

TERMS = st.builds(
    Terms,
    partner=st.just(HOSHI),
    kind=st.sampled_from(RecipientKind),
    purpose=st.sampled_from([EMAIL, EMAIL, ADVERTISING, HYGIENE, "essential.fraud_detection"]),
    brand=st.sampled_from(["hoshi", None]),
    valid_from=rarely(MOMENTS, Millis(NOON + LONG_AGO[0]), 8),
    valid_until=rarely(MOMENTS, of=8),
    categories=st.lists(st.sampled_from(sorted(CATEGORIES)), min_size=1, unique=True).map(
        lambda paths: {path: CATEGORIES[path] for path in paths}
    ),
    country=st.sampled_from(COUNTRIES),
    evidence=ALL_EVIDENCE | SOME_EVIDENCE,
    alt_basis=st.frozensets(st.sampled_from(sorted(ALTERNATIVES))),
    controller=rarely(st.sampled_from(PLACES)),
)

# --- laws

STRICTER = {
    Mode.ALLOW: (Mode.OPT_OUT, Mode.OPT_IN, Mode.OPT_IN_EXPLICIT, Mode.FORBID),
    Mode.LIMIT: (Mode.OPT_OUT, Mode.OPT_IN, Mode.OPT_IN_EXPLICIT),
    Mode.OPT_OUT: (Mode.OPT_IN, Mode.OPT_IN_EXPLICIT, Mode.FORBID),
    Mode.OPT_IN: (Mode.OPT_IN_EXPLICIT, Mode.FORBID),
    Mode.OPT_IN_EXPLICIT: (Mode.FORBID,),
    Mode.FORBID: (),
}
"""Tests that pass nothing which the first does not pass. ALLOW is denied by what LIMIT may leave open (A4.1)."""
MILDER = {mode: tuple(other for other in STRICTER if mode in STRICTER[other]) for mode in Mode}
MODES = (*(Mode.ALLOW, Mode.OPT_OUT, Mode.OPT_IN) * 4, Mode.LIMIT, Mode.OPT_IN_EXPLICIT, Mode.FORBID)
BELOW_13, TEENS, CHILDREN = Ages(0, 13), Ages(13, 16), Ages(0, None)
FIT_TO_CONSENT = (
    (Entitled(CHILDREN, Actor.GUARDIAN),),
    (Entitled(TEENS, Actor.SUBJECT), Entitled(BELOW_13, Actor.GUARDIAN)),
    (Entitled(BELOW_13, Actor.GUARDIAN),),
)


@dataclass(frozen=True, slots=True)
class _Dice:
    """Seeded choices: a law is made of too many for Hypothesis to make each of them in good time."""

    random: Random

    def one_of(self, *choices: Any) -> Any:  # noqa: ANN401 - whatever the choices are
        return self.random.choice(choices)

    def rarely(self, choice: object, otherwise: object, of: int = 5) -> Any:  # noqa: ANN401 - the same
        return choice if self.random.randrange(of) == 0 else otherwise

    def some(self, *choices: Any) -> frozenset[Any]:  # noqa: ANN401 - the same
        return frozenset(self.random.sample(choices, self.random.randint(0, min(2, len(choices)))))


@cache
def rule_number(number: int, name: str) -> Rule:
    """A rule for every number; the first of them say nothing but their mode."""
    if number < len(Mode):
        return rule(name, tuple(Mode)[number])
    dice = _Dice(Random(number))
    mode = dice.one_of(*MODES)
    made = rule(
        name,
        mode,
        recipients=dice.rarely(dice.some(*RecipientKind), frozenset(RecipientKind), 3) or frozenset(RecipientKind),
        purposes=dice.rarely(dice.one_of(("marketing",), ("operations", "essential")), ()),
        data_class=dice.rarely("sensitive", None, 4),
        outside=dice.rarely(True, False, 3),
        requires=dice.rarely(dice.some(*sorted(EVIDENCE)), frozenset(), 2),
        unless=dice.rarely(dice.some(*sorted(EVIDENCE)), frozenset()),
        start=dice.rarely(dice.one_of(*INSTANTS), None, 8),
        end=dice.rarely(dice.one_of(*INSTANTS), None, 8),
    )
    if dice.rarely(True, False, 4):
        made = replace(
            made, ages=dice.one_of(BELOW_13, TEENS, CHILDREN), entitled=dice.rarely(dice.one_of(*FIT_TO_CONSENT), (), 2)
        )
    if mode is Mode.FORBID:
        unless = dice.one_of(frozenset({GUARDIAN_CONSENT}), frozenset({CLAUSES}), frozenset())
        return replace(made, unless=made.unless | unless)
    if made.requires and STRICTER[mode]:
        made = replace(made, otherwise=dice.rarely(dice.one_of(*STRICTER[mode]), None, 3))
    return replace(made, alternatives=(_alternative(made, dice),) if dice.one_of(True, False) else ())


def _alternative(own: Rule, dice: _Dice) -> Alternative:
    """No stricter than the rule itself, in its test and in whom the notice has to name."""
    words = dice.some(
        *sorted(EVIDENCE if NOTICE_NAMES_RECIPIENT in own.requires else EVIDENCE - {NOTICE_NAMES_RECIPIENT})
    )
    return Alternative(
        name=dice.one_of(*sorted(ALTERNATIVES)),
        mode=dice.one_of(*(MILDER[own.mode] or (own.mode,))),
        requires=words,
        recipients=frozenset(RecipientKind),
        not_for=dice.one_of(None, "sensitive"),
    )


@cache
def _manner_number(number: int) -> dict[str, Any]:
    """How a law hears a no, where data may go, who is a child: for every number, the first an ordinary one."""
    if number == 0:
        return {}
    dice = _Dice(Random(number))
    sale = {RecipientKind.PARTNER, RecipientKind.THIRD_PARTY_SALE}
    return {
        "opt_outs": OptOuts(
            sale_reaches=frozenset({*sale, *dice.one_of((), (RecipientKind.AFFILIATE_OTHER_BRAND,))}),
            gpc_binds=dice.one_of(True, False),
            advertising=dice.one_of(True, False),
            two_step_opt_in=dice.rarely(True, False),
        ),
        "limit_permits": dice.rarely(("essential",), ()),
        "mechanisms": dice.rarely(None, frozenset(dice.random.sample(COUNTRIES, 3)), 4),
        "instruments": dice.rarely(frozenset({CLAUSES}), frozenset()),
        "child_age": dice.one_of(13, 16),
    }


def packs(jurisdiction: str, **more: Any) -> st.SearchStrategy[Pack]:  # noqa: ANN401 - any field of a pack
    def made(numbers: list[int], manner: int) -> Pack:
        rules = [rule_number(number, f"{jurisdiction}-{at}") for at, number in enumerate(numbers)]
        return pack(*rules, jurisdiction=jurisdiction, **_manner_number(manner) | more)

    return st.builds(made, st.lists(st.integers(0, 9_999), min_size=1, max_size=3), st.integers(0, 999))


LAWS = st.builds(
    lambda *loaded: law_of(
        *loaded,
        sensitive=SENSITIVE,
        covers={"DE": "EU", "FR": "EU"},
        subdivisions={"US": frozenset({"US-CA", "US-CO", "US-NY"})},
        source_priority={"crm": 2, "shop": 1},
    ),
    packs("ZZ"),
    packs("EU", child_age_in={"FR": 15, "DE": 13}),
    packs("US-CA"),
    packs("US-CO"),
    packs("JP"),
)

# --- customers


def _birthdays() -> st.SearchStrategy[int]:
    """Days of birth around which somebody comes to an age that laws name."""
    years = st.sampled_from([40, 40, 40, 17, 16, 15, 13, 12, 5])
    return st.builds(
        lambda age, off: TODAY_NUMBER - (TODAY - TODAY.replace(year=TODAY.year - age)).days + off,
        years,
        st.sampled_from([0, -1, 1]),
    )


FACTS = st.builds(
    Facts,
    residence=st.sampled_from([*PLACES, *PLACES, None, "XX"]),
    collected_in=rarely(st.sampled_from(PLACES)),
    born=rarely(_birthdays(), of=2),
    restricted=rarely(st.just(True), False, 20),
    deceased=rarely(st.just(True), False, 20),
)

SCOPES = st.sampled_from(
    [
        None,
        RecipientScope(),
        RecipientScope(partner_ids=(HOSHI,)),
        RecipientScope(partner_ids=("adresso", "listmart")),
        *(RecipientScope(category=kind) for kind in RecipientKind),
    ]
)
NOTICES = st.sampled_from(
    [
        None,
        Notice(),
        Notice(names_recipients=(HOSHI,)),
        Notice(names_recipient_kinds=tuple(RecipientKind)),
        Notice(covers_purposes=("sales",)),
        Notice(covers_categories=("user.name",)),
    ]
)
DATA = st.sampled_from([("*",), ("user",), ("user.name",), ("user.name.first", "user.contact"), ()])
SAID_OF = st.sampled_from([EMAIL, ADVERTISING, HYGIENE, "marketing", "sales", "operations", "essential", "*"])
RECORD_IDS = st.integers(0, 10**6).map("r{}".format)


def events(*states: State) -> st.SearchStrategy[ConsentEvent]:
    return st.builds(
        ConsentEvent,
        record_id=RECORD_IDS,
        subject_id=st.just("c"),
        purpose=SAID_OF,
        state=st.sampled_from(states or tuple(State)),
        expression=st.sampled_from(Expression),
        actor=st.sampled_from(Actor),
        event_time=MOMENTS,
        recorded_at=MOMENTS,
        source_system=st.sampled_from([None, "crm", "shop", "fair"]),
        sequence=st.none() | st.integers(0, 2),
        brand_id=st.sampled_from([None, "hoshi", "kaze"]),
        channel=st.sampled_from([None, Channel.ANY, Channel.EMAIL, Channel.SMS]),
        recipient_scope=SCOPES,
        data_scope=DATA,
        valid_from=rarely(MOMENTS),
        valid_until=rarely(MOMENTS),
        notice=NOTICES,
        signal=rarely(st.sampled_from(SignalType).map(Signal)),
        guardian_ref=rarely(st.just("g"), of=10),
        confirmed=st.booleans(),
        gpc_conflict_ack=st.booleans(),
    )


@cache
def good_grants(purpose: str) -> st.SearchStrategy[ConsentEvent]:
    """Such as reach: by the customer or a guardian, for the contract's purpose, to the partner by name."""
    return st.builds(
        lambda at, **more: event(State.GIVEN, at, purpose=purpose, recorded_at=Millis(at + MINUTE), **more),
        PAST,
        record_id=RECORD_IDS,
        actor=st.sampled_from([Actor.SUBJECT, Actor.SUBJECT, Actor.SUBJECT, Actor.GUARDIAN]),
        expression=rarely(st.just(Expression.OPT_IN), Expression.EXPLICIT),
        data_scope=rarely(DATA, ("*",), 3),
        recipient_scope=rarely(SCOPES, RecipientScope(partner_ids=(HOSHI,))),
        notice=rarely(NOTICES, Notice(names_recipients=(HOSHI,))),
        valid_from=rarely(MOMENTS),
        valid_until=rarely(MOMENTS),
        source_system=st.sampled_from([None, "crm"]),
        sequence=st.none() | st.integers(0, 2),
        confirmed=rarely(st.just(False), True),
        gpc_conflict_ack=rarely(st.just(False), True),
    )


@cache
def negatives() -> st.SearchStrategy[ConsentEvent]:
    return events(*NEGATIVE)


@cache
def grants(purpose: str) -> st.SearchStrategy[ConsentEvent]:
    return good_grants(purpose) | events(*GRANTED)


@dataclass(frozen=True, slots=True)
class Case:
    """One decision to take."""

    terms: Terms
    law: Law
    facts: Facts
    events: tuple[ConsentEvent, ...]
    now: Millis

    def answer(self) -> Customer:
        return customer(*self.events, facts=self.facts)

    def verdict(self, now: Millis | None = None) -> Any:  # noqa: ANN401 - Permitted | Denied
        return decide(self.terms, self.law, self.answer(), self.now if now is None else now)

    def fields(self, now: Millis | None = None) -> frozenset[str]:
        found = self.verdict(now)
        return frozenset(found.fields) if isinstance(found, Permitted) else frozenset()

    def with_events(self, *more: ConsentEvent) -> Case:
        return replace(self, events=(*self.events, *more))

    def with_terms(self, **changes: Any) -> Case:  # noqa: ANN401 - any field of the terms
        return replace(self, terms=replace(self.terms, **changes))

    def with_facts(self, **changes: Any) -> Case:  # noqa: ANN401 - any fact
        return replace(self, facts=msgspec.structs.replace(self.facts, **changes))


@cache
def histories(purpose: str) -> st.SearchStrategy[tuple[ConsentEvent, ...]]:
    """Short ones, which mostly end with a grant that reaches."""
    good = good_grants(purpose)
    earlier = st.lists(mostly(good, events(), 3), max_size=3)
    return st.builds(lambda said, last: (*said, last), earlier, mostly(good, events(), 6))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    contract = draw(TERMS)
    return Case(contract, draw(LAWS), draw(FACTS), draw(histories(contract.purpose)), draw(WHEN))


@st.composite
def cases_in_time(draw: st.DrawFn) -> Case:
    """Such as time alone may decide: children about to come of age, answers dated ahead, rules with a first day."""
    purpose = EMAIL
    dated = st.builds(
        lambda one, at: msgspec.structs.replace(one, event_time=at, recorded_at=at), good_grants(purpose), MOMENTS
    )
    ages = draw(st.sampled_from([BELOW_13, TEENS, CHILDREN]))
    children = rule("C", Mode.FORBID, ages=ages, unless=frozenset({GUARDIAN_CONSENT}))
    dated_rule = rule("D", Mode.FORBID, start=draw(rarely(MOMENTS, None, 2)), end=draw(rarely(MOMENTS, NOON, 2)))
    general = rule(mode=draw(st.sampled_from([Mode.ALLOW, Mode.OPT_OUT, Mode.OPT_IN])))
    return Case(
        terms(purpose=purpose, valid_from=Millis(0), valid_until=None, evidence=EVIDENCE),
        law_of(pack(general, children, dated_rule, child_age=draw(st.sampled_from([13, 16])))),
        Facts("AU", born=draw(_birthdays())),
        tuple(draw(st.lists(dated, max_size=2))),
        draw(MOMENTS),
    )
