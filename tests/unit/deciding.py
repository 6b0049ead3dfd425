"""Answers of customers, contracts and small laws, in as few words as a case needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from sluice.consent import (
    Actor,
    ConsentEvent,
    ConsentRecord,
    Expression,
    Notice,
    RecipientKind,
    RecipientScope,
    Signal,
    SignalType,
    State,
)
from sluice.decision import Customer, Denied, Judgement, Permitted, RulesNamed, dates_of, decide, judge
from sluice.facts import AS_IN_OUR_PROFILE, Facts
from sluice.law.pack import DEFAULT_RULE, REST_OF_WORLD, Law, OptOuts, Pack
from sluice.law.rule import Mode, Rule
from sluice.model import Millis, PartnerId, Reason
from sluice.precedents import next_change
from sluice.terms import Terms

HOSHI = PartnerId("hoshi-card")
EMAIL = "marketing.communications.email"
ADVERTISING = "marketing.advertising.third_party.targeted"
HYGIENE = "operations.address_hygiene"
NOW = Millis(1_000)
TERMS = Terms(
    partner=HOSHI,
    kind=RecipientKind.PARTNER,
    purpose=EMAIL,
    brand="hoshi",
    valid_from=Millis(10),
    valid_until=Millis(9_000),
    categories={
        "given_name": "user.name.first",
        "family_name": "user.name.last",
        "email": "user.contact.email",
    },
)
NAME_FIELDS = ("given_name", "family_name")
ALL_FIELDS = (*NAME_FIELDS, "email")
TO_HOSHI = RecipientScope(partner_ids=("hoshi-card",))
TO_OTHERS = RecipientScope(partner_ids=("adresso", "listmart"))
TO_PARTNERS = RecipientScope(category=RecipientKind.PARTNER)
TO_SALE = RecipientScope(category=RecipientKind.THIRD_PARTY_SALE)
NAMES_HOSHI = Notice(names_recipients=("hoshi-card",))
NAMES_PARTNERS = Notice(names_recipient_kinds=(RecipientKind.PARTNER,))
GPC = Signal(SignalType.GPC)

NEGATIVES = {
    State.REFUSED: Reason.REFUSED,
    State.WITHDRAWN: Reason.WITHDRAWN,
    State.REVOKED: Reason.WITHDRAWN,
    State.OBJECTED: Reason.OBJECTED,
    State.OPTED_OUT: Reason.OPTED_OUT,
}
"""Of data that no law calls sensitive; for other data LIMITED is one too."""

HARMLESS = OptOuts(
    sale_reaches=frozenset({RecipientKind.PARTNER, RecipientKind.THIRD_PARTY_SALE}),
    gpc_binds=False,
    advertising=False,
    two_step_opt_in=False,
)


def event(state: State, at: int, **more: Any) -> ConsentEvent:  # noqa: ANN401 - any field of the event
    return msgspec.structs.replace(
        ConsentEvent(
            record_id=f"{state.lower()}-{at}",
            subject_id="c",
            purpose=EMAIL,
            state=state,
            expression=Expression.EXPLICIT,
            actor=Actor.SUBJECT,
            event_time=Millis(at),
            recorded_at=Millis(at),
        ),
        **more,
    )


def grant(at: int = 100, **more: Any) -> ConsentEvent:  # noqa: ANN401 - any field of the event
    """Reaches everything, unless something says otherwise."""
    return event(State.GIVEN, at, **{"data_scope": ("*",), "recipient_scope": TO_HOSHI} | more)


def no(at: int = 200, state: State = State.WITHDRAWN, **more: Any) -> ConsentEvent:  # noqa: ANN401 - the same
    """For everything and everybody, unless something says otherwise."""
    return event(state, at, **more)


def question(at: int = 200, **more: Any) -> ConsentEvent:  # noqa: ANN401 - the same
    """Asked, and no answer could be read."""
    return event(State.UNKNOWN, at, **more)


def record(*events: ConsentEvent) -> ConsentRecord:
    known = ConsentRecord()
    for one in events:
        known = known.with_event(one)
    return known


def terms(**changes: Any) -> Terms:  # noqa: ANN401 - any field of the terms
    return replace(TERMS, **changes)


def rule(name: str = "T-R1", mode: Mode = Mode.OPT_IN, **more: Any) -> Rule:  # noqa: ANN401 - any field of a rule
    """For every recipient, purpose, category and age, unless something says otherwise."""
    return replace(DEFAULT_RULE, id=name, mode=mode, **more)


def pack(*rules: Rule, jurisdiction: str = REST_OF_WORLD, **more: Any) -> Pack:  # noqa: ANN401 - any field of a pack
    fields: dict[str, Any] = {
        "name": jurisdiction,
        "law": "an act of the tests",
        "signals": (),
        "duties": (),
        "opt_outs": HARMLESS,
        "limit_permits": (),
        "mechanisms": None,
        "instruments": frozenset(),
        "child_age": 13,
        "child_age_in": {},
        "toggles": {},
    }
    return Pack(jurisdiction=jurisdiction, rules=rules, **fields | more)


def law_of(*packs: Pack, sensitive: frozenset[str] = frozenset(), **more: Any) -> Law:  # noqa: ANN401 - any field of it
    """The laws in these packs; the days and ages at which they change are read off them."""
    ages = [one.ages for p in packs for one in p.rules if one.ages is not None]
    ages += [one.ages for p in packs for r in p.rules for one in r.entitled]
    children = [age for p in packs for age in (p.child_age, *p.child_age_in.values())]
    bounds = {*children, *(a.start for a in ages), *(a.below for a in ages if a.below is not None)}
    dates = {date for p in packs for r in p.rules for date in (r.start, r.end) if date is not None}
    fields: dict[str, Any] = {
        "covers": {},
        "subdivisions": {},
        "data_classes": {"sensitive": sensitive},
        "evidence_words": {},
        "alt_bases": frozenset(),
        "dates": tuple(sorted(dates)),
        "age_bounds": tuple(sorted(bounds)),
        "digest": "",
        "paths": AS_IN_OUR_PROFILE,
    }
    return Law(packs={p.jurisdiction: p for p in packs}, **fields | more)


def under(*rules: Rule, sensitive: frozenset[str] = frozenset(), **more: Any) -> Law:  # noqa: ANN401 - any field of a pack
    """One law for the whole world."""
    return law_of(pack(*rules, **more), sensitive=sensitive)


ANYWHERE = under(rule())
"""Opt-in everywhere."""
SOMEBODY = Facts(residence="AU")


def customer(
    *events: ConsentEvent, facts: Facts | RulesNamed = SOMEBODY, acknowledged: frozenset[str] = frozenset()
) -> Customer:
    return Customer(facts, record(*events), acknowledged)


def answer(
    *events: ConsentEvent,
    terms: Terms = TERMS,
    law: Law = ANYWHERE,
    facts: Facts | RulesNamed = SOMEBODY,
    now: int = NOW,
) -> Permitted | Denied:
    return decide(terms, law, customer(*events, facts=facts), Millis(now))


def judgement(
    *events: ConsentEvent, terms: Terms = TERMS, law: Law = ANYWHERE, facts: Facts = SOMEBODY, now: int = NOW
) -> Judgement:
    return judge(terms, law, customer(*events, facts=facts), Millis(now))


def basis(verdict: Permitted | Denied) -> tuple[tuple[str, ...], tuple[str, ...], int | None] | Reason:
    """What may be held, on which answers, until when."""
    return (verdict.fields, verdict.consents, verdict.until) if isinstance(verdict, Permitted) else verdict.reason


def fields(verdict: Permitted | Denied) -> tuple[str, ...]:
    return verdict.fields if isinstance(verdict, Permitted) else ()


def reason(verdict: Permitted | Denied) -> Reason | None:
    """None: permitted."""
    return verdict.reason if isinstance(verdict, Denied) else None


def change_after(terms: Terms, law: Law, consents: ConsentRecord, born: int | None, now: Millis) -> Millis | None:
    """The first instant at which time alone may change the answer."""
    return next_change(dates_of([terms], law), law.age_bounds, consents.statements, born, now)


def outcomes(answers: Mapping[PartnerId, Permitted | Denied]) -> Mapping[PartnerId, Reason | None]:
    return {partner: reason(verdict) for partner, verdict in answers.items()}
