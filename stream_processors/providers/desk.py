"""One turn: what is known, what is decided, what is written, in this order, and all of it or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import structlog

from sluice.avro import Decode
from sluice.log import Record, Written
from sluice.model import Millis, PartnerId, Pointer
from stream_processors.following import never
from stream_processors.providers.asking import Asked, TakenBack, reconcile
from stream_processors.providers.book import Book
from stream_processors.providers.deciding import Outcome, TakenIn, decide, label
from stream_processors.providers.metrics import Metrics
from stream_processors.providers.reply import Arrival, read
from stream_processors.providers.written import Writers

_log = structlog.get_logger(__name__)
_WAIT_SECONDS = 0.1


def now_ms() -> Millis:
    return Millis(time.time_ns() // 1_000_000)


class ProvidersChanged(Exception):
    """The contract set in force asks something of who was not asked before: another desk is needed."""


class Source(Protocol):
    def catch_up(self, stopped: Callable[[], bool] = never) -> None:
        """The book knows everything that was written before now.

        Raises KafkaTrouble, RegistryUnavailable; Interrupted, soon after it was `stopped`.
        """


class Inbox(Protocol):
    """See `sluice.kafka.inbox`."""

    def poll(self, limit: int, wait_seconds: float) -> list[Record]: ...

    def commit(self, taken: Iterable[Record], written: Iterable[Written]) -> None: ...


@dataclass(slots=True)
class Desk:
    """Whatever is wrong it raises, and is not used again: its book may know what was never written."""

    book: Book
    source: Source
    inbox: Inbox
    decode: Decode
    writers: Writers
    metrics: Metrics
    providers: Mapping[str, PartnerId]
    """Whose each topic of replies is."""
    batch: int
    turns: int = 0
    """Grows while it works: for the watchdog."""

    def turn(self, stopped: Callable[[], bool] = never) -> None:
        """1. Replies are fetched, 2. then everything is read that was written before, so that a recall wins.

        3. Each reply is decided, and each customer reconciled with whom something has happened.
        4. What came of it is written with how far was read, in one transaction: killed at any time, nothing is lost or
        doubled.

        Raises ProvidersChanged; Interrupted, when it was `stopped` before everything was read.
        """
        taken = self.inbox.poll(self.batch, _WAIT_SECONDS)  # 1
        self.source.catch_up(stopped)  # 2
        if self.book.in_force and not self.book.in_force.work.keys() <= {*self.providers.values()}:
            raise ProvidersChanged
        arrivals = [self._arrival(record) for record in taken]
        outcomes = [(arrival, self._settled(arrival)) for arrival in arrivals]  # 3
        changes = self._changes()
        written = [one for arrival, outcome in outcomes for one in self._of(arrival, outcome)]
        written += [self.writers.change(change) for change in changes]
        if taken or written:
            self.inbox.commit(taken, written)  # 4
        self._count(outcomes, changes)
        self.turns += 1

    def _settled(self, arrival: Arrival) -> Outcome:
        outcome = decide(arrival, read(arrival, self.decode), self.book)
        if isinstance(outcome, TakenIn):
            self.book.enrich(outcome.customer, outcome.appended)
        return outcome

    def _changes(self) -> list[Asked | TakenBack]:
        changes = []
        for pair in [*islice(self.book.touched, self.batch)]:
            del self.book.touched[pair]
            change = reconcile(self.book, pair, now_ms())
            if isinstance(change, Asked):
                self.book.ask(change.request)
            elif isinstance(change, TakenBack):
                self.book.enrich(change.customer, change.left)
            if change is not None:
                changes.append(change)
        return changes

    def _of(self, arrival: Arrival, outcome: Outcome) -> Iterable[Written]:
        within = self.book.in_force.within_ms.get(arrival.provider, 0) if self.book.in_force else 0
        return self.writers.outcome(arrival, outcome, within)

    def _arrival(self, record: Record) -> Arrival:
        where = Pointer(record.topic, record.partition, record.offset)
        return Arrival(self.providers[record.topic], where, record.key, record.value, Millis(record.timestamp))

    def _count(self, outcomes: Sequence[tuple[Arrival, Outcome]], changes: Iterable[Asked | TakenBack]) -> None:
        for arrival, outcome in outcomes:
            name, cause = label(outcome)
            self.metrics.replies.labels(arrival.provider, name, cause).inc()
            if cause:
                _log.warning(f"reply_{name}", partner=arrival.provider, at=str(arrival.where), cause=cause)
        for change in changes:
            if isinstance(change, Asked):
                self.metrics.requests.labels(change.holding.partner).inc()
            else:
                self.metrics.taken_back.inc()
