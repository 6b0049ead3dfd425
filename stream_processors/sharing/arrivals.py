"""Partitions on their way to being served, piece by piece, and copies of those that others serve (LOOP 22, 23)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial

from sluice.log import Committed, LogUnavailable
from sluice.registry import RegistryUnavailable
from stream_processors.sharing.clock import Clock
from stream_processors.sharing.recovery import Opened, Opening, Recovery, open_partition

_STUCK_MS = 1_000
_COPY_EVERY_MS = 1_000
_RETRY_MS = 1_000


class Arrivals:
    """What was assigned and is not served yet. One partition after the other, the least number first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begin: dict[int, Callable[[], Opening]] = {}
        self._opening: Opening | None = None
        self._left = 0
        self._moved_at_ms = 0.0
        self._again_at_ms = 0.0
        self.lack_registry = False
        """It did not answer when it was last asked for something that is needed to bring a partition up."""

    def begin(self, recovery: Recovery, committed: Mapping[int, Committed]) -> None:
        self._begin = {n: partial(open_partition, recovery, n, committed[n]) for n in sorted(committed)}
        self._moved_at_ms = self._clock.monotonic_ms()

    @property
    def numbers(self) -> Collection[int]:
        """Which are on their way."""
        return self._begin.keys()

    @property
    def is_stuck(self) -> bool:
        """Nothing has come for a second: somebody's open transaction may hold back what is to be read."""
        return bool(self._begin) and self._clock.monotonic_ms() - self._moved_at_ms > _STUCK_MS

    def advance(self, for_ms: float, tell: Callable[[int, int], None]) -> Iterator[Opened]:
        """Go on for so long; those that can be served now. `tell`: how many records a partition still lacks.

        What raises is begun again next time: the pieces that are folded are certain. Without the registry that is not
        at once, so that what is served goes on meanwhile.
        """
        if self._clock.monotonic_ms() < self._again_at_ms:
            return
        until = self._clock.monotonic_ms() + for_ms
        while self._begin and self._clock.monotonic_ms() <= until:
            number = min(self._begin)
            opening = self._opening or self._begin[number]()
            self._opening = None
            try:
                left = next(opening)
            except StopIteration as opened:
                self.lack_registry = False
                del self._begin[number]
                self._tell(number, 0, tell)
                yield opened.value
            except RegistryUnavailable:
                self.lack_registry = True
                self._again_at_ms = self._clock.monotonic_ms() + _RETRY_MS
                raise
            else:
                self.lack_registry = False
                self._opening = opening
                self._tell(number, left, tell)

    def _tell(self, number: int, left: int, tell: Callable[[int, int], None]) -> None:
        if left != self._left:
            self._left, self._moved_at_ms = left, self._clock.monotonic_ms()
        tell(number, left)

    def close(self) -> None:
        if self._opening is not None:
            self._opening.close()
        self._begin, self._opening, self.lack_registry = {}, None, False


class Standby:
    """Copies of the partitions that others serve, brought up to what is committed, one after the other."""

    def __init__(self, clock: Clock, numbers: int) -> None:
        self._clock = clock
        self._numbers = numbers
        self._next = 0
        self._again_at_ms = 0.0
        self._opening: Opening | None = None

    def advance(self, recovery: Recovery, ours: Collection[int], for_ms: float) -> None:
        """A piece of the way for one of those that are not ours. Raises SluiceError."""
        if self._opening is None and self._clock.monotonic_ms() >= self._again_at_ms:
            self._opening = self._begun(recovery, ours)
        until = self._clock.monotonic_ms() + for_ms
        while self._opening is not None and self._clock.monotonic_ms() <= until:
            opening, self._opening = self._opening, None
            try:
                next(opening)
            except StopIteration as opened:
                opened.value.partition.store.close()
            except LogUnavailable:
                return  # there is no hurry
            else:
                self._opening = opening

    def _begun(self, recovery: Recovery, ours: Collection[int]) -> Opening | None:
        others = [number for number in range(self._numbers) if number not in ours]
        self._next += 1
        if self._next % max(len(others), 1) == 0:
            self._again_at_ms = self._clock.monotonic_ms() + _COPY_EVERY_MS
        if not others:
            return None
        number = others[self._next % len(others)]
        try:
            committed = recovery.log.committed(frozenset({number}))[number]
        except LogUnavailable:  # a transaction is open, or the broker is away: there is no hurry
            return None
        return None if committed.positions is None else open_partition(recovery, number, committed)

    def close(self) -> None:
        if self._opening is not None:
            self._opening.close()
        self._opening = None
