"""What operators asked for and is not done yet: so much of it in one batch that withdrawals do not wait for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from sluice import topics
from sluice.log import Log, Positions, Record
from sluice.model import CustomerId
from stream_processors.sharing.redrives import Redrive, Redrives

_MOST = 500
"""Requests in one batch."""
_READS = 4
"""Stretches of consent events read again in one batch: each takes a connection of its own."""
_NEAR = 1_000
"""Consent events so close to each other are read in one stretch."""


class Requested(NamedTuple):
    """What one batch does beside its inputs."""

    consents: list[Record]
    """Consent events to be read again."""
    customers: Mapping[int, list[CustomerId]]
    """To be reconciled, by partition."""


class Requests:
    """The requests in hand. They are taken again until they are done: a batch that comes to nothing loses none."""

    def __init__(self, redrives: Redrives, log: Log) -> None:
        self._redrives = redrives
        self._log = log
        self._waiting: list[Redrive] = []
        self._taken: frozenset[Redrive] = frozenset()

    def take(self, positions: Mapping[int, Positions], *, complete: bool = True) -> Requested:
        """For the partitions that are served, by their positions; who is served elsewhere is not ours.

        None while not every consent event is read. May raise LogUnavailable.
        """
        self._waiting += self._redrives.poll()
        if not complete:
            self._taken = frozenset()
            return Requested([], {})
        head = [request for request in self._waiting[:_MOST] if request.partition in positions]
        stretches = list(_stretches(one for one in head if _is_read_again(one, positions[one.partition])))
        later = {request for stretch in stretches[_READS:] for request in stretch}
        self._taken = frozenset(self._waiting[:_MOST]) - later
        customers: dict[int, list[CustomerId]] = {}
        for request in head:
            if request not in later:
                customers.setdefault(request.partition, []).append(request.customer)
        return Requested([record for one in stretches[:_READS] for record in self._records(one)], customers)

    def done(self) -> None:
        """What was taken is committed, or had nothing to commit."""
        if self._taken:
            self._waiting = [request for request in self._waiting if request not in self._taken]
            self._taken = frozenset()

    def _records(self, stretch: list[Redrive]) -> Iterator[Record]:
        offsets = {request.offset for request in stretch}
        number = stretch[0].partition
        for record in self._log.read(topics.CONSENT_EVENTS, number, min(offsets), max(offsets) + 1):
            if record is not None and record.offset in offsets:
                yield record


def _is_read_again(request: Redrive, at: Positions) -> bool:
    """An event that is not judged yet comes by itself."""
    return request.topic == topics.CONSENT_EVENTS and 0 <= request.offset < at.joined


def _stretches(requests: Iterable[Redrive]) -> Iterator[list[Redrive]]:
    """Requests whose events lie near each other."""
    stretch: list[Redrive] = []
    for request in sorted(requests, key=lambda one: (one.partition, one.offset)):
        last = stretch[-1] if stretch else None
        if last and (last.partition != request.partition or request.offset - last.offset > _NEAR):
            yield stretch
            stretch = []
        stretch.append(request)
    if stretch:
        yield stretch
