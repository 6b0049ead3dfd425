"""Law packs as they decide: rules by jurisdiction, and which jurisdictions' laws protect a customer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from itertools import chain

from sluice import vocabulary
from sluice.consent import RecipientKind, within
from sluice.facts import FactPaths
from sluice.law.document import DutyDocument, SignalDocument, ToggleDocument
from sluice.law.rule import Confidence, Mode, Rule
from sluice.model import Millis

REST_OF_WORLD = "ZZ"
DEFAULT_RULE = Rule(
    id="default",
    mode=Mode.OPT_IN,
    recipients=frozenset(RecipientKind),
    purposes=(),
    data_class=None,
    ages=None,
    outside=False,
    requires=frozenset(),
    otherwise=None,
    unless=frozenset(),
    entitled=(),
    alternatives=(),
    start=None,
    end=None,
    cite="policy: unknown means no",
    confidence=Confidence.SEEN,
    as_of=date(2026, 11, 21),
)
"""Where a law has nothing to say about a recipient and purpose."""


@dataclass(frozen=True, slots=True)
class OptOuts:
    """How far a customer's no reaches under one law. Laws that agree in this share one answer about a customer."""

    sale_reaches: frozenset[RecipientKind]
    """Whom an opt-out of sale or sharing stops, whatever purpose it was given for (A4.7)."""
    gpc_binds: bool
    """A Global Privacy Control signal is such an opt-out, and one of advertising (A3, 5e)."""
    advertising: bool
    """An opt-out of advertising binds even where the law allows without asking (A4.5)."""
    two_step_opt_in: bool
    """Only a confirmed grant takes a no back (A4.3; 11 CCR 7028)."""


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    jurisdiction: str
    name: str
    law: str
    rules: tuple[Rule, ...]
    signals: tuple[SignalDocument, ...]
    duties: tuple[DutyDocument, ...]
    opt_outs: OptOuts
    limit_permits: tuple[str, ...]
    """Purposes that a limitation of sensitive data leaves open."""
    mechanisms: frozenset[str] | None
    """Countries that data may go to without more; None: the law restricts no destination."""
    instruments: frozenset[str]
    """Evidence that opens other destinations, beside what the rule itself names."""
    child_age: int
    child_age_in: Mapping[str, int]
    toggles: Mapping[str, ToggleDocument]

    @property
    def oldest_child_age(self) -> int:
        return max(self.child_age, *self.child_age_in.values(), 0)


@dataclass(frozen=True, slots=True)
class Regime:
    """A law as it protects one customer."""

    pack: Pack
    child_age: int
    """Below it somebody is a child there."""


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """All law packs of an installation, with what it decided about applying them."""

    packs: Mapping[str, Pack]
    covers: Mapping[str, str]
    """Jurisdiction by the code of a country that belongs to it."""
    subdivisions: Mapping[str, frozenset[str]]
    """Of countries where some have laws of their own: all there are, by country."""
    data_classes: Mapping[str, frozenset[str]]
    evidence_words: Mapping[str, str]
    """The canonical word by every spelling that contracts may use."""
    alt_bases: frozenset[str]
    dates: tuple[Millis, ...]
    """When rules begin and end."""
    age_bounds: tuple[int, ...]
    """Ages in whole years at which some rule begins or ends to apply."""
    digest: str
    """Changes exactly when a decision under these packs can change."""
    paths: FactPaths
    """Where the source states what laws ask about a customer."""
    source_priority: Mapping[str, int] = field(default_factory=dict)
    """Source systems whose answers win over others of the same time; the higher number wins (A4.14)."""

    def regimes(self, residence: str | None, collected_in: str | None, controller: str | None) -> tuple[Regime, ...]:
        """The laws that protect a customer (A3, 3): of residence, of collection, and the controller's.

        A residence that is not known, or no code, means all laws there are. A place of collection or a controller that
        is not stated adds nothing; one that is stated and no code means all laws too.
        """
        return _regimes(self, residence, collected_in, controller)

    def protecting(self, code: str | None) -> Iterable[tuple[str, int]]:
        """Jurisdictions whose law a place is under, each with its age of a child there."""
        code = (code or "").strip().upper()
        country, _, subdivision = code.partition("-")
        if country not in vocabulary.countries() | self.packs.keys() or country == REST_OF_WORLD:
            return self._of(self.packs)
        within = [jurisdiction for jurisdiction in self.packs if jurisdiction.startswith(f"{country}-")]
        if code in self.packs and (subdivision or not within):
            return self._of([code])
        if within and not subdivision:  # the strictest of them (A4.11)
            return self._of([*within, *({country} & self.packs.keys())])
        if within and code not in self.subdivisions.get(country, ()):
            return self._of([*within, *({country} & self.packs.keys()), REST_OF_WORLD])
        if country in self.packs:
            return self._of([country])
        if country in self.covers:
            pack = self.packs[self.covers[country]]
            return [(pack.jurisdiction, pack.child_age_in.get(country, pack.child_age))]
        return self._of([REST_OF_WORLD])

    def _of(self, jurisdictions: Iterable[str]) -> list[tuple[str, int]]:
        return [(jurisdiction, self.packs[jurisdiction].oldest_child_age) for jurisdiction in jurisdictions]

    def classes_of(self, category: str) -> frozenset[str]:
        """The classes that data of this category lies in, or may: a field of a broader category may hold it."""
        return _classes_of(self, category)

    def rank(self, source_system: str | None) -> int:
        return 0 if source_system is None else self.source_priority.get(source_system, 0)

    def rules_named(self, ids: Collection[str]) -> tuple[Regime, ...]:
        """Every law that has one of these rules: what can be said of a customer whose profile is not known."""
        return tuple(
            Regime(pack, pack.oldest_child_age)
            for _, pack in sorted(self.packs.items())
            if any(rule.id in ids for rule in pack.rules)
        )


_KEPT = 4096
"""Answers of the functions below that are kept: they are asked for every customer, and differ little."""


@lru_cache(_KEPT)
def _regimes(law: Law, residence: str | None, collected_in: str | None, controller: str | None) -> tuple[Regime, ...]:
    stated = [residence, *(code for code in (collected_in, controller) if code is not None)]
    ages: dict[str, int] = {}
    for jurisdiction, age in chain.from_iterable(law.protecting(code) for code in stated):
        ages[jurisdiction] = max(age, ages.get(jurisdiction, 0))
    return tuple(Regime(law.packs[jurisdiction], ages[jurisdiction]) for jurisdiction in sorted(ages))


@lru_cache(_KEPT)
def _classes_of(law: Law, category: str) -> frozenset[str]:
    return frozenset(
        name
        for name, keys in law.data_classes.items()
        if any(within(category, key) or within(key, category) for key in keys)
    )
