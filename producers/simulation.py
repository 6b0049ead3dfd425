"""The CRM simulator at work: its events in their pace, to both topics."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from producers.crm_simulator import Answered, Deleted, Event, Recipient, Updated, events
from producers.encoding import CONSENTS, CUSTOMERS, Encoded, Encoder, Feed
from producers.publisher import KafkaProducer, Publisher
from sluice.errors import SluiceError
from sluice.files.rows import Refused
from sluice.files.table import DELETED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from producers.publication import Tally
    from sluice.contract import Contract
    from sluice.document import Source
    from sluice.model import PartnerId

_SHOW_EVERY_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Run:
    """What is asked for. Without `duration` (seconds) and `limit` (events) it goes on until Ctrl-C."""

    customers: int
    rate: float
    seed: int
    duration: float | None
    limit: int | None


@dataclass(frozen=True, slots=True)
class Totals:
    """What was sent, and what became of it."""

    updates: int
    deletions: int
    consents: int
    published: int
    """Events that the broker acknowledged."""
    refused: int
    failed: int
    unsent: int
    unconfirmed: int
    seconds: float

    def sentence(self) -> str:
        sent = f"{self.updates:,} updates, {self.deletions:,} deletions, {self.consents:,} consent events"
        text = f"{sent}; {self.published:,} acknowledged, {self.failed:,} failed"
        rest = {"refused": self.refused, "not sent": self.unsent, "without an answer": self.unconfirmed}
        text += "".join(f", {count:,} {what}" for what, count in rest.items() if count)
        return f"{text}, in {self.seconds:.1f} s ({self.published / max(self.seconds, 0.001):,.1f} a second)."


@dataclass(frozen=True, slots=True)
class Output:
    """Where events and figures go."""

    producer: KafkaProducer
    tally: Tally
    show: Callable[[str], None]


class Clock(Protocol):
    """The monotonic clock, and waiting by it."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


def recipients(contracts: Mapping[PartnerId, tuple[Contract, Source]]) -> list[Recipient]:
    """Whom customers are asked about, by partner's name, so that one seed always gives the same answers."""
    return [
        Recipient(partner, contract.kind, contract.purpose, contract.brand)
        for partner, (contract, _) in sorted(contracts.items())
    ]


def paced(upcoming: Iterable[Event], rate: float, duration: float | None, clock: Clock) -> Iterator[Event]:
    """The events, `rate` a second: each has its own time, so a delay is caught up."""
    start = clock.monotonic()
    for count, event in enumerate(upcoming):
        due = count / rate
        if duration is not None and due >= duration:
            return
        wait = start + due - clock.monotonic()
        if wait > 0:
            clock.sleep(wait)
        yield event


def simulate(run: Run, terms: list[Recipient], encoders: Mapping[Feed, Encoder], output: Output) -> Totals:
    """Publish the events until the run's end, trouble, or Ctrl-C; then say what was acknowledged."""
    upcoming = islice(events(run.seed, run.customers, terms, time.time_ns() // 1_000_000), run.limit)
    publishers = {feed: Publisher(output.producer, feed.topic, output.tally) for feed in encoders}
    counts: dict[type[Event], int] = {Updated: 0, Deleted: 0, Answered: 0}
    started = shown = time.monotonic()
    trouble = False
    try:
        for event in paced(upcoming, run.rate, run.duration, time):
            feed, row = _row(event)
            _send(encoders[feed].encode(output.tally.read + 1, row), publishers[feed], output.tally)
            counts[type(event)] += 1
            trouble = publishers[feed].trouble is not None
            if trouble:
                break
            if time.monotonic() - shown >= _SHOW_EVERY_SECONDS:
                shown = time.monotonic()
                output.show(_totals(counts, output.tally, shown - started).sentence())
        # they share the producer, so one of them ends both
        if trouble:
            publishers[CUSTOMERS].abandon()
        else:
            publishers[CUSTOMERS].finish()
    except KeyboardInterrupt:
        with suppress(KeyboardInterrupt):  # a second one ends the waiting too
            publishers[CUSTOMERS].abandon()
    return _totals(counts, output.tally, time.monotonic() - started)


def _row(event: Event) -> tuple[Feed, dict[str, object]]:
    match event:
        case Updated(record=record):
            return CUSTOMERS, record
        case Deleted(customer=customer):
            return CUSTOMERS, {"customer_id": customer, DELETED: True}
        case Answered(record=record):
            return CONSENTS, record


def _send(row: Encoded | Refused, publisher: Publisher, tally: Tally) -> None:
    tally.read += 1
    match row:
        case Encoded():
            tally.valid += 1
            publisher.send(row)
        case Refused(sentence=sentence):
            raise SluiceError(
                f"The simulator writes records of our own schemas, and {publisher.topic} has another one: {sentence}"
            )


def _totals(counts: Mapping[type[Event], int], tally: Tally, seconds: float) -> Totals:
    summary = tally.summary(seconds)
    return Totals(
        updates=counts[Updated],
        deletions=counts[Deleted],
        consents=counts[Answered],
        published=summary.published,
        refused=summary.refused,
        failed=summary.failed,
        unsent=summary.unsent,
        unconfirmed=summary.unconfirmed,
        seconds=summary.seconds,
    )
