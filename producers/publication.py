"""One publication: rows in, each of them counted where it ended; errors told with their line."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from producers.encoding import Encoded, Row
from sluice.files.rows import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Ending(Enum):
    """How a publication came to its end."""

    READ = auto()
    """Every row was read, and had its outcome."""
    ERRORS = auto()
    """There were as many errors as were allowed."""
    TROUBLE = auto()
    """The broker took no more."""
    INTERRUPTED = auto()


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that was not published, and why, in a sentence without any value of it."""

    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of the rows. `read` is the sum of `published`, `refused`, `failed`, `unsent` and `unconfirmed`.

    In a dry run nothing is published: `read` is the sum of `valid` and `refused`.
    """

    read: int
    valid: int
    """Rows that could be encoded."""
    published: int
    """Rows that the broker acknowledged."""
    refused: int
    failed: int
    """Rows that were not acknowledged: not taken, or not in time. Of the latter some may be in the topic."""
    unsent: int
    """Rows that were dropped before they were sent, because publishing was stopped."""
    unconfirmed: int
    """Rows that were sent and never answered: they may be in the topic, or not."""
    seconds: float
    stopped: str | None
    """Why the rest was not read, if it was not."""
    dry_run: bool
    errors: tuple[Problem, ...]

    @property
    def is_complete(self) -> bool:
        return self.stopped is None and self.read == (self.valid if self.dry_run else self.published)

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    def sentence(self, rows: str = "rows") -> str:
        """The figures for people, of `rows`; what is zero and no news is left out."""
        done = f"{self.valid:,} valid, nothing written" if self.dry_run else f"{self.published:,} published"
        parts = [f"{self.read:,} {rows} read", done, f"{self.refused:,} refused"]
        rest = {
            "failed": self.failed,
            "not sent": self.unsent,
            "sent without an answer": self.unconfirmed,
        }
        parts.extend(f"{count:,} {what}" for what, count in rest.items() if count)
        text = f"{', '.join(parts)}, in {self.seconds:.1f} s."
        listed = len(self.errors)
        if self.refused + self.failed > listed:
            text += f" The first {listed:,} problems are listed."
        return f"{text} Stopped: {self.stopped}." if self.stopped else text


class Tally:
    """The running figures of a publication. Only what the broker acknowledged counts as published."""

    def __init__(self, keep: int, on_problem: Callable[[Problem], None]) -> None:
        """`keep`: how many problems are remembered and told; those behind are only counted."""
        self._keep = keep
        self._on_problem = on_problem
        self._errors: list[Problem] = []
        self.read = 0
        self.valid = 0
        self.published = 0
        self.refused = 0
        self.failed = 0
        self.unsent = 0
        self.stopped: str | None = None

    def refuse(self, row: Refused) -> None:
        self.refused += 1
        self._remember(Problem(row.line, row.sentence))

    def fail(self, line: int, sentence: str) -> None:
        self.failed += 1
        self._remember(Problem(line, sentence))

    def summary(self, seconds: float, *, dry_run: bool = False) -> Summary:
        unconfirmed = 0 if dry_run else self.read - self.refused - self.published - self.failed - self.unsent
        return Summary(
            read=self.read,
            valid=self.valid,
            published=self.published,
            refused=self.refused,
            failed=self.failed,
            unsent=self.unsent,
            unconfirmed=unconfirmed,
            seconds=round(seconds, 3),
            stopped=self.stopped,
            dry_run=dry_run,
            errors=tuple(self._errors),
        )

    def _remember(self, problem: Problem) -> None:
        if len(self._errors) < self._keep:
            self._errors.append(problem)
            self._on_problem(problem)


class Sink(Protocol):
    """Where encoded rows go. What becomes of each is told to the tally, then or later."""

    @property
    def trouble(self) -> str | None:
        """Why sending more makes no sense."""

    def send(self, row: Encoded) -> None: ...

    def finish(self) -> None:
        """Wait until every row has ended."""

    def abandon(self) -> None:
        """Drop what was not sent; wait, for a short time only, for the answers to what was."""


class Nowhere:
    """The sink of a dry run."""

    trouble: str | None = None

    def send(self, row: Encoded) -> None: ...

    def finish(self) -> None: ...

    def abandon(self) -> None: ...


def publish(rows: Iterable[Row], sink: Sink, tally: Tally, max_errors: int | None = None) -> Ending:
    """Send every encoded row, count every refused one, until the end, too many errors, a broken sink or Ctrl-C.

    A row is sent only when it is encoded whole, so nothing of a refused row is ever in the topic.
    """
    try:
        for row in rows:
            _take(row, sink, tally)
            tally.stopped = _reason_to_stop(sink, tally, max_errors)
            if tally.stopped:
                break
        if sink.trouble:
            sink.abandon()
        else:
            sink.finish()
    except KeyboardInterrupt:
        tally.stopped = "interrupted"
        with suppress(KeyboardInterrupt):  # a second one ends the waiting too
            sink.abandon()
        return Ending.INTERRUPTED
    ended = Ending.ERRORS if tally.stopped else Ending.READ
    tally.stopped = tally.stopped or sink.trouble
    return Ending.TROUBLE if sink.trouble else ended


def _take(row: Row, sink: Sink, tally: Tally) -> None:
    tally.read += 1
    match row:
        case Encoded():
            tally.valid += 1
            sink.send(row)
        case Refused():
            tally.refuse(row)


def _reason_to_stop(sink: Sink, tally: Tally, max_errors: int | None) -> str | None:
    if max_errors is not None and tally.refused + tally.failed >= max_errors:
        return f"{max_errors:,} errors were reached"
    return sink.trouble
