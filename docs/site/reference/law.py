"""The law packs that are shipped: for each jurisdiction its rules, in the order in which they are put."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime

from docs.site.markdown import code, codes, items, page, prose, table
from sluice.consent import RecipientKind
from sluice.document import load
from sluice.law.composition import NEVER
from sluice.law.document import DutyDocument, EvidenceDocument
from sluice.law.loading import EVIDENCE, shipped_law, shipped_packs
from sluice.law.minimisation import MinimisationRule, shipped_minimisation
from sluice.law.pack import DEFAULT_RULE, Law, Pack
from sluice.law.rule import Ages, Alternative, Mode, Rule
from sluice.model import Millis
from stream_processors.review.telling import TESTS


def law() -> str:
    """The page of what all packs share."""
    found = shipped_law()
    packs = sorted(found.packs.values(), key=lambda pack: pack.jurisdiction)
    return page(
        "# Law packs",
        "An engineering reading of the law, not legal advice. Each rule says whether somebody has seen its text. "
        "Every rule that concerns recipient, purpose, data and age is put, each by itself; one refusal refuses: "
        "[deciding](../../docs/deciding.md).",
        table(
            ("jurisdiction", "law", "rules"),
            [(f"[{prose(one.name)}]({one.jurisdiction}.md)", prose(one.law), str(len(one.rules))) for one in packs],
        ),
        "Where a law has nothing to say about a recipient and purpose:",
        _rule(DEFAULT_RULE),
        "## Tests",
        table(("test", "passed"), [(code(test), prose(meaning)) for test, meaning in TESTS.items()]),
        "## Evidence",
        "What rules may require and contracts may prove.",
        table(("word", "what a contract's files have to show"), _evidence()),
        "## Data classes",
        "What a rule's class of data holds, each with everything below it.",
        table(("class", "data categories"), [(code(n), codes(sorted(keys))) for n, keys in found.data_classes.items()]),
        "## Data minimisation",
        "Which data a recipient may be given for a purpose, whatever customers have agreed to. A contract that lists "
        "another is refused.",
        *(items(_minimisation(rule)) for rule in shipped_minimisation().rules),
    )


def jurisdictions() -> Mapping[str, tuple[str, str]]:
    """Each one's name and page, by its code."""
    found = shipped_law()
    return {code: (pack.name, _jurisdiction(pack, found)) for code, pack in sorted(found.packs.items())}


def _jurisdiction(pack: Pack, found: Law) -> str:
    return page(
        f"# {prose(pack.name)}",
        prose(f"{pack.law}."),
        items(_facts(pack, found)),
        "## Rules",
        *(part for rule in pack.rules for part in (f"### {rule.id}", _rule(rule))),
        "## Signals" if pack.signals else "",
        items(
            f"{code(one.id)}: {one.signal}{_source(one.cite, one.confidence)}{_note(one.note)}" for one in pack.signals
        ),
        "## Duties" if pack.duties else "",
        "What the law asks beside the decision. `sluice explain --json` tells them; nothing acts on them."
        if pack.duties
        else "",
        table(("duty", "when", "what", "by when", "source"), map(_duty, pack.duties)) if pack.duties else "",
    )


def _facts(pack: Pack, found: Law) -> Iterator[str]:
    yield f"Code: {code(pack.jurisdiction)}"
    if covers := sorted(place for place, jurisdiction in found.covers.items() if jurisdiction == pack.jurisdiction):
        yield f"Holds in: {codes(covers)}"
    elsewhere = "".join(f", {years} in {code(place)}" for place, years in sorted(pack.child_age_in.items()))
    yield f"A child is below: {pack.child_age}{elsewhere}"
    if pack.opt_outs.sale_reaches:
        yield f"An opt-out of sale or sharing stops: {_kinds(pack.opt_outs.sale_reaches)}"
    if pack.opt_outs.gpc_binds:
        yield "A Global Privacy Control signal is an opt-out of sale, sharing and advertising"
    if pack.opt_outs.advertising:
        yield "An opt-out of advertising binds even where the law allows without asking"
    if pack.opt_outs.two_step_opt_in:
        yield "Only a confirmed grant takes a no back"
    if pack.limit_permits:
        yield f"A limitation of sensitive data leaves open: {codes(pack.limit_permits)}"
    if pack.mechanisms is not None:
        yield f"Destinations that need no further mechanism: {codes(sorted(pack.mechanisms))}"
    if pack.instruments:
        yield f"Other destinations also with: {codes(sorted(pack.instruments))}"
    for name, toggle in pack.toggles.items():
        since = f"counts from {toggle.in_force_from}" if toggle.in_force_from else "does not count yet"
        yield f"Not settled: {code(name)}, {since}. {prose(toggle.status)} ({prose(toggle.cite)})"


def _rule(rule: Rule) -> str:
    return items(_said(rule))


def _said(rule: Rule) -> Iterator[str]:
    yield f"Asks: {_test(rule.mode)}"
    yield from _concerned(rule)
    if rule.requires:
        yield f"Requires: {codes(sorted(rule.requires))}"
    if rule.otherwise is not None:
        yield f"Without that: {_test(rule.otherwise)}"
    if rule.unless:
        yield f"Lifted by: {codes(sorted(rule.unless))}"
    for entitled in rule.entitled:
        yield f"Who may consent, {_ages(entitled.ages)}: {prose(entitled.actor.value)}"
    yield from map(_alternative, rule.alternatives)
    yield from _times(rule)
    yield f"Source: {prose(rule.cite)}; {_seen(rule.confidence)}, {rule.as_of}{_note(rule.note)}"


def _test(mode: Mode) -> str:
    return f"{code(mode)}, {prose(TESTS[mode])}"


def _concerned(rule: Rule) -> Iterator[str]:
    yield f"To: {_kinds(rule.recipients)}"
    yield f"For: {codes(rule.purposes) or 'every purpose'}"
    if rule.data_class is not None:
        yield f"Data: {code(rule.data_class)}"
    if rule.ages is not None:
        yield f"Ages: {_ages(rule.ages)}"
    if rule.outside:
        yield "Where: destinations for which the law has no mechanism"


def _alternative(other: Alternative) -> str:
    never = f", never for {code(other.not_for)}" if other.not_for else ""
    return (
        f"Alternative basis {code(other.name)}: {_test(other.mode)}; to {_kinds(other.recipients)}; "
        f"requires {codes(sorted(other.requires))}{never}"
    )


def _times(rule: Rule) -> Iterator[str]:
    if rule.start is not None:
        yield f"From: {'not settled, so it does not count yet' if rule.start == NEVER else _day(rule.start)}"
    if rule.end is not None:
        yield f"Until: {_day(rule.end)}"


def _ages(ages: Ages) -> str:
    below = "the age of a child" if ages.below is None else str(ages.below)
    return f"below {below}" if ages.start == 0 else f"from {ages.start}, below {below}"


def _kinds(kinds: Collection[RecipientKind]) -> str:
    return codes(kind.value for kind in RecipientKind if kind in kinds)


def _day(instant: Millis) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).date().isoformat()


def _seen(confidence: str) -> str:
    return confidence.replace("_", " ")


def _source(cite: str, confidence: str) -> str:
    return f" ({prose(cite)}; {_seen(confidence)})"


def _note(note: str | None) -> str:
    return f"; note: {prose(note)}" if note else ""


def _duty(duty: DutyDocument) -> tuple[str, str, str, str, str]:
    kept = [] if duty.ledger_years is None else [f"kept for {duty.ledger_years} years"]
    since = [] if duty.start is None else [f"from {duty.start}"]
    by = "; ".join(filter(None, [duty.deadline, *since, *kept]))
    what = f"{codes(duty.effect)}{_note(duty.note)}"
    return code(duty.id), codes(duty.trigger), what, prose(by), f"{prose(duty.cite)}; {_seen(duty.confidence)}"


def _evidence() -> Iterator[tuple[str, str]]:
    with shipped_packs() as folder:
        document, _ = load(folder / EVIDENCE, EvidenceDocument)
    for word, meaning in document.words.items():
        also = [alias for alias, means in document.aliases.items() if means == word]
        yield code(word), prose(meaning) + (f" Also written {codes(also)}." if also else "")


def _minimisation(rule: MinimisationRule) -> Iterator[str]:
    yield f"For: {code(rule.purpose) if rule.purpose else 'every purpose'}, to {_kinds(rule.recipient)}"
    if rule.only:
        yield f"Only: {codes(rule.only)}"
    if rule.never:
        yield f"Never: {codes(rule.never)}"
    for category, transforms in rule.coarse.items():
        yield f"{code(category)} only through: {codes(transforms)}"
    yield f"Source: {prose(rule.cite)}; {_seen(rule.confidence)}"
