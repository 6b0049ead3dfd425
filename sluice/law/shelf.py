"""All files of a folder of law packs side by side: what each may adopt from the others, and the words they share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sluice.document import Source
from sluice.law.document import DutyDocument, PackDocument, RuleDocument, SignalDocument


@dataclass(frozen=True, slots=True)
class Words:
    """What packs may name beside each other's rules."""

    classes: Mapping[str, frozenset[str]]
    """Data category keys by class."""
    evidence: Mapping[str, str]
    """The canonical word by every word there is."""

    def canonical(self, written: Iterable[str]) -> frozenset[str]:
        return frozenset(self.evidence[word] for word in written)


@dataclass(frozen=True, slots=True)
class PackFile:
    document: PackDocument
    source: Source


@dataclass(frozen=True, slots=True)
class Shelf:
    """Everything that packs may adopt, by id."""

    rules: Mapping[str, tuple[RuleDocument, PackFile]]
    signals: Mapping[str, SignalDocument]
    duties: Mapping[str, DutyDocument]
    jurisdictions: frozenset[str]

    def __contains__(self, name: str) -> bool:
        return name in self.rules or name in self.signals or name in self.duties

    def __iter__(self) -> Iterator[str]:
        yield from (*self.rules, *self.signals, *self.duties)


def shelf_of(found: Sequence[PackFile]) -> Shelf:
    rules: dict[str, tuple[RuleDocument, PackFile]] = {}
    signals: dict[str, SignalDocument] = {}
    duties: dict[str, DutyDocument] = {}
    for file in found:
        rules |= {rule.id: (rule, file) for rule in file.document.rules}
        signals |= {signal.id: signal for signal in file.document.signals}
        duties |= {duty.id: duty for duty in file.document.duties}
    return Shelf(rules, signals, duties, frozenset(file.document.jurisdiction or "" for file in found))
