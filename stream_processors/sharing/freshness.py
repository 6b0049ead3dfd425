"""Up to when a partition's updates are read (LOOP 21, 22).

Compaction removes a deletion when the topic has kept it for long enough. Whoever has not read it by then never hears of
it, and would share on from an older profile.
"""

from __future__ import annotations

from sluice.model import Millis


class Freshness:
    """What was there at some instant has been read once its end is passed; looked at with every batch."""

    def __init__(self) -> None:
        self._seen: tuple[int, Millis] | None = None

    def reached(self, offset: int, high: int, now: Millis) -> Millis | None:
        """The newest instant from before which everything is read; None: none is known that was not told before."""
        if offset >= high:
            self._seen = None
            return now
        if self._seen is not None and offset < self._seen[0]:
            return None
        passed, self._seen = self._seen, (high, now)
        return None if passed is None else passed[1]
