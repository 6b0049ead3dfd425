"""Whether a process is well, in the words of Kubernetes (https://kubernetes.io/docs/concepts/workloads/pods/probes).

- `/health/started`: it has been through what is done once; until then nobody asks the rest.
- `/health/live`: starting it again would not help. A loop that is stuck ends its process by itself (the watchdog), so
  whoever answers is alive.
- `/health/ready`: it does its work now; the answer says what it waits for otherwise. While processes are replaced one
  by one, the next one goes only when this one has taken over its partitions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from stream_processors.unavailable import Unavailable

_LATER = 503


@dataclass(frozen=True, slots=True)
class Health:
    """Asked from another thread than the one that works, and answered by none that waits for anything."""

    unavailable: Unavailable
    waits_for: Callable[[], str]
    """What else it waits for, in words; empty: nothing."""
    has_started: Callable[[], bool] = lambda: True

    def routes(self) -> Sequence[Route]:
        return [
            Route("/health/started", self._started),
            Route("/health/live", self._live),
            Route("/health/ready", self._ready),
        ]

    async def _started(self, _request: Request) -> PlainTextResponse:
        return PlainTextResponse("started") if self.has_started() else PlainTextResponse("starting", _LATER)

    async def _live(self, _request: Request) -> PlainTextResponse:
        return PlainTextResponse("alive")

    async def _ready(self, _request: Request) -> PlainTextResponse:
        if not self.has_started():
            return PlainTextResponse("starting", _LATER)
        needed = self.unavailable.needed
        waits_for = f"the {needed}" if needed else self.waits_for()
        return PlainTextResponse(f"waits for {waits_for}", _LATER) if waits_for else PlainTextResponse("ready")
