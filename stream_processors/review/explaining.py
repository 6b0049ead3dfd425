"""From one customer and one contract to the explanation of what becomes of the one at the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from sluice import keys, redaction
from sluice.consent import ConsentEvent
from sluice.contract import CheckedContract
from sluice.contract.sentence import condition
from sluice.decision import CategoryJudgement, Customer, Judgement, Permitted, conclude, judge
from sluice.facts import Facts, age
from sluice.judgement import Verdict
from sluice.keys import CustomerKey, NoKey
from sluice.law.pack import DEFAULT_RULE, Law
from sluice.law.rule import Rule
from sluice.model import Held, Millis, Outcome, Shared, label
from sluice.projection import Snapshot
from sluice.redaction import TRANSFORMS
from sluice.row_filter import RowFilter
from sluice.ruling import Policy
from sluice.terms import Terms
from stream_processors.review.explanation import (
    CategoryTold,
    ConditionTold,
    ConsentTold,
    DutyTold,
    Explanation,
    FactsTold,
    FieldTold,
    HoldsTold,
    LawTold,
    RuleTold,
)
from stream_processors.review.instant import written
from stream_processors.review.rulebook import MADE_UP_KEY
from stream_processors.review.subject import Subject
from stream_processors.sharing.parties import Partnership
from stream_processors.sharing.pipeline import Case, reconcile, retained_until, ruling_on

_DAY_MS = 24 * 60 * 60 * 1000
_KEY_TO_COME = "the customer's key is made when it is first shared"
"""In place of a value that nobody can tell yet."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One partner, as contract and as the processor serves it."""

    checked: CheckedContract
    partnership: Partnership
    policy: Policy
    at: Millis
    with_values: bool = False
    """Tell the customer's values too, before and after the transforms."""
    customer_key: CustomerKey = field(default=NoKey.NOT_ISSUED, repr=False)
    """The customer's own, as it is now."""

    @property
    def sealing_key(self) -> CustomerKey:
        """What to seal with: a key that is not issued yet will be there when it is needed."""
        return MADE_UP_KEY if self.customer_key is NoKey.NOT_ISSUED else self.customer_key


def explain(subject: Subject, asked: Asked) -> Explanation:
    """What would become of the customer at a partner that holds nothing yet, and why."""
    contract, terms, profile = asked.checked.contract, asked.partnership.terms, subject.profile
    row = msgspec.structs.replace(subject.row, held={})
    ruling = ruling_on(row.consents, profile, asked.policy, asked.at)
    case = Case(subject.customer, row, profile, ruling, True, asked.at, asked.policy, asked.sealing_key)
    outcome = reconcile(case, asked.partnership)
    facts = None if ruling is None else ruling.facts
    judgement = None
    if facts is not None:
        judgement = judge(terms, asked.policy.law, Customer(facts, row.consents, asked.policy.acknowledged), asked.at)
    name, reason = label(outcome)
    return Explanation(
        customer=subject.customer,
        partner=asked.checked.partner,
        name=contract.name,
        recipient=contract.recipient,
        purpose=contract.purpose,
        country=contract.country,
        at=written(asked.at),
        outcome=name,
        reason=reason or None,
        in_force=(written(terms.valid_from), None if terms.valid_until is None else written(terms.valid_until)),
        evidence=tuple(sorted(terms.evidence)),
        alt_basis=tuple(sorted(terms.alt_basis)),
        obligations=tuple(contract.obligations),
        facts=None if facts is None else _facts(facts, asked),
        laws=() if facts is None else tuple(_laws(facts, terms.controller, asked.policy.law)),
        categories=() if judgement is None else tuple(_category(one, asked.policy.law) for one in judgement.categories),
        consents=tuple(_consents(row.consents.events, judgement)),
        unreadable=row.consents.unreadable,
        row_filter=tuple(_conditions(asked.checked, profile, asked.at)) if isinstance(profile, Snapshot) else (),
        retained_until=_retention(case, terms),
        fields=() if judgement is None else tuple(_fields(subject, asked, judgement, outcome)),
        holds=_holds(subject.row.held.get(asked.checked.partner)),
        judgement=judgement,
    )


def _retention(case: Case, terms: Terms) -> str | None:
    until = retained_until(case, case.profile, terms) if isinstance(case.profile, Snapshot) else None
    return None if until is None else written(until)


def _holds(held: Held | None) -> HoldsTold | None:
    if held is None:
        return None
    ends = None if held.expires_at is None else written(held.expires_at)
    return HoldsTold(held.pseudonym, held.fields, held.contract, held.consents, held.rules, ends, held.restricted)


def _facts(facts: Facts, asked: Asked) -> FactsTold:
    return FactsTold(
        residence=facts.residence,
        collected_in=facts.collected_in,
        age=None if facts.born is None else age(facts.born, asked.at),
        restricted=facts.restricted,
        deceased=facts.deceased,
        born=facts.born if asked.with_values else None,
    )


def _laws(facts: Facts, controller: str | None, law: Law) -> Iterator[LawTold]:
    """The laws that protect the customer, each with what brings it in."""
    brought: dict[str, list[str]] = {}
    sources = [("lives in", facts.residence, law.protecting(facts.residence))]
    sources += [
        (what, place, law.protecting(place))
        for what, place in (("collected in", facts.collected_in), ("controller of", controller))
        if place is not None
    ]
    for what, place, jurisdictions in sources:
        for jurisdiction, _ in jurisdictions:
            brought.setdefault(jurisdiction, []).append(f"{what} {place}" if place else "residence not known")
    for jurisdiction, because in sorted(brought.items()):
        pack = law.packs[jurisdiction]
        duties = tuple(DutyTold(d.id, tuple(d.trigger), tuple(d.effect), d.deadline, d.cite) for d in pack.duties)
        yield LawTold(jurisdiction, pack.name, pack.law, tuple(because), duties)


def _category(judged: CategoryJudgement, law: Law) -> CategoryTold:
    return CategoryTold(
        judged.category,
        judged.fields,
        judged.denied is None,
        None if judged.denied is None else judged.denied.value,
        tuple(_rule(verdict, law) for verdict in judged.verdicts),
    )


def _rule(verdict: Verdict, law: Law) -> RuleTold:
    rule = _find(verdict, law)
    return RuleTold(
        rule=verdict.rule,
        jurisdiction=verdict.jurisdiction,
        test=verdict.mode.value,
        cite=rule.cite,
        confidence=rule.confidence.value,
        as_of=rule.as_of.isoformat(),
        passed=verdict.denied is None,
        reason=None if verdict.denied is None else verdict.denied.value,
        consents=verdict.grants or verdict.negatives,
        missing=verdict.missing,
        alternative=verdict.alternative,
        lifted_by=verdict.lifted_by,
        note=rule.note,
    )


def _find(verdict: Verdict, law: Law) -> Rule:
    return next((rule for rule in law.packs[verdict.jurisdiction].rules if rule.id == verdict.rule), DEFAULT_RULE)


def _consents(events: Iterable[ConsentEvent], judgement: Judgement | None) -> Iterator[ConsentTold]:
    verdicts = [v for category in (judgement.categories if judgement else ()) for v in category.verdicts]
    permitting = {record for verdict in verdicts for record in verdict.grants}
    refusing = {record for verdict in verdicts for record in verdict.negatives}
    for event in events:
        bearing = "refuses" if event.record_id in refusing else "decides nothing here"
        if event.record_id in permitting:
            bearing = "permits"
        yield ConsentTold(bearing, written(event.effective_time), event)


def _conditions(checked: CheckedContract, profile: Snapshot, at: Millis) -> Iterator[ConditionTold]:
    for path, wanted in checked.contract.where.items():
        yield ConditionTold(condition(path, wanted), profile.passes(RowFilter.of({path: wanted}), at))


def _refusals(judgement: Judgement, outcome: Outcome, checked: CheckedContract) -> Mapping[str, str]:
    """Why a field is withheld, by path. What stops the record after the law has allowed it stops every field alike."""
    by_law = {path: one.denied.value for one in judgement.categories if one.denied is not None for path in one.fields}
    if isinstance(outcome, Shared):
        return by_law
    all_alike = dict.fromkeys(checked.contract.shared_fields, label(outcome)[1])
    return all_alike if isinstance(conclude(judgement), Permitted) else all_alike | by_law


def _fields(subject: Subject, asked: Asked, judgement: Judgement, outcome: Outcome) -> Iterator[FieldTold]:
    """Field by field what happens; the values only when asked for."""
    profile, partnership = subject.profile, asked.partnership
    if not isinstance(profile, Snapshot):
        return
    rules, refusals = asked.checked.contract.shared_fields, _refusals(judgement, outcome, asked.checked)
    pseudonym = keys.pseudonym(partnership.keys.record, subject.customer)
    customer = redaction.Customer(subject.customer, pseudonym, asked.sealing_key)
    for path, value in partnership.projector.redacted(profile, rules, customer).items():
        source, given = profile.value(path), value.value
        told = _field(path, asked, refusals.get(path), _why_empty(path, asked, source) if given is None else None)
        yield _with_values(told, asked, source, given) if asked.with_values else told


def _field(path: str, asked: Asked, refusal: str | None, why_empty: str | None) -> FieldTold:
    outcome = "withheld" if refusal is not None else "empty" if why_empty is not None else "shared"
    rule = asked.checked.contract.shared_fields[path]
    return FieldTold(path, asked.checked.leaves[path].category, _named(rule), outcome, refusal or why_empty)


def _why_empty(path: str, asked: Asked, source: object) -> str:
    if source is None:
        return "the source has no value"
    if path in asked.partnership.projector.sealed and asked.customer_key is NoKey.DESTROYED:
        return NoKey.DESTROYED.value
    return "the transform has no answer for the value"


def _with_values(told: FieldTold, asked: Asked, source: object, given: object) -> FieldTold:
    if told.outcome != "shared":
        return msgspec.structs.replace(told, source_value=_readable(told, asked, source))
    if told.field in asked.partnership.projector.sealed and asked.customer_key is NoKey.NOT_ISSUED:
        return msgspec.structs.replace(told, source_value=_readable(told, asked, source), reason=_KEY_TO_COME)
    kept = given == source
    return msgspec.structs.replace(
        told,
        source_value=_readable(told, asked, source),
        given_value=_readable(told, asked, given) if kept else given,
    )


def _readable(told: FieldTold, asked: Asked, value: object) -> object:
    """A date as people write it; everything else is told as Avro has it."""
    if isinstance(value, int) and asked.checked.leaves[told.field].is_date:
        return written(Millis(value * _DAY_MS))[:10]
    return value


def _named(rule: object) -> str:
    return next((name for name, transform in TRANSFORMS.items() if type(rule) is transform), type(rule).__name__)
