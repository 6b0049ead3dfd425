"""Law packs from their folder: all of them or none. What does not load stops the program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from hashlib import blake2b
from importlib.resources import as_file, files
from pathlib import Path

from sluice import vocabulary
from sluice.document import DocumentError, load, nearest
from sluice.facts import AS_IN_OUR_PROFILE, FactPaths
from sluice.law import composition
from sluice.law.document import ClassesDocument, EvidenceDocument, PackDocument
from sluice.law.misfits import gaps_and_overlaps, misfits
from sluice.law.pack import Law
from sluice.law.rule import GUARDIAN_CONSENT
from sluice.law.shelf import PackFile, Words, shelf_of

DATA_CLASSES = "data_classes.yaml"
EVIDENCE = "evidence.yaml"


def shipped_law(source_priority: Sequence[str] = (), paths: FactPaths = AS_IN_OUR_PROFILE) -> Law:
    """The packs that come with Sluice: `sluice/law/packs`."""
    with shipped_packs() as folder:
        return load_law(folder, source_priority, paths)


def shipped_packs() -> AbstractContextManager[Path]:
    """The folder of the packs that come with Sluice."""
    return as_file(files("sluice.law").joinpath("packs"))


def load_law(folder: Path, source_priority: Sequence[str] = (), paths: FactPaths = AS_IN_OUR_PROFILE) -> Law:
    """All packs of a folder. `source_priority`: source systems, the most trusted first.

    Raises DocumentError with every problem of every file.
    """
    if not folder.is_dir():
        raise DocumentError(f"{folder}: there is no folder of law packs here; leave the setting out for those shipped.")
    words = Words(_classes(folder / DATA_CLASSES), _evidence(folder / EVIDENCE))
    found = _documents(path for path in _files(folder) if path.name not in (DATA_CLASSES, EVIDENCE))
    shelf = shelf_of(found)
    problems = [problem for file in found for problem in misfits(file, shelf, words)]
    problems += [f"{folder}: {problem}" for problem in gaps_and_overlaps(found)]
    if problems:
        raise DocumentError("\n".join(problems))
    covered = {code: file.document.jurisdiction or "" for file in found for code in file.document.covers}
    made = (composition.pack(file, shelf, words, covered) for file in found if file.document.jurisdiction)
    packs = {pack.jurisdiction: pack for pack in made}
    subdivisions = [file.document.subdivisions for file in found if file.document.subdivisions]
    return Law(
        packs=packs,
        covers=covered,
        subdivisions={codes[0].partition("-")[0]: frozenset(codes) for codes in subdivisions},
        data_classes=words.classes,
        evidence_words={word: means for word, means in words.evidence.items() if means != GUARDIAN_CONSENT},
        alt_bases=frozenset(a.name for pack in packs.values() for rule in pack.rules for a in rule.alternatives),
        dates=tuple(sorted(composition.dates(packs.values()))),
        age_bounds=tuple(sorted(composition.age_bounds(packs.values()))),
        digest=_digest(folder, source_priority, paths),
        paths=paths,
        source_priority={name: len(source_priority) - at for at, name in enumerate(source_priority)},
    )


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))


def _digest(folder: Path, source_priority: Sequence[str], paths: FactPaths) -> str:
    """Over the files as they are: a comment changes it too, which costs a comparison and never a wrong decision."""
    total = blake2b("\n".join((*source_priority, str(paths))).encode(), digest_size=16)
    for path in _files(folder):
        total.update(path.name.encode() + b"\0" + blake2b(path.read_bytes()).digest())
    return total.hexdigest()


def _documents(paths: Iterable[Path]) -> list[PackFile]:
    found, problems = [], []
    for path in paths:
        try:
            found.append(PackFile(*load(path, PackDocument)))
        except DocumentError as error:
            problems.append(str(error))
    if problems:
        raise DocumentError("\n".join(problems))
    return found


def _evidence(path: Path) -> Mapping[str, str]:
    """The folder's own words, else those that come with Sluice."""
    if not path.exists():
        with as_file(files("sluice.law").joinpath("packs", EVIDENCE)) as shipped:
            return _evidence(shipped)
    document, _ = load(path, EvidenceDocument)
    return {word: word for word in document.words} | document.aliases


def _classes(path: Path) -> Mapping[str, frozenset[str]]:
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
