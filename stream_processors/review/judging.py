"""One shard judged: every customer at every partner. Runs in a process of its own when there are several."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import UNSET, UnsetType

from sluice.model import PartnerId
from stream_processors.review.comparison import Change, change
from stream_processors.review.figures import Figures, PartnerFigures
from stream_processors.review.problems import Problems
from stream_processors.review.rulebook import NOT_IN_FORCE, Answer, Rulebook
from stream_processors.review.subject import Inputs, Problem, Subject

_HEAD = struct.Struct(">QI")
"""Before the lines of each customer in a shard's result: the customer's order, the number of bytes."""


class Other(msgspec.Struct, frozen=True):
    """What the other contract set would give."""

    outcome: str
    reason: str | None
    rules: tuple[str, ...]
    fields: tuple[str, ...]


class Line(msgspec.Struct, frozen=True):
    """One line of `--json`: one customer at one partner."""

    customer: str
    partner: str
    outcome: str
    reason: str | None
    rules: tuple[str, ...]
    fields: tuple[str, ...]
    change: Change | UnsetType = UNSET
    against: Other | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked of every shard. Travels to the processes that judge."""

    inputs: Inputs
    folder: Path
    rulebook: Rulebook
    against: Rulebook | None
    lines: bool
    """Whether a line for each customer and partner is wanted."""
    list_problems: int


@dataclass(frozen=True, slots=True)
class ShardResult:
    shard: int
    figures: Figures
    problems: Problems


class Judge:
    """A task with its contracts and laws loaded, which is done once a process."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._bench = task.rulebook.loaded()
        self._against = None if task.against is None else task.against.loaded()
        known = {*self._bench.partnerships, *(self._against.partnerships if self._against else ())}
        self._partners = sorted(known)
        self._encoder = msgspec.json.Encoder()

    def judge(self, shard: int) -> ShardResult:
        """The figures; the lines, if they are wanted, are left in the folder (`lines_of`)."""
        result = ShardResult(shard, Figures(), Problems(self._task.list_problems))
        for partner in self._partners:
            result.figures.of(partner)
        with ExitStack() as stack:
            target = stack.enter_context(_path(self._task.folder, shard).open("wb")) if self._task.lines else None
            for found in self._task.inputs.subjects(shard):
                if isinstance(found, Problem):
                    result.problems.add(found)
                    continue
                lines = self._lines(self._bench.known(found), result.figures)
                if target is not None:
                    self._write(target, found.order, lines)
        return result

    def _lines(self, subject: Subject, figures: Figures) -> list[Line]:
        figures.customers += 1
        now = self._bench.answers(subject)
        then = {} if self._against is None else self._against.answers(subject)
        return [
            self._line(
                subject, partner, now.get(partner, NOT_IN_FORCE), then.get(partner, NOT_IN_FORCE), figures.of(partner)
            )
            for partner in self._partners
        ]

    def _line(self, subject: Subject, partner: PartnerId, now: Answer, then: Answer, figures: PartnerFigures) -> Line:
        figures.count(now)
        if now.is_shared and not self._task.lines and len(now.fields) < self._bench.listed(partner):
            figures.kept_back.update(self._bench.kept_back(subject, partner))
        line = Line(subject.customer, partner, now.outcome, now.reason, now.rules, now.fields)
        if self._against is None:
            return line
        changed = change(now, then)
        figures.compare(changed, now, then)
        other = Other(then.outcome, then.reason, then.rules, then.fields)
        return msgspec.structs.replace(line, change=changed, against=other)

    def _write(self, target: BinaryIO, order: int, lines: list[Line]) -> None:
        data = self._encoder.encode_lines(lines)
        target.write(_HEAD.pack(order, len(data)))
        target.write(data)


def lines_of(folder: Path, shard: int) -> Iterator[tuple[int, bytes]]:
    """The lines of each customer of a shard, with the customer's order, in that order."""
    with _path(folder, shard).open("rb") as stream:
        while head := stream.read(_HEAD.size):
            order, length = _HEAD.unpack(head)
            yield order, stream.read(length)


def _path(folder: Path, shard: int) -> Path:
    return folder / f"lines-{shard:03d}"
