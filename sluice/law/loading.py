"""Law packs from their folder: all of them or none. What does not load stops the program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import blake2b
from importlib.resources import as_file, files
from pathlib import Path

from sluice import vocabulary
from sluice.consent import RecipientKind
from sluice.document import DocumentError, Loc, Source, load, nearest
from sluice.facts import AS_IN_OUR_PROFILE, FactPaths
from sluice.law.document import (
    ClassesDocument,
    DutyDocument,
    EntitledDocument,
    PackDocument,
    RuleDocument,
    SignalDocument,
    ToggleDocument,
)
from sluice.law.pack import REST_OF_WORLD, Law, OptOuts, Pack
from sluice.law.rule import GUARDIAN_CONSENT, NOTICE, NOTICE_NAMES_RECIPIENT, Ages, Alternative, Entitled, Rule
from sluice.model import Millis

DATA_CLASSES = "data_classes.yaml"
_ALWAYS_SALE = frozenset({RecipientKind.PARTNER, RecipientKind.THIRD_PARTY_SALE})
_ALL_BUT_PROCESSORS = frozenset(RecipientKind) - {RecipientKind.PROCESSOR}
_NOTICES = ("notice_recipient", "notice_at_collection", "principal_notice", "clear_notice")
"""The statutes' own terms for `notice` (A4.10)."""

Classes = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class _File:
    document: PackDocument
    source: Source


@dataclass(frozen=True, slots=True)
class _Shelf:
    """Everything that packs may adopt, by id."""

    rules: Mapping[str, tuple[RuleDocument, _File]]
    signals: Mapping[str, SignalDocument]
    duties: Mapping[str, DutyDocument]

    def __contains__(self, name: str) -> bool:
        return name in self.rules or name in self.signals or name in self.duties

    def __iter__(self) -> Iterator[str]:
        yield from (*self.rules, *self.signals, *self.duties)


def shipped_law(source_priority: Sequence[str] = (), paths: FactPaths = AS_IN_OUR_PROFILE) -> Law:
    """The packs that come with Sluice: `sluice/law/packs`."""
    with as_file(files("sluice.law").joinpath("packs")) as folder:
        return load_law(folder, source_priority, paths)


def load_law(folder: Path, source_priority: Sequence[str] = (), paths: FactPaths = AS_IN_OUR_PROFILE) -> Law:
    """All packs of a folder. `source_priority`: source systems, the most trusted first.

    Raises DocumentError with every problem of every file.
    """
    if not folder.is_dir():
        raise DocumentError(f"{folder}: there is no folder of law packs here; leave the setting out for those shipped.")
    classes = _classes(folder / DATA_CLASSES)
    found = _documents(path for path in _files(folder) if path.name != DATA_CLASSES)
    shelf = _shelf(found)
    problems = [problem for file in found for problem in _misfits(file, shelf, classes)]
    problems += [f"{folder}: {problem}" for problem in _gaps_and_overlaps(found)]
    if problems:
        raise DocumentError("\n".join(problems))
    covered = {code: file.document.jurisdiction or "" for file in found for code in file.document.covers}
    packs = {file.document.jurisdiction: _pack(file, shelf, covered) for file in found if file.document.jurisdiction}
    subdivisions = [file.document.subdivisions for file in found if file.document.subdivisions]
    return Law(
        packs=packs,
        covers=covered,
        subdivisions={codes[0].partition("-")[0]: frozenset(codes) for codes in subdivisions},
        data_classes=classes,
        evidence_words=_evidence_words(packs.values()),
        alt_bases=frozenset(a.name for pack in packs.values() for rule in pack.rules for a in rule.alternatives),
        dates=tuple(sorted(_dates(packs.values()))),
        age_bounds=tuple(sorted(_age_bounds(packs.values()))),
        digest=_digest(folder, source_priority, paths),
        paths=paths,
        source_priority={name: len(source_priority) - at for at, name in enumerate(source_priority)},
    )


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))


def _gaps_and_overlaps(found: Sequence[_File]) -> Iterator[str]:
    jurisdictions = [file.document.jurisdiction for file in found if file.document.jurisdiction]
    if REST_OF_WORLD not in jurisdictions:
        yield f"no pack has the jurisdiction {REST_OF_WORLD}, which holds where no other does"
    claimed = Counter((*jurisdictions, *(code for file in found for code in file.document.covers)))
    yield from (f"more than one pack is about {code}" for code, times in claimed.items() if times > 1)


def _digest(folder: Path, source_priority: Sequence[str], paths: FactPaths) -> str:
    """Over the files as they are: a comment changes it too, which costs a comparison and never a wrong decision."""
    total = blake2b("\n".join((*source_priority, str(paths))).encode(), digest_size=16)
    for path in _files(folder):
        total.update(path.name.encode() + b"\0" + blake2b(path.read_bytes()).digest())
    return total.hexdigest()


def _documents(paths: Iterable[Path]) -> list[_File]:
    found, problems = [], []
    for path in paths:
        try:
            found.append(_File(*load(path, PackDocument)))
        except DocumentError as error:
            problems.append(str(error))
    if problems:
        raise DocumentError("\n".join(problems))
    return found


def _classes(path: Path) -> Classes:
    document, source = load(path, ClassesDocument)
    known = vocabulary.data_categories()
    problems = [
        source.problem(
            ("classes", name, at), f"there is no data category or class `{key}`{nearest(key, sorted(known))}"
        )
        for name, keys in document.classes.items()
        for at, key in enumerate(keys)
        if key not in known and key not in document.classes
    ]
    if problems:
        raise DocumentError("\n".join(problems))
    try:
        return {name: frozenset(_expanded(name, document.classes)) for name in document.classes}
    except RecursionError:
        raise DocumentError(source.problem(("classes",), "a class contains itself")) from None


def _expanded(name: str, classes: Mapping[str, list[str]]) -> Iterator[str]:
    for key in classes[name]:
        yield from _expanded(key, classes) if key in classes else (key,)


def _shelf(found: Iterable[_File]) -> _Shelf:
    rules: dict[str, tuple[RuleDocument, _File]] = {}
    signals: dict[str, SignalDocument] = {}
    duties: dict[str, DutyDocument] = {}
    for file in found:
        rules |= {rule.id: (rule, file) for rule in file.document.rules}
        signals |= {signal.id: signal for signal in file.document.signals}
        duties |= {duty.id: duty for duty in file.document.duties}
    return _Shelf(rules, signals, duties)


def _misfits(file: _File, shelf: _Shelf, classes: Classes) -> Iterator[str]:
    """What only shows when the packs are seen together."""
    document, problem = file.document, file.source.problem
    for key, codes in _places(document).items():
        for code in codes:
            if code.partition("-")[0] not in vocabulary.countries():
                yield problem((key,), f"`{code}` is no country of ISO 3166-1 and no subdivision of one")
    for at, name in enumerate(document.adopts):
        if name not in shelf:
            yield problem(("adopts", at), f"no pack has a rule `{name}`{nearest(name, sorted(shelf))}")
    for at, rule in enumerate(document.rules):
        if shelf.rules[rule.id][0] is not rule:
            other = shelf.rules[rule.id][1].source.path
            yield problem(("rules", at, "id"), f"`{rule.id}` is also the id of a rule in {other}")
        yield from _misfits_of_rule(rule, ("rules", at), file, classes)


def _places(document: PackDocument) -> Mapping[str, Collection[str]]:
    """Codes that have to be countries or their subdivisions, by key."""
    return {"covers": document.covers, "subdivisions": document.subdivisions, "child_age_in": document.child_age_in}


def _misfits_of_rule(rule: RuleDocument, at: Loc, file: _File, classes: Classes) -> Iterator[str]:
    toggles = file.document.toggles
    named = {("data_class",): rule.data_class} | {
        ("alt_basis", name, "not_for"): alternative.not_for for name, alternative in rule.alt_basis.items()
    }
    for where, name in named.items():
        if name is not None and name not in classes:
            yield file.source.problem((*at, *where), f"there is no data class `{name}`{nearest(name, sorted(classes))}")
    if rule.toggle is not None and rule.toggle not in toggles:
        yield file.source.problem(
            (*at, "toggle"), f"this file has no toggle `{rule.toggle}`{nearest(rule.toggle, sorted(toggles))}"
        )


def _pack(file: _File, shelf: _Shelf, covered: Mapping[str, str]) -> Pack:
    document = file.document
    adopted = [shelf.rules[name] for name in document.adopts if name in shelf.rules]
    signals = (*document.signals, *(shelf.signals[name] for name in document.adopts if name in shelf.signals))
    transfers = document.transfers
    return Pack(
        jurisdiction=document.jurisdiction or "",
        name=document.name,
        law=document.law,
        rules=tuple(_rule(rule, home) for rule, home in (*((r, file) for r in document.rules), *adopted)),
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


def _rule(written: RuleDocument, home: _File) -> Rule:
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
        requires=frozenset(map(canonical, written.requires)),
        otherwise=written.otherwise,
        unless=frozenset(map(canonical, written.unless)),
        entitled=tuple(_entitled(one) for one in written.by),
        alternatives=tuple(
            Alternative(
                name=name,
                mode=one.mode,
                requires=frozenset(map(canonical, one.requires)),
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


_NEVER = Millis(1 << 62)


def _start(written: date | None, toggle: ToggleDocument | None) -> Millis | None:
    """A rule under a toggle counts from the toggle's day, and never while that is not set."""
    if toggle is None:
        return None if written is None else _midnight(written)
    return _NEVER if toggle.in_force_from is None else _midnight(toggle.in_force_from)


def _midnight(day: date) -> Millis:
    return Millis(int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000))


def canonical(word: str) -> str:
    """Evidence as rules name it: the statutes' own terms for the notice mean `notice` (A4.10)."""
    return NOTICE if word in _NOTICES else word


def _dates(packs: Iterable[Pack]) -> Iterator[Millis]:
    for pack in packs:
        for rule in pack.rules:
            yield from (date for date in (rule.start, rule.end) if date is not None and date != _NEVER)


def _age_bounds(packs: Iterable[Pack]) -> set[int]:
    bounds: set[int] = set()
    for pack in packs:
        limits = [rule.ages for rule in pack.rules if rule.ages is not None]
        limits += [one.ages for rule in pack.rules for one in rule.entitled]
        bounds |= {pack.child_age, *pack.child_age_in.values(), *(one.start for one in limits)}
        bounds |= {one.below for one in limits if one.below is not None}
    return bounds


def _evidence_words(packs: Iterable[Pack]) -> Mapping[str, str]:
    words = {NOTICE, NOTICE_NAMES_RECIPIENT, *_NOTICES}
    for pack in packs:
        words |= pack.instruments
        for rule in pack.rules:
            words |= rule.requires | rule.unless | {w for a in rule.alternatives for w in a.requires}
    return {word: canonical(word) for word in sorted(words - {GUARDIAN_CONSENT})}
