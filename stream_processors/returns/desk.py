"""Where returns are settled and deadlines looked at: what is known, what is decided, what is written, in this order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import structlog

from sluice.avro import Decode
from sluice.kafka.clients import KafkaUnavailable
from sluice.log import Written
from sluice.model import Millis, PartnerId
from sluice.registry import RegistryUnavailable
from stream_processors.following import never
from stream_processors.returns.book import Book
from stream_processors.returns.deadlines import Account, accounts, pauses
from stream_processors.returns.deciding import Acknowledged, Noted, Outcome, Refused, Unsubscribed, decide
from stream_processors.returns.metrics import Metrics
from stream_processors.returns.partner_return import Arrival, PartnerReturn, RefusedFor, read
from stream_processors.returns.written import Writers, pause

_log = structlog.get_logger(__name__)
_WAIT_SECONDS = 1.0
T = TypeVar("T")
Write = Callable[[Iterable[Written]], Awaitable[None]]


def now_ms() -> Millis:
    return Millis(time.time_ns() // 1_000_000)


class Source(Protocol):
    """A book and where it is read from."""

    book: Book

    def catch_up(self, stopped: Callable[[], bool] = never) -> None:
        """The book knows everything that was written before now.

        Raises KafkaTrouble, RegistryUnavailable; Interrupted, soon after it was `stopped`.
        """

    def look(self) -> None:
        """The book knows what has come; raises the same."""


@dataclass(slots=True)
class Desk:
    """One worker's. It waits for a broker or a registry that is away; whatever else is wrong it raises.

    A desk that was interrupted is not used again: its book may know what was never written.
    """

    source: Source
    decode: Decode
    writers: Writers
    metrics: Metrics
    warn_after: float
    turns: int = 0
    """Grows while it works: for the watchdog."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _is_current: bool = False
    """Everything that was accepted by whoever had our partitions before us has been read."""
    _told: dict[PartnerId, tuple[int, int]] = field(default_factory=dict)

    @property
    def book(self) -> Book:
        return self.source.book

    def assigned(self) -> None:
        """Partitions are ours that were another's."""
        self._is_current = False

    async def settle(self, arrivals: Sequence[Arrival], write: Write) -> None:
        """Returns when everything that came of these returns is written.

        1. Each is decided; whoever would be refused is decided again once everything is known that was written by now.
        2. Consent events are written, 3. then what was accepted and what was refused.
        4. Only then are they done: killed before, they are read and settled again, which comes to the same.
        """
        async with self._turn:
            decided = await self._patiently(lambda: asyncio.to_thread(self._decided, arrivals))  # 1
            outcomes = [(arrival, outcome) for arrival, _, outcome in decided]
            consents = [one for _, outcome in outcomes for one in self.writers.consents(outcome)]
            records = [one for arrival, outcome in outcomes for one in self.writers.records(arrival, outcome)]
            await self._patiently(lambda: write(consents))  # 2
            await self._patiently(lambda: write(records))  # 3
            for arrival, said, outcome in decided:
                self.metrics.settled(arrival.partner, said, outcome)
                if isinstance(outcome, Refused):
                    _log.warning("return_refused", partner=arrival.partner, at=str(arrival.where), cause=outcome.cause)
            self.turns += 1

    async def look(self, write: Write) -> None:
        """Deadlines, as they are now: told when they change, and partners paused or not, as their contracts say."""
        async with self._turn:
            await self._patiently(lambda: asyncio.to_thread(self.source.look))
            standing = accounts(self.book, now_ms(), self.warn_after)
            changes = pauses(self.book, standing, now_ms())
            await self._patiently(lambda: write([pause(partner, since) for partner, since in changes.items()]))
            if changes:
                await self._patiently(lambda: asyncio.to_thread(self.source.catch_up))
            for partner, since in changes.items():
                _log.error("partner_paused" if since else "partner_resumed", partner=partner)
            in_force = self.book.in_force.within_ms if self.book.in_force is not None else ()
            self.metrics.stand(standing, self.book.paused, in_force)
            for partner, account in standing.items():
                self._tell(partner, account)
            self.turns += 1

    async def catch_up(self, stopped: Callable[[], bool]) -> None:
        """Everything that was written before now is known. Raises Interrupted, soon after it was `stopped`."""
        async with self._turn:
            await self._patiently(lambda: asyncio.to_thread(self.source.catch_up, stopped))

    def _decided(self, arrivals: Sequence[Arrival]) -> list[tuple[Arrival, PartnerReturn | RefusedFor, Outcome]]:
        if not self._is_current:
            self.source.catch_up()
            self._is_current = True
        said = [(arrival, read(arrival, self.decode)) for arrival in arrivals]
        if any(isinstance(decide(arrival, what, self.book), Refused) for arrival, what in said):
            self.source.catch_up()
        decided = []
        for arrival, what in said:  # from here on nothing can fail: what the book knows is going to be written
            outcome = decide(arrival, what, self.book)
            if isinstance(outcome, Acknowledged | Unsubscribed | Noted):
                self.book.accept(outcome.accepted)
            decided.append((arrival, what, outcome))
        return decided

    def _tell(self, partner: PartnerId, account: Account) -> None:
        now = account.due_soon, account.overdue
        before = self._told.get(partner, (0, 0))
        self._told[partner] = now
        if now == before:
            return
        told = {"partner": partner, "due_soon": account.due_soon, "overdue": account.overdue, "open": account.open}
        tell = _log.error if account.overdue else _log.warning if account.due_soon else _log.info
        tell("recalls", **told, oldest_deadline=account.oldest_deadline)

    async def _patiently(self, step: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                done = await step()
            except (KafkaUnavailable, RegistryUnavailable) as error:
                self.metrics.unavailable.met(error)
                self.turns += 1
                await asyncio.sleep(_WAIT_SECONDS)
            else:
                self.metrics.unavailable.over()
                return done
