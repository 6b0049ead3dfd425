"""An explanation as text that can be read aloud and filed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sluice.answers import GRANTS
from sluice.consent import ConsentEvent
from stream_processors.review.explanation import CategoryTold, ConsentTold, Explanation, FieldTold, RuleTold
from stream_processors.review.instant import written
from stream_processors.review.reasons import meaning

TESTS = {
    "ALLOW": "allowed unless the customer has refused this recipient",
    "OPT_OUT": "allowed after notice unless the customer has opted out",
    "LIMIT": "allowed after notice unless the customer has limited the use",
    "OPT_IN": "only with the customer's opt-in",
    "OPT_IN_EXPLICIT": "only with the customer's explicit consent",
    "FORBID": "forbidden",
}


def told(explanation: Explanation) -> str:
    """The whole chain: answer, contract, facts, laws, rules with citations, consent events, fields."""
    return "\n".join(_lines(explanation)) + "\n"


def _lines(one: Explanation) -> Iterator[str]:
    yield from _answer(one)
    until = f" until {one.in_force[1]}" if one.in_force[1] else ""
    yield f"  1. Contract: {one.recipient} in {one.country}, for {one.purpose}; in force from {one.in_force[0]}{until}"
    proven = ", ".join(one.evidence) or "nothing"
    yield f"     proves {proven}{'; switches on ' + ', '.join(one.alt_basis) if one.alt_basis else ''}"
    yield from _facts(one)
    yield "  3. Rules"
    for alike in _alike(one.categories):
        yield from _judged(alike)
    if not one.categories:
        yield "     it did not come to the law"
    yield "  4. What the customer said"
    for consent in one.consents:
        yield from _consent(consent)
    for place in one.unreadable:
        yield f"     {place}: cannot be read, and counts as a no until an operator has looked into it"
    if not one.consents and not one.unreadable:
        yield "     nothing is recorded"
    unasked = ": there is none" if one.facts is not None else ": not asked, for there is no profile"
    yield "  5. Row filter" + (unasked if not one.row_filter else "")
    for condition in one.row_filter:
        yield f"     {'passed ' if condition.passed else 'refused'}  {condition.condition}"
    if one.retained_until is not None:
        yield f"     the contract's retention ends at {one.retained_until}, counted from the source's last change"
    yield "  6. Fields"
    for field in one.fields:
        yield _field(field)
    if one.holds is not None:
        unused = ", and was told not to use it" if one.holds.restricted else ""
        yield f"  The partner holds {', '.join(one.holds.fields)} as {one.holds.pseudonym}{unused}."


def _answer(one: Explanation) -> Iterator[str]:
    because = f", because: {one.reason}" if one.reason else ""
    yield f"{one.customer} at {one.partner} ({one.name}) on {one.at}: {one.outcome.upper()}{because}"
    if means := meaning(one.reason):
        yield f"  {means}"


def _facts(one: Explanation) -> Iterator[str]:
    if one.facts is None:
        yield "  2. Customer: there is no profile that can be read"
        return
    years = one.facts.age
    age = "age not known, taken for an adult unless something shows a minor" if years is None else f"age {years}"
    suspended = [
        word for word, isset in (("restricted", one.facts.restricted), ("deceased", one.facts.deceased)) if isset
    ]
    yield f"  2. Customer: {'; '.join([age, *suspended])}. Protected by"
    for law in one.laws:
        yield f"     {law.jurisdiction:<6} {law.name} ({', '.join(law.because)}): {law.law}"


def _alike(categories: Iterable[CategoryTold]) -> Iterable[list[CategoryTold]]:
    """Categories of which the rules say the same, told together."""
    groups: dict[tuple[RuleTold, ...], list[CategoryTold]] = {}
    for category in categories:
        groups.setdefault(category.rules, []).append(category)
    return groups.values()


def _judged(categories: list[CategoryTold]) -> Iterator[str]:
    first = categories[0]
    answer = "allowed" if first.passed else f"refused: {first.reason}"
    yield f"     {', '.join(field for category in categories for field in category.fields)}: {answer}"
    for rule in first.rules:
        yield f"       {'passed ' if rule.passed else 'refused'}  {_rule(rule)}"


def _rule(rule: RuleTold) -> str:
    parts = [f"{rule.rule} ({rule.jurisdiction}): {TESTS[rule.test]}"]
    if rule.alternative:
        parts.append(f"by the alternative basis {rule.alternative}")
    if rule.lifted_by:
        parts.append(f"lifted by {rule.lifted_by}")
    if rule.reason:
        parts.append(f"{rule.reason}{': ' + ', '.join(rule.missing) if rule.missing else ''}")
    if rule.consents:
        parts.append(f"by consent record {', '.join(rule.consents)}")
    return f"{'; '.join(parts)} [{rule.cite}; {rule.confidence.replace('_', ' ')}, {rule.as_of}]"


def _consent(told: ConsentTold) -> Iterator[str]:
    event = told.event
    scope = event.recipient_scope
    whom = "those whom its notice names" if event.state in GRANTS else "everybody"
    if scope is not None and scope.partner_ids:
        whom = ", ".join(scope.partner_ids)
    elif scope is not None and scope.category is not None:
        whom = scope.category.value
    data = ", ".join(event.data_scope) or "not stated"
    yield (
        f"     {told.bearing:<20} {told.said_at} {event.state} ({event.expression}, by {event.actor}) "
        f"for {event.purpose} to {whom}, data {data}{_limits(event)} [{event.record_id}]"
    )
    notice = event.notice
    if notice is not None:
        named = ", ".join([*notice.names_recipients, *notice.names_recipient_kinds]) or "nobody"
        version = f" {notice.version}" if notice.version else ""
        yield f"{'':<26} notice {notice.id or 'without id'}{version}, naming {named}"


def _limits(event: ConsentEvent) -> str:
    """To what else the answer is limited."""
    until = None if event.valid_until is None else written(event.valid_until)
    limits = {"channel": event.channel, "brand": event.brand_id, "until": until}
    return "".join(f", {what} {limit}" for what, limit in limits.items() if limit is not None)


def _field(field: FieldTold) -> str:
    because = f": {field.reason}" if field.reason else ""
    values = ""
    if field.source_value is not None or field.given_value is not None:
        given = "" if field.given_value is None else f" -> {field.given_value!r}"
        values = f"   {field.source_value!r}{given}"
    return f"     {field.outcome:<9} {field.field} ({field.category}), {field.transform}{because}{values}"
