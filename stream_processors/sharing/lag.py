"""For how long what was logged has waited: by our own clock, whatever times its producers have put on it.

An end that was seen and is not yet behind us has waited since it was first seen (as tools do that tell a group's lag in
seconds from its lag in records).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

_BETWEEN_SECONDS = 1.0
_MOST = 1_000


class _Seen(NamedTuple):
    at: float
    driving: int
    joined: int


class Lag:
    """Of one partition number in both inputs. One thread writes, others may ask."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seen: deque[_Seen] = deque()

    def ends(self, driving: int, joined: int) -> None:
        """Up to here there is something, whether or not it comes to a commit."""
        now = self._monotonic()
        if self._seen:
            last = self._seen[-1]
            is_news = driving > last.driving or joined > last.joined
            if not is_news or now - last.at < _BETWEEN_SECONDS or len(self._seen) >= _MOST:
                return
        self._seen.append(_Seen(now, driving, joined))

    def reached(self, driving: int, joined: int) -> None:
        """Up to here everything is done and committed."""
        while self._seen and self._seen[0].driving <= driving and self._seen[0].joined <= joined:
            self._seen.popleft()

    def waited(self) -> float:
        """Seconds; 0 when nothing waits."""
        try:
            return max(self._monotonic() - self._seen[0].at, 0.0)
        except IndexError:
            return 0.0
