"""What is wrong with law packs and only shows when they are seen together, each with its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from sluice import vocabulary
from sluice.document import Loc, nearest
from sluice.law.document import PackDocument, RuleDocument
from sluice.law.pack import REST_OF_WORLD
from sluice.law.shelf import PackFile, Shelf, Words

_UNION = "EU"
"""Exceptionally reserved in ISO 3166-1, and no country."""


def misfits(file: PackFile, shelf: Shelf, words: Words) -> Iterator[str]:
    """What only shows when the packs are seen together."""
    document, problem = file.document, file.source.problem
    yield from _codes_of_no_place(file, shelf)
    yield from _ids_that_stand_twice(file)
    for at, name in enumerate(document.adopts):
        if name not in shelf:
            yield problem(("adopts", at), f"no pack has a rule `{name}`{nearest(name, sorted(shelf))}")
    if document.transfers is not None:
        yield from _unknown_evidence(("transfers", "instruments"), document.transfers.instruments, file, words)
    for at, rule in enumerate(document.rules):
        if shelf.rules[rule.id][0] is not rule:
            other = shelf.rules[rule.id][1].source.path
            yield problem(("rules", at, "id"), f"`{rule.id}` is also the id of a rule in {other}")
        yield from _misfits_of_rule(rule, ("rules", at), file, words)


def _codes_of_no_place(file: PackFile, shelf: Shelf) -> Iterator[str]:
    jurisdiction = file.document.jurisdiction
    if jurisdiction and not file.document.covers and jurisdiction != REST_OF_WORLD and not _is_place(jurisdiction):
        text = f"`{jurisdiction}` is no country of ISO 3166-1 and no subdivision of one, and the pack covers none"
        yield file.source.problem(("jurisdiction",), text)
    for key, codes in _places(file.document).items():
        for code in codes:
            if not _is_place(code) and not (key == "transfers" and code in shelf.jurisdictions):
                yield file.source.problem((key,), f"`{code}` is no country of ISO 3166-1 and no subdivision of one")


def _ids_that_stand_twice(file: PackFile) -> Iterator[str]:
    document = file.document
    for key, ids in (("signals", [s.id for s in document.signals]), ("duties", [d.id for d in document.duties])):
        yield from (file.source.problem((key,), f"`{i}` stands here twice") for i, n in Counter(ids).items() if n > 1)


def _unknown_evidence(at: Loc, named: Sequence[str], file: PackFile, words: Words) -> Iterator[str]:
    for word in named:
        if word not in words.evidence:
            near = nearest(word, sorted(words.evidence))
            yield file.source.problem(at, f"there is no evidence `{word}`{near}")


def _places(document: PackDocument) -> Mapping[str, Collection[str]]:
    """Codes that have to be countries or their subdivisions, by key."""
    transfers = document.transfers
    return {
        "covers": document.covers,
        "subdivisions": document.subdivisions,
        "child_age_in": document.child_age_in,
        "transfers": () if transfers is None else (*transfers.free, *transfers.adequate),
    }


def _is_place(code: str) -> bool:
    return code == _UNION or code.partition("-")[0] in vocabulary.countries()


def _misfits_of_rule(rule: RuleDocument, at: Loc, file: PackFile, words: Words) -> Iterator[str]:
    toggles = file.document.toggles
    named: dict[Loc, str | None] = {("data_class",): rule.data_class} | {
        ("alt_basis", name, "not_for"): alternative.not_for for name, alternative in rule.alt_basis.items()
    }
    for where, name in named.items():
        if name is not None and name not in words.classes:
            near = nearest(name, sorted(words.classes))
            yield file.source.problem((*at, *where), f"there is no data class `{name}`{near}")
    for where, evidence in _evidence_named(rule).items():
        yield from _unknown_evidence((*at, *where), evidence, file, words)
    if rule.toggle is not None and rule.toggle not in toggles:
        yield file.source.problem(
            (*at, "toggle"), f"this file has no toggle `{rule.toggle}`{nearest(rule.toggle, sorted(toggles))}"
        )


def _evidence_named(rule: RuleDocument) -> Mapping[Loc, Sequence[str]]:
    """Words of evidence by where they stand in a rule."""
    alternatives: dict[Loc, list[str]] = {
        ("alt_basis", name, "requires"): one.requires for name, one in rule.alt_basis.items()
    }
    return {("requires",): rule.requires, ("unless",): rule.unless, **alternatives}


def gaps_and_overlaps(found: Sequence[PackFile]) -> Iterator[str]:
    jurisdictions = [file.document.jurisdiction for file in found if file.document.jurisdiction]
    if REST_OF_WORLD not in jurisdictions:
        yield f"no pack has the jurisdiction {REST_OF_WORLD}, which holds where no other does"
    claimed = Counter((*jurisdictions, *(code for file in found for code in file.document.covers)))
    countries = [sorted({code.partition("-")[0] for code in file.document.subdivisions}) for file in found]
    yield from (f"subdivisions of {', '.join(names)} stand in one list" for names in countries if len(names) > 1)
    listed = Counter(country for names in countries for country in names)
    yield from (f"more than one pack lists the subdivisions of {name}" for name, times in listed.items() if times > 1)
    yield from (f"more than one pack is about {code}" for code, times in claimed.items() if times > 1)
