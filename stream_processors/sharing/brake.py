"""Keeps a bad deploy from recalling everybody: too large a share of rejects stops a partition's updates (LOOP 24)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

RETRY_MS = 10_000
"""A braked partition's updates are tried again after this long: the cause may have been mended."""


@dataclass(frozen=True, slots=True)
class BrakePolicy:
    """When to brake: `at_least` rejects, and more than `share` of the newest `window` updates."""

    at_least: int = 50
    share: float = 0.2
    window: int = 1_000


class Brake:
    """One partition's newest committed updates: rejected or not."""

    def __init__(self, policy: BrakePolicy) -> None:
        self._policy = policy
        self._newest: deque[bool] = deque(maxlen=policy.window)
        self.retry_at_ms: float | None = None
        """While the brake is on: when to try again, on the clock that only goes forward."""

    def trips(self, rejected: Iterable[bool]) -> bool:
        """Whether these updates, committed, would be too many rejects; looked at after each of them."""
        newest = deque(self._newest, self._policy.window)
        count = sum(newest)
        for reject in rejected:
            count += reject - (newest[0] if len(newest) == self._policy.window else 0)
            newest.append(reject)
            if reject and count >= self._policy.at_least and count > self._policy.share * len(newest):
                return True
        return False

    def passed(self, rejected: Iterable[bool]) -> None:
        """These updates are committed."""
        self._newest.extend(rejected)

    def holds(self, monotonic_ms: float) -> bool:
        return self.retry_at_ms is not None and monotonic_ms < self.retry_at_ms
