"""Asking the processor to reconcile customers, no faster than it was said, and waiting for what it discloses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from sluice import topics
from sluice.avro import Decode
from sluice.log import Record
from sluice.model import CustomerId, PartnerId, Pointer
from sluice.partitioning import partition_of
from stream_processors.redrive.deciding import State, Verdict
from stream_processors.sharing.redrives import Redrive

_POLL_SECONDS = 0.2
Write = Callable[[Iterable[tuple[Record, int]]], None]
"""Writes records, each to the partition named with it, and returns when all are acknowledged."""


class Time(Protocol):
    def monotonic_ms(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class Disclosures(Protocol):
    def poll(self, wait_seconds: float) -> list[Record]:
        """What was disclosed since it was opened."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How requests are written."""

    write: Write
    partitions: int
    rate: int
    """Requests in one second, at the most."""
    time: Time

    def ask(self, verdicts: Iterable[Verdict]) -> Iterator[Sequence[Verdict]]:
        """Asks for each record once, whatever pointers there are to it; yields those whose requests are there.

        What is yielded was asked for, whenever it is interrupted. Asking again does no harm.
        """
        asked: set[Pointer] = set()
        remaining = iter(verdicts)
        while chunk := list(islice(remaining, self.rate)):
            begun = self.time.monotonic_ms()
            fresh = {one.rejection.where: one for one in chunk if one.rejection.where not in asked}
            self.write([self._request(one) for one in fresh.values()])
            asked |= fresh.keys()
            yield chunk
            self.time.sleep(max(0.0, 1 - (self.time.monotonic_ms() - begun) / 1000))

    def _request(self, verdict: Verdict) -> tuple[Record, int]:
        assert verdict.state is State.TO_REDRIVE
        assert verdict.customer is not None
        key, where = verdict.customer.encode(), verdict.rejection.where
        number = partition_of(key, self.partitions)
        request = Redrive(verdict.customer, where.topic, where.partition, where.offset)
        return Record(topics.REDRIVES, number, 0, key, request.encode(), 0), number


class Waiting:
    """Which disclosures are still to come of what was asked for.

    Where reconciling changes nothing there is no disclosure, and nothing to wait for.
    """

    def __init__(self, disclosures: Disclosures, decode: Decode, time: Time) -> None:
        self._disclosures = disclosures
        self._decode = decode
        self._time = time
        self._awaited: dict[CustomerId, set[PartnerId]] = {}

    def awaits(self, verdicts: Iterable[Verdict]) -> None:
        for verdict in verdicts:
            if verdict.customer is not None and verdict.changed:
                self._awaited.setdefault(verdict.customer, set()).update(verdict.changed)

    def wait(self, seconds: float) -> Mapping[CustomerId, set[PartnerId]]:
        """Whose disclosures have not come by then, and for which partners. Raises SluiceError."""
        deadline = self._time.monotonic_ms() + seconds * 1000
        while self._awaited and self._time.monotonic_ms() < deadline:
            for record in self._disclosures.poll(_POLL_SECONDS):
                self._see(record)
        return self._awaited

    def _see(self, record: Record) -> None:
        customer = CustomerId((record.key or b"").decode(errors="replace"))
        if customer in self._awaited:
            self._awaited[customer] -= {PartnerId(e["partner"]) for e in self._decode(record.value)["entries"]}
            if not self._awaited[customer]:
                del self._awaited[customer]
