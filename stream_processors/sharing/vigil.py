"""An eye on what others do: topics that are made anew (LOOP 20), transactions that the dead left open (LOOP 5)."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from sluice.log import Ends, Log
from stream_processors.sharing import checkpoint
from stream_processors.sharing.batch import Moment
from stream_processors.sharing.clock import Clock
from stream_processors.sharing.metrics import Metrics
from stream_processors.sharing.partition import OpenTransactionWatch
from stream_processors.sharing.plan import Plan
from stream_processors.sharing.view import View

_TOPICS_EVERY_MS = 30_000
_FENCE_AGAIN_MS = 5_000
_LOOK_AGAIN_MS = 500
_log = structlog.get_logger(__name__)


class Vigil:
    def __init__(self, log: Log, plan: Plan, metrics: Metrics, clock: Clock) -> None:
        self._log = log
        self._plan = plan
        self._metrics = metrics
        self._clock = clock
        self._watches: dict[int, OpenTransactionWatch] = {}
        self._topics_seen_at = 0.0
        self._fence_at = 0.0

    def look(self, ends: Mapping[int, Ends], view: View, moment: Moment) -> None:
        """Once a batch. Raises SluiceError when a topic is another one now."""
        if moment.monotonic_ms - self._topics_seen_at > _TOPICS_EVERY_MS:
            self.check_topics(view)
            self._topics_seen_at = moment.monotonic_ms
        self._watches = {number: self._watches.get(number) or OpenTransactionWatch() for number in ends}
        for number, end in ends.items():
            self._watches[number].observe(end.confirmed_stable, end.confirmed_high, moment.monotonic_ms)
        if any(watch.hides for watch in self._watches.values()):
            self.end_open_transactions()

    def check_topics(self, view: View) -> None:
        """A client goes on in a topic that was re-created, and skips what was there before. Raises SluiceError."""
        checkpoint.check(self._plan.identity, self._plan.identity_now(view))

    def end_open_transactions(self) -> None:
        """One before ours hides from partners what we write, and from us what was committed; its owner may be dead."""
        now = self._clock.monotonic_ms()
        if now >= self._fence_at:
            fenced = self._log.fence_the_dead()
            # the group may not know yet who is dead
            self._fence_at = now + (_FENCE_AGAIN_MS if fenced else _LOOK_AGAIN_MS)
            self._metrics.fenced.inc(len(fenced))
            if fenced:
                _log.warning("fenced_the_dead", instances=fenced)
