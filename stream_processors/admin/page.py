"""The page for operators, over HTTP: read with any browser, without a script, and never about a customer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Lock

from jinja2 import Environment, PackageLoader, StrictUndefined
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from sluice.settings import Settings
from stream_processors.admin.counts import Counts, count
from stream_processors.admin.guard import Guard
from stream_processors.admin.history import History
from stream_processors.admin.overview import Overview, overview

_USER = "sharing"
_SHORTEST_SECONDS, _LONGEST_SECONDS = 1.0, 60.0
"""Between the two looks that a rate is made of."""
_PATIENCE_SECONDS = 15.0
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_TEMPLATES = Environment(
    loader=PackageLoader(__package__, "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


class Page:
    """Counts what processes count only while somebody looks. One is answered after the other."""

    def __init__(self, settings: Settings, registry: CollectorRegistry, guard: Guard) -> None:
        self._settings = settings
        self._registry = registry
        self._guard = guard
        self._looking = Lock()
        self._last: tuple[Counts, Counts] | None = None
        self._history = History(settings.client(_USER), settings.sharing.group)

    def routes(self) -> Sequence[Route]:
        style = _TEMPLATES.get_template("style.css").render()
        return [
            Route("/", self._guard.page(self._answer)),
            Route("/style.css", lambda _: Response(style, media_type="text/css", headers=_HEADERS)),
        ]

    def _answer(self, _request: Request) -> Response:
        if not self._looking.acquire(timeout=_PATIENCE_SECONDS):
            return PlainTextResponse("Many look at this page; metrics and health are there.", 503)
        try:
            before, now = self._counts()
            self._history.look()
            shown = overview(datetime.now(UTC), now, before, self._history.known, self._history.unknown)
            return HTMLResponse(page(shown), headers=_HEADERS)
        finally:
            self._looking.release()

    def _counts(self) -> tuple[Counts, Counts]:
        """Two looks that are neither the same nor long apart."""
        if self._last is not None and time.monotonic() - self._last[1].at < _SHORTEST_SECONDS:
            return self._last
        before = self._last[1] if self._last is not None else None
        if before is None or time.monotonic() - before.at > _LONGEST_SECONDS:
            before = self._look()
            time.sleep(_SHORTEST_SECONDS)
        self._last = before, self._look()
        return self._last

    def _look(self) -> Counts:
        named = self._settings.page.processes
        if named is not None:
            return count(named, None)
        ports = (self._settings.returns.metrics.port, self._settings.providers.metrics.port)
        return count([f"http://127.0.0.1:{port}/metrics" for port in ports if port], self._registry)


def page(shown: Overview) -> str:
    """HTML."""
    return _TEMPLATES.get_template("overview.html").render(shown=shown)
