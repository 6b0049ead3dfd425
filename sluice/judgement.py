"""One rule, one question, what the customer said: passed or refused, and why. Pure (DOMAIN A3, 6; A4)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from sluice.answers import NEGATIVES, Answers, Question
from sluice.consent import Actor, ConsentEvent, Expression, within
from sluice.law.pack import Pack, Regime
from sluice.law.rule import GUARDIAN_CONSENT, NOTICE, NOTICE_NAMES_RECIPIENT, Mode, Rule
from sluice.model import Millis, Reason
from sluice.terms import Terms

_OPT_IN = frozenset({Expression.EXPLICIT, Expression.OPT_IN})
_CONSENT = (None, "consent")
"""Lawful bases of a record that is a consent: one on another basis was not asked for, whatever it says."""
_NOTICES = frozenset({NOTICE, NOTICE_NAMES_RECIPIENT})


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one rule says to one question."""

    rule: str
    jurisdiction: str
    mode: Mode
    """The test that was put, which may be that of an alternative basis."""
    denied: Reason | None = None
    grants: tuple[str, ...] = ()
    """Consent records that it rests on."""
    negatives: tuple[str, ...] = ()
    """Consent records that deny."""
    missing: tuple[str, ...] = ()
    """Evidence that the contract lacks."""
    alternative: str | None = None
    """The alternative basis that was used."""
    lifted_by: str | None = None
    """Evidence that lifts the rule."""
    until: Millis | None = None
    """When the grant that it rests on ends."""


@dataclass(frozen=True, slots=True)
class Test:
    """What a rule asks of one contract: its own test, or that of an alternative that the contract switched on."""

    mode: Mode
    requires: frozenset[str]
    alternative: str | None = None


def test_of(rule: Rule, terms: Terms, classes: frozenset[str]) -> Test:
    """An alternative counts only when it is switched on and everything it requires is evidenced (A3, 4)."""
    proven = evidence(terms)
    for one in rule.alternatives:
        if (
            one.name in terms.alt_basis
            and one.requires <= proven
            and terms.kind in one.recipients
            and one.not_for not in classes
        ):
            return Test(one.mode, one.requires, one.name)
    return Test(rule.mode, rule.requires)


def evidence(terms: Terms) -> frozenset[str]:
    """What the contract proves; a notice that names the recipient names its kind."""
    return terms.evidence | {NOTICE} if NOTICE_NAMES_RECIPIENT in terms.evidence else terms.evidence


def goes_outside(terms: Terms, pack: Pack) -> bool:
    """Whether the destination is one for which the law has no mechanism of its own (DOMAIN A4.11)."""
    return pack.mechanisms is not None and terms.country not in pack.mechanisms


@dataclass(frozen=True, slots=True)
class Hearing:
    """Before which law a question is put, and what the customer says to it."""

    question: Question
    answers: Answers
    regime: Regime
    age: int | None
    """Of the customer now, in whole years; None: unknown, taken for an adult."""


def judge(rule: Rule, test: Test, hearing: Hearing) -> Verdict:
    """1. What lifts the rule. 2. What the contract has to prove. 3. The test. 4. The notice that passing it needs."""
    pack, terms = hearing.regime.pack, hearing.question.terms
    verdict = Verdict(rule.id, pack.jurisdiction, test.mode, alternative=test.alternative)
    lifting = (rule.unless | pack.instruments if rule.outside else rule.unless) & terms.evidence
    if lifting:  # (1)
        return replace(verdict, lifted_by=min(lifting))
    missing = test.requires - evidence(terms) - notices(hearing.answers.grants, terms)
    if missing and test.alternative is None and rule.otherwise is not None:  # (2)
        verdict, missing = replace(verdict, mode=rule.otherwise), frozenset()
    elif missing - _NOTICES:
        return replace(verdict, denied=Reason.EVIDENCE_MISSING, missing=tuple(sorted(missing)))
    put = _Case(rule, hearing, verdict).put()  # (3)
    if put.denied is None and missing:  # (4)
        return replace(put, denied=Reason.NOTICE_MISSING, missing=tuple(sorted(missing)))
    return put


def notices(grants: Iterable[ConsentEvent], terms: Terms) -> frozenset[str]:
    """What the notices prove under which this customer's grants in force were given."""
    found: set[str] = set()
    for notice in (grant.notice for grant in grants if grant.notice is not None):
        if terms.partner in notice.names_recipients:
            found |= _NOTICES
        if terms.kind in notice.names_recipient_kinds:
            found.add(NOTICE)
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class _Case:
    rule: Rule
    hearing: Hearing
    verdict: Verdict
    """As it stands before the test: passed."""

    def put(self) -> Verdict:
        """The table of DOMAIN A3 (6)."""
        said = self.hearing.answers
        match self.verdict.mode:
            case Mode.ALLOW:
                return self._refused(said.direct) or self.verdict
            case Mode.LIMIT if self._is_left_open():
                return self._open() or self._told()
            case Mode.OPT_OUT | Mode.LIMIT:
                return self._refused(said.negatives) or self._open() or self._told()
            case Mode.OPT_IN:
                return self._refused(said.negatives) or self._granted(_OPT_IN)
            case Mode.OPT_IN_EXPLICIT:
                return self._refused(said.negatives) or self._granted({Expression.EXPLICIT})
            case Mode.FORBID:
                return self._forbidden()

    def _denied(self, reason: Reason) -> Verdict:
        return replace(self.verdict, denied=reason)

    def _resting_on(self, grant: ConsentEvent) -> Verdict:
        return replace(self.verdict, grants=(grant.record_id,), until=grant.valid_until)

    def _refused(self, negatives: Sequence[ConsentEvent]) -> Verdict | None:
        if not negatives:
            return None
        records = tuple(sorted({no.record_id for no in negatives}))
        return replace(self.verdict, denied=NEGATIVES[negatives[0].state], negatives=records)

    def _open(self) -> Verdict | None:
        """A question that was asked and not answered is no silence (A4.2)."""
        return self._denied(Reason.UNANSWERED) if self.hearing.answers.unanswered else None

    def _told(self) -> Verdict:
        """Silence is enough only of who was told; a grant is more than silence."""
        if self.hearing.answers.grants:
            return self._resting_on(self.hearing.answers.grants[0])
        noticed = NOTICE in evidence(self.hearing.question.terms)
        return self.verdict if noticed else self._denied(Reason.NOTICE_MISSING)

    def _is_left_open(self) -> bool:
        """Purposes that a limitation does not reach (for California 11 CCR 7027(m))."""
        return any(within(self.hearing.question.terms.purpose, own) for own in self.hearing.regime.pack.limit_permits)

    def _granted(self, expressions: Collection[Expression]) -> Verdict:
        actor = self._entitled()
        spoken = [g for g in self.hearing.answers.grants if g.expression in expressions and g.lawful_basis in _CONSENT]
        for grant in spoken:
            if actor is None or grant.actor is actor:
                return self._resting_on(grant)
        if spoken:
            return self._denied(Reason.NOT_ENTITLED_TO_CONSENT)
        if self.hearing.answers.grants:
            return self._denied(Reason.GRANT_NOT_EXPRESS)
        return self._denied(self.hearing.answers.why_none)

    def _entitled(self) -> Actor | None:
        """Who alone may consent at this age; None: whoever may at all."""
        if self.hearing.age is None:
            return None
        holding = (
            one.actor for one in self.rule.entitled if one.ages.holds(self.hearing.age, self.hearing.regime.child_age)
        )
        return next(holding, None)

    def _forbidden(self) -> Verdict:
        if self.rule.outside:
            return self._denied(Reason.TRANSFER_NOT_COVERED)
        if GUARDIAN_CONSENT not in self.rule.unless:
            return self._denied(Reason.FORBIDDEN_BY_LAW)
        if refused := self._refused(self.hearing.answers.negatives):
            return refused
        for grant in self.hearing.answers.grants:
            if grant.actor is Actor.GUARDIAN and grant.expression in _OPT_IN:
                return self._resting_on(grant)
        return self._denied(Reason.GUARDIAN_CONSENT_MISSING)


def may_have_consented(grant: ConsentEvent, rules: Iterable[Rule], age: int, child_age: int) -> bool:
    """Whether somebody of this age could give this grant when it was given (A4.8)."""
    for rule in rules:
        if rule.ages is None or not rule.ages.holds(age, child_age):
            continue
        if rule.mode is Mode.FORBID:
            if GUARDIAN_CONSENT not in rule.unless or grant.actor is not Actor.GUARDIAN:
                return False
        elif any(e.ages.holds(age, child_age) and grant.actor is not e.actor for e in rule.entitled):
            return False
    return True
