"""What could not be read: the first so many are kept, all are counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import nsmallest

from stream_processors.review.subject import Problem


@dataclass(slots=True)
class Problems:
    keep: int
    """How many are remembered, the first in their files."""
    count: int = 0
    nameless: int = 0
    """Of these: whose customer is not known."""
    first: list[Problem] = field(default_factory=list)

    def add(self, problem: Problem) -> None:
        self.count += 1
        self.nameless += problem.nameless
        self.first.append(problem)
        if len(self.first) > 2 * self.keep:
            self._cut()

    def add_all(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self.add(problem)

    def merge(self, other: Problems) -> None:
        self.count += other.count
        self.nameless += other.nameless
        self.first += other.first
        self._cut()

    def listed(self) -> list[Problem]:
        self._cut()
        return self.first

    def _cut(self) -> None:
        self.first = nsmallest(self.keep, self.first)
