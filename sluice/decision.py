"""May this partner hold this customer, on what basis, which fields, until when? Pure: no clock, no I/O, no logging.

`judge` asks every rule of every law that protects the customer and keeps what each said; `conclude` makes the answer of
that; `decide` is both. What `sluice explain` tells is the judgement that the running processor decides by.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from sluice import answers
from sluice.answers import GRANTS, Answers, Chronology, Question
from sluice.consent import Actor, ConsentEvent, ConsentRecord, within
from sluice.facts import Facts, age
from sluice.judgement import Hearing, Test, Verdict, goes_outside, may_have_consented, test_of
from sluice.judgement import judge as judge_rule
from sluice.law.pack import DEFAULT_RULE, Law, Regime
from sluice.law.rule import NOTICE_NAMES_RECIPIENT, Rule
from sluice.model import Millis, Reason
from sluice.terms import Terms

_BEFORE_ALL_LAWS = Millis(-(1 << 62))
VERSION = "1"
"""Part of the contract set's digest: raise it when the same inputs get another answer. What was decided by an earlier
version is then decided again."""
_CHILDRENS_DATA = "user.childrens"
_GRAVITY = {reason: at for at, reason in enumerate(Reason)}


@dataclass(frozen=True, slots=True)
class RulesNamed:
    """Stands for the facts while the profile cannot be read: the rules that the last disclosure rests on (LOOP 22)."""

    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Customer:
    """What a decision knows of a customer."""

    facts: Facts | RulesNamed
    consents: ConsentRecord
    acknowledged: Collection[str] = ()
    """Unreadable consent events that an operator has looked into."""


class Permitted(msgspec.Struct, frozen=True):
    """These fields may be held, on the strength of these consent records and rules, until the basis ends."""

    fields: tuple[str, ...]
    consents: tuple[str, ...]
    rules: tuple[str, ...]
    until: Millis | None
    """None: no end is known."""


class Denied(msgspec.Struct, frozen=True):
    reason: Reason
    rules: tuple[str, ...] = ()
    """Ids of the rules that refuse, sorted; empty when it did not come to the law."""


class CategoryJudgement(msgspec.Struct, frozen=True):
    """What the rules say to the fields of one data category."""

    category: str
    fields: tuple[str, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def denied(self) -> Reason | None:
        """The gravest reason of those that refuse; None: every rule is passed (A4.1)."""
        return min((v.denied for v in self.verdicts if v.denied is not None), key=_GRAVITY.__getitem__, default=None)


class Judgement(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that an answer follows from. As JSON it is the chain that `sluice explain` shows."""

    stopped: Reason | None = None
    """Why it did not come to the law."""
    jurisdictions: tuple[str, ...] = ()
    categories: tuple[CategoryJudgement, ...] = ()
    contract_until: Millis | None = None


def decide(terms: Terms, law: Law, customer: Customer, now: Millis) -> Permitted | Denied:
    """The answer for one customer and one partner; total: every input gives an answer, and unknown means no."""
    return conclude(judge(terms, law, customer, now))


def judge(terms: Terms, law: Law, customer: Customer, now: Millis) -> Judgement:
    """1. The contract is in force: `valid_from` included, `valid_until` not.

    2. Nothing suspends sharing: no restriction, no death, no consent event that cannot be read and nobody looked into.
    3. Each data category is judged by itself, by every applicable rule of every law that protects the customer.
    """
    stopped = _stopped(terms, customer, now)
    if stopped is not None:
        return Judgement(stopped)
    inquiry = _Inquiry(terms, law, customer, now)
    fields: dict[str, list[str]] = {}
    for path, category in terms.categories.items():
        fields.setdefault(category, []).append(path)
    return Judgement(
        jurisdictions=tuple(regime.pack.jurisdiction for regime in inquiry.regimes),
        categories=tuple(
            CategoryJudgement(category, tuple(paths), inquiry.verdicts(category)) for category, paths in fields.items()
        ),
        contract_until=terms.valid_until,
    )


def conclude(judgement: Judgement) -> Permitted | Denied:
    """Fields of the categories that no rule refuses; if there is none, the gravest reason stands for all."""
    if judgement.stopped is not None:
        return Denied(judgement.stopped)
    passed = [one for one in judgement.categories if one.verdicts and one.denied is None]
    if not passed:
        return _denied(judgement.categories)
    verdicts = [verdict for one in passed for verdict in one.verdicts]
    ends = [end for end in (judgement.contract_until, *(verdict.until for verdict in verdicts)) if end is not None]
    return Permitted(
        fields=tuple(path for one in passed for path in one.fields),
        consents=tuple(sorted({record for verdict in verdicts for record in verdict.grants})),
        rules=tuple(sorted({verdict.rule for verdict in verdicts})),
        until=min(ends, default=None),
    )


def _denied(categories: Sequence[CategoryJudgement]) -> Denied:
    reasons = {one.denied for one in categories if one.denied is not None}
    if not reasons:
        return Denied(Reason.NO_MATCHING_GRANT)
    gravest = min(reasons, key=_GRAVITY.__getitem__)
    refusing = {v.rule for one in categories if one.denied is gravest for v in one.verdicts if v.denied is not None}
    return Denied(gravest, tuple(sorted(refusing)))


def addressees(event: ConsentEvent) -> frozenset[str] | None:
    """The partners whose answers alone the event may change; None: anybody's. That there is one concerns everybody."""
    return None if _shows_a_minor(event) else answers.addressees(event)


def dates_of(terms: Iterable[Terms], law: Law) -> list[Millis]:
    """The instants that contracts and laws name, in order."""
    bounds = {instant for one in terms for instant in (one.valid_from, one.valid_until) if instant is not None}
    return sorted(bounds.union(law.dates))


def _stopped(terms: Terms, customer: Customer, now: Millis) -> Reason | None:
    if now < terms.valid_from or (terms.valid_until is not None and now >= terms.valid_until):
        return Reason.CONTRACT_NOT_IN_FORCE
    if isinstance(customer.facts, Facts) and customer.facts.deceased:
        return Reason.DECEASED
    if isinstance(customer.facts, Facts) and customer.facts.restricted:
        return Reason.PROCESSING_RESTRICTED
    if any(place not in customer.acknowledged for place in customer.consents.unreadable):
        return Reason.CONSENT_UNREADABLE
    return None


@dataclass(frozen=True, slots=True)
class _Put:
    """A rule that is put to a contract, before what the customer's age makes of it."""

    regime: Regime
    rule: Rule
    test: Test
    of_age: tuple[Rule, ...]
    """The law's rules on children, which also say who could consent at what age."""


@lru_cache(1 << 14)
def _put(terms: Terms, regimes: tuple[Regime, ...], classes: frozenset[str], since: Millis) -> tuple[_Put, ...]:
    """The rules then in force on such data. One that several laws share on the same terms is put once."""
    found: dict[object, _Put] = {}
    for regime in regimes:
        pack = regime.pack
        rules = [r for r in pack.rules if r.in_force(since) and r.concerns(terms.kind, terms.purpose, classes)]
        of_age = tuple(rule for rule in rules if rule.ages is not None)
        for rule in (*rules, *(() if any(rule.is_general for rule in rules) else (DEFAULT_RULE,))):
            if rule.outside and not goes_outside(terms, pack):
                continue
            alike = (rule.id, of_age, pack.opt_outs, regime.child_age, pack.limit_permits, pack.instruments)
            found.setdefault(alike, _Put(regime, rule, test_of(rule, terms, classes), of_age))
    return tuple(found.values())


class _Inquiry:
    """One customer before the laws: which protect them, how old they are, and what they said to each question."""

    def __init__(self, terms: Terms, law: Law, customer: Customer, now: Millis) -> None:
        facts = customer.facts
        self._terms, self._law, self._facts, self._now = terms, law, facts, now
        self._events = customer.consents.events
        self._when = Chronology(law.rank)
        self._scopes = _scopes(self._events)
        self._known_minor = any(map(_shows_a_minor, self._events))
        self._age = self._age_at(now)
        # between two of these days the same rules are in force
        self._since = max((day for day in law.dates if day <= now), default=_BEFORE_ALL_LAWS)
        self._verdicts: dict[object, tuple[Verdict, ...]] = {}
        self.regimes = (
            law.regimes(facts.residence, facts.collected_in, terms.controller)
            if isinstance(facts, Facts)
            else law.rules_named(facts.ids)
        )

    def verdicts(self, category: str) -> tuple[Verdict, ...]:
        """What every applicable rule says; the same for categories that neither laws nor answers tell apart."""
        classes = self._law.classes_of(category)
        told_apart = tuple((within(category, scope), within(scope, category)) for scope in self._scopes)
        if (classes, told_apart) not in self._verdicts:
            self._verdicts[classes, told_apart] = tuple(self._judged(category, classes))
        return self._verdicts[classes, told_apart]

    def _judged(self, category: str, classes: frozenset[str]) -> Iterator[Verdict]:
        put = [one for one in _put(self._terms, self.regimes, classes, self._since) if self._applies(one)]
        by_name = any(NOTICE_NAMES_RECIPIENT in one.test.requires for one in put)
        known: dict[object, tuple[Question, Answers]] = {}
        for one in put:
            heard = one.regime.pack.opt_outs, self._void(one)
            if heard not in known:
                question = Question(self._terms, category, bool(classes), by_name, heard[1], self._now)
                known[heard] = question, answers.find(question, self._events, heard[0], self._when)
            yield judge_rule(one.rule, one.test, Hearing(*known[heard], one.regime, self._age))

    def _applies(self, put: _Put) -> bool:
        rule = put.rule
        if isinstance(self._facts, RulesNamed):
            return rule.id in self._facts.ids
        return rule.ages is None or (self._age is not None and rule.ages.holds(self._age, put.regime.child_age))

    def _void(self, put: _Put) -> frozenset[ConsentEvent]:
        """Grants by somebody who could not give them at the age the customer had then (A4.8)."""
        given = (event for event in self._events if put.of_age and event.state in GRANTS)
        aged = ((event, self._age_at(event.effective_time)) for event in given)
        return frozenset(
            event
            for event, years in aged
            if years is not None and not may_have_consented(event, put.of_age, years, put.regime.child_age)
        )

    def _age_at(self, instant: Millis) -> int | None:
        """Unknown, and nothing shows a minor: taken for an adult; something does: for the youngest."""
        if isinstance(self._facts, Facts) and self._facts.born is not None:
            return age(self._facts.born, instant)
        return 0 if self._known_minor else None


def _scopes(events: Iterable[ConsentEvent]) -> tuple[str, ...]:
    """Every data category that answers speak of; `*` tells nothing apart."""
    spoken: set[str] = set()
    for event in events:
        spoken.update(event.data_scope)
        if event.notice is not None:
            spoken.update(event.notice.covers_categories)
    return tuple(sorted(spoken - {"*"}))


def _shows_a_minor(event: ConsentEvent) -> bool:
    """A guardian spoke, or a signal says that the data is a child's. No grant does: removing one must not widen."""
    if event.state in GRANTS:
        return False
    if event.actor is Actor.GUARDIAN or event.guardian_ref is not None:
        return True
    return event.signal is not None and _CHILDRENS_DATA in event.data_scope
