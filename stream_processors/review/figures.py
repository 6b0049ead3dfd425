"""The figures of a simulation: counted shard by shard, then added up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from stream_processors.review.comparison import Change
from stream_processors.review.rulebook import Answer


@dataclass(slots=True)
class PartnerFigures:
    """Of one partner, in customers."""

    shared: int = 0
    stopped: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Not shared, by outcome and reason."""
    fields: Counter[str] = field(default_factory=Counter)
    """Whom each field reaches."""
    kept_back: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Of the customers who are shared: from whom a field is kept, by field and reason."""
    changes: Counter[tuple[Change, str]] = field(default_factory=Counter)
    """By kind, and the reason on the side that does not share; empty when both do."""
    gained: Counter[str] = field(default_factory=Counter)
    """To how many more customers' records a field would belong."""
    lost: Counter[str] = field(default_factory=Counter)

    def count(self, answer: Answer) -> None:
        if answer.is_shared:
            self.shared += 1
            self.fields.update(answer.fields)
        else:
            self.stopped[answer.outcome, answer.reason or ""] += 1

    def compare(self, change: Change, now: Answer, then: Answer) -> None:
        self.changes[change, _reason(change, now, then)] += 1
        self.gained.update(set(then.fields) - set(now.fields))
        self.lost.update(set(now.fields) - set(then.fields))

    def add(self, other: PartnerFigures) -> None:
        self.shared += other.shared
        self.stopped.update(other.stopped)
        self.fields.update(other.fields)
        self.kept_back.update(other.kept_back)
        self.changes.update(other.changes)
        self.gained.update(other.gained)
        self.lost.update(other.lost)


def _reason(change: Change, now: Answer, then: Answer) -> str:
    match change:
        case Change.NEWLY_SHARED:
            return now.reason or ""
        case Change.RECALLED:
            return then.reason or ""
        case _:
            return ""


@dataclass(slots=True)
class Figures:
    customers: int = 0
    partners: dict[str, PartnerFigures] = field(default_factory=dict)

    def of(self, partner: str) -> PartnerFigures:
        return self.partners.setdefault(partner, PartnerFigures())

    def add(self, other: Figures) -> None:
        self.customers += other.customers
        for partner, figures in other.partners.items():
            self.of(partner).add(figures)
