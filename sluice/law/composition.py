"""From the documents that people write to the packs that decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime

from sluice.consent import RecipientKind
from sluice.law.document import EntitledDocument, RuleDocument, ToggleDocument
from sluice.law.pack import OptOuts, Pack
from sluice.law.rule import Ages, Alternative, Entitled, Rule
from sluice.law.shelf import PackFile, Shelf, Words
from sluice.model import Millis

_ALWAYS_SALE = frozenset({RecipientKind.PARTNER, RecipientKind.THIRD_PARTY_SALE})
_ALL_BUT_PROCESSORS = frozenset(RecipientKind) - {RecipientKind.PROCESSOR}


def pack(file: PackFile, shelf: Shelf, words: Words, covered: Mapping[str, str]) -> Pack:
    document = file.document
    adopted = [shelf.rules[name] for name in document.adopts if name in shelf.rules]
    signals = (*document.signals, *(shelf.signals[name] for name in document.adopts if name in shelf.signals))
    transfers = document.transfers
    return Pack(
        jurisdiction=document.jurisdiction or "",
        name=document.name,
        law=document.law,
        rules=tuple(_rule(rule, home, words) for rule, home in (*((r, file) for r in document.rules), *adopted)),
        signals=signals,
        duties=(*document.duties, *(shelf.duties[name] for name in document.adopts if name in shelf.duties)),
        opt_outs=OptOuts(
            sale_reaches=_ALWAYS_SALE | frozenset(document.sale_opt_out_reaches),
            gpc_binds=any(signal.signal == "gpc" for signal in signals),
            advertising=document.advertising_opt_out,
            two_step_opt_in=document.two_step_opt_in is not None and document.two_step_opt_in.required,
        ),
        limit_permits=() if document.limit_permits is None else tuple(document.limit_permits.purposes),
        mechanisms=None if transfers is None else _countries((*transfers.free, *transfers.adequate), covered),
        instruments=frozenset() if transfers is None else frozenset(transfers.instruments),
        child_age=document.child_age,
        child_age_in=document.child_age_in,
        toggles=document.toggles,
    )


def _countries(codes: Iterable[str], covered: Mapping[str, str]) -> frozenset[str]:
    """A pack's code stands for the countries that it covers. A subdivision is no country: contracts do not name any."""
    named = frozenset(codes)
    return named | {country for country, jurisdiction in covered.items() if jurisdiction in named}


def _rule(written: RuleDocument, home: PackFile, words: Words) -> Rule:
    """`home`: the file that the rule stands in, for its date and its toggles."""
    toggle = None if written.toggle is None else home.document.toggles[written.toggle]
    return Rule(
        id=written.id,
        mode=written.mode,
        recipients=_ALL_BUT_PROCESSORS if written.recipient is None else frozenset(written.recipient),
        purposes=tuple(written.purpose),
        data_class=written.data_class,
        ages=None if written.age is None else Ages(written.age.start, written.age.below_years),
        outside=written.destination is not None,
        requires=words.canonical(written.requires),
        otherwise=written.otherwise,
        unless=words.canonical(written.unless),
        entitled=tuple(_entitled(one) for one in written.by),
        alternatives=tuple(
            Alternative(
                name=name,
                mode=one.mode,
                requires=words.canonical(one.requires),
                recipients=frozenset(RecipientKind) if one.recipient is None else frozenset(one.recipient),
                not_for=one.not_for,
            )
            for name, one in written.alt_basis.items()
        ),
        start=_start(written.start, toggle),
        end=None if written.until is None else _midnight(written.until),
        cite=written.cite,
        confidence=written.confidence,
        as_of=written.as_of or home.document.as_of,
        note=written.note,
    )


def _entitled(written: EntitledDocument) -> Entitled:
    return Entitled(Ages(written.age.start, written.age.below_years), written.actor)


NEVER = Millis(1 << 62)
"""When a rule begins whose law is not settled."""


def _start(written: date | None, toggle: ToggleDocument | None) -> Millis | None:
    """A rule under a toggle counts from the toggle's day, and never while that is not set."""
    if toggle is None:
        return None if written is None else _midnight(written)
    return NEVER if toggle.in_force_from is None else _midnight(toggle.in_force_from)


def _midnight(day: date) -> Millis:
    return Millis(int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000))


def dates(packs: Iterable[Pack]) -> Iterator[Millis]:
    for pack in packs:
        for rule in pack.rules:
            yield from (date for date in (rule.start, rule.end) if date is not None and date != NEVER)


def age_bounds(packs: Iterable[Pack]) -> set[int]:
    bounds: set[int] = set()
    for pack in packs:
        limits = [rule.ages for rule in pack.rules if rule.ages is not None]
        limits += [one.ages for rule in pack.rules for one in rule.entitled]
        bounds |= {pack.child_age, *pack.child_age_in.values(), *(one.start for one in limits)}
        bounds |= {one.below for one in limits if one.below is not None}
    return bounds
