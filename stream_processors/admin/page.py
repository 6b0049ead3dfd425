"""The page for operators, over HTTP: read with any browser, without a script, and never about a customer.

On loopback it is open to who is on this machine, by that machine's own names alone, so that no website can have a
browser fetch it under another. Elsewhere it asks for a token: as a bearer's (RFC 6750), or as a browser's password
(RFC 7617), whatever the user's name.
"""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from threading import Lock

from jinja2 import Environment, PackageLoader, StrictUndefined
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from sluice.errors import SluiceError
from sluice.settings import Settings
from stream_processors.admin.counts import Counts, count
from stream_processors.admin.overview import Overview, overview
from stream_processors.contract_history import Dated, dated_sets

_USER = "sharing"
_SETS_LAST_SECONDS = 30.0
_SHORTEST_SECONDS, _LONGEST_SECONDS = 1.0, 60.0
"""Between the two looks that a rate is made of."""
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
    """Counts what processes count only while somebody looks."""

    def __init__(self, settings: Settings, registry: CollectorRegistry, guard: Guard) -> None:
        self._settings = settings
        self._registry = registry
        self._guard = guard
        self._looking = Lock()
        self._last: tuple[Counts, Counts] | None = None
        self._sets: Sequence[Dated] = ()
        self._sets_read_at = float("-inf")

    def routes(self) -> Sequence[Route]:
        style = _TEMPLATES.get_template("style.css").render()
        return [
            Route("/", self._guard.asks(self._answer)),
            Route("/style.css", lambda _: Response(style, media_type="text/css", headers=_HEADERS)),
        ]

    def _answer(self, _request: Request) -> Response:
        with self._looking:
            before, now = self._counts()
            troubles = self._read_sets()
        shown = overview(datetime.now(UTC), now, before, self._sets)
        return HTMLResponse(page(shown, troubles), headers=_HEADERS)

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

    def _read_sets(self) -> str:
        """Why they could not be read, in words; what was known of them is shown all the same."""
        if time.monotonic() - self._sets_read_at < _SETS_LAST_SECONDS:
            return ""
        try:
            self._sets = dated_sets(self._settings.client(_USER), self._settings.sharing.group)
        except SluiceError as error:
            return str(error)
        self._sets_read_at = time.monotonic()
        return ""


class Guard:
    """Who may see the page. `token`: what a file holds; None where there is none."""

    def __init__(self, host: str, token: str | None) -> None:
        self._is_loopback = _is_loopback(host)
        self._token = token

    def asks(self, answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
        def guarded(request: Request) -> Response:
            return self._refusal(request) or answer(request)

        return guarded

    def _refusal(self, request: Request) -> Response | None:
        if self._token is not None:
            if _gives(request, self._token):
                return None
            asked = {"www-authenticate": 'Basic realm="Sluice", charset="UTF-8"'}
            return PlainTextResponse("Give the token as the password, or as a bearer's.", 401, headers=asked)
        if not self._is_loopback:
            return PlainTextResponse("This page is seen from other machines with a token alone: set `page.token`.", 403)
        if not _is_loopback(request.url.hostname or ""):
            return PlainTextResponse("Open this page as http://127.0.0.1 or http://localhost.", 403)
        return None


def guard(host: str, token: Path | None) -> Guard:
    """Raises SluiceError for a file that cannot be read or holds nothing."""
    if token is None:
        return Guard(host, None)
    try:
        held = token.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise SluiceError(f"Cannot read the page's token from {token}: {error}.") from None
    if not held:
        raise SluiceError(f"The page's token in {token} is empty: `openssl rand -hex 32 > {token}`.")
    return Guard(host, held)


def page(shown: Overview, sets_unknown: str) -> str:
    """HTML. `sets_unknown`: why contract sets could not be read, or nothing."""
    return _TEMPLATES.get_template("overview.html").render(shown=shown, sets_unknown=sets_unknown)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _gives(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode("utf-8").partition(":")[2]
        except ValueError:
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.encode(), token.encode())
