"""The way in: updates, then every consent event below the stable end that was read after them (LOOP 7a to 7c, 8, 9)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sluice.log import Ends, Log, LogUnavailable, Positions, Record, Stalled
from stream_processors.sharing.clock import Clock

_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.001, 0.016
"""The client gives what there is only when so much has passed: while there is something to do, and when nothing comes
any more, for asking costs processor time.
"""
_STALLED_MS = 30_000


@dataclass(frozen=True, slots=True)
class Inputs:
    """What one batch is about."""

    updates: list[Record]
    consents: list[Record]
    ends: Mapping[int, Ends]
    complete: bool
    """Every consent event below the ends is here or was judged before; otherwise nothing may be added."""

    def positions(self, at: Mapping[int, Positions]) -> dict[int, Positions]:
        """Past every record of the batch; for consents the barrier's end, never the consumer's position (LOOP 8)."""
        updated = {record.partition: record.offset + 1 for record in self.updates}
        asked = {record.partition: record.offset + 1 for record in self.consents}
        if self.complete:
            asked = {number: self.ends[number].joined_stable for number in asked}
        return {n: Positions(updated.get(n, p.driving), asked.get(n, p.joined)) for n, p in at.items()}


class Reading:
    """Where a processor stands in its two inputs."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._at: dict[int, Positions] = {}
        self._beyond: dict[int, list[Record]] = {}
        """Consent events that were fetched and lie beyond a barrier's end: they are for a later batch."""
        self._patience_seconds = _WAIT_SECONDS
        self.fetched_at_ms = 0.0
        self._last_moved_at_ms = 0.0
        """When updates came in, or there was nothing to wait for."""

    def start(self, positions: Mapping[int, Positions]) -> None:
        """Read from here on: after an assignment, or again, after a batch that came to nothing."""
        self._last_moved_at_ms = self._clock.monotonic_ms()
        self._at = dict(positions)
        self._beyond = {number: [] for number in positions}
        self._log.start(positions)

    def moved(self, positions: Mapping[int, Positions]) -> None:
        """Everything before these positions is committed."""
        self._at = dict(positions)

    def rewind(self) -> None:
        self.start(self._at)

    def fetch(self, limit: int) -> list[Record]:
        """(a) The updates; the group is told that we live."""
        self.fetched_at_ms = self._clock.monotonic_ms()
        return self._log.fetch(limit, self._patience_seconds)

    def hurry(self) -> None:
        """There is something to do."""
        self._patience_seconds = _WAIT_SECONDS

    def rest(self) -> None:
        """There was nothing to do: the longer, the longer it may take to notice that there is."""
        self._patience_seconds = min(2 * self._patience_seconds, _LONGEST_WAIT_SECONDS)

    def completed(self, updates: list[Record], braked: Collection[int], limit: int) -> Inputs | None:
        """The batch with these updates; None: there is nothing to judge yet.

        A backlog of more consents than `limit` is worked off first, in pieces that only narrow, with the updates held.
        """
        ends = self._log.ends()  # (b)
        self._check(ends)
        self._check_progress(updates, ends, braked)
        consents, complete = self._drain(ends, limit)  # (c)
        if not complete:
            self._last_moved_at_ms = self._clock.monotonic_ms()  # updates are held meanwhile
        if updates and not complete:
            self.rewind()
        self._log.hold(braked if complete else self._at)
        return None if updates and not complete else Inputs(updates, consents, ends, complete)

    def _check(self, ends: Mapping[int, Ends]) -> None:
        """A log that ends before where we are is another one now, or its broker does not know better yet."""
        for number, at in self._at.items():
            if ends[number].joined_stable < at.joined or ends[number].driving_high < at.driving:
                raise LogUnavailable(f"Partition {number} of an input ends before what was read of it.")

    def _check_progress(self, updates: Collection[Record], ends: Mapping[int, Ends], braked: Collection[int]) -> None:
        """A client that fetches nothing any more, although it could, is a member of the group as before."""
        now = self._clock.monotonic_ms()
        could = any(
            self._log.driving_reached(number) < ends[number].driving_stable for number in self._at.keys() - set(braked)
        )
        if updates or not could:
            self._last_moved_at_ms = now
        elif now - self._last_moved_at_ms > _STALLED_MS:
            raise Stalled("The updates are not read any more, although there are some.")

    def _drain(self, ends: Mapping[int, Ends], limit: int) -> tuple[list[Record], bool]:
        """At most `limit` consent events below the ends, not drained before; whether they are all there are."""
        deadline = self._clock.monotonic_ms() + _STALLED_MS
        while not self._reached(ends) and sum(map(len, self._beyond.values())) < limit:
            for record in self._log.fetch_joined(_WAIT_SECONDS):
                self._beyond[record.partition].append(record)
                deadline = self._clock.monotonic_ms() + _STALLED_MS
            if self._clock.monotonic_ms() > deadline:
                raise LogUnavailable("Cannot read the consent events to their end.")
        drained: list[Record] = []
        for number, end in ends.items():
            queue = self._beyond[number]
            below = bisect_left(queue, end.joined_stable, key=lambda record: record.offset)
            taken = min(below, limit - len(drained))
            drained += queue[:taken]
            self._beyond[number] = queue[taken:]
        left = any(self._beyond[n] and self._beyond[n][0].offset < end.joined_stable for n, end in ends.items())
        return drained, self._reached(ends) and not left

    def _reached(self, ends: Mapping[int, Ends]) -> bool:
        return all(self._log.joined_reached(number) >= end.joined_stable for number, end in ends.items())
