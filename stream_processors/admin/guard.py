"""Who is answered.

On loopback: who is on this machine, under this machine's own names alone, so that no website can have a browser ask
under another (DNS rebinding). Elsewhere the page asks for a token: as a bearer's (RFC 6750), or as a browser's password
(RFC 7617), whatever the user's name. Metrics are there for who reaches the port, as Prometheus has it.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sluice.errors import SluiceError
from sluice.private_file import read_private

_Answer = Callable[[Request], Response]


class Guard:
    """`token`: what a file holds; None where there is none."""

    def __init__(self, host: str, token: str | None = None) -> None:
        self._is_loopback = _is_loopback(host)
        self._token = token

    def metrics(self, answer: _Answer) -> _Answer:
        return lambda request: self._by_another_name(request) or answer(request)

    def page(self, answer: _Answer) -> _Answer:
        return lambda request: self._by_another_name(request) or self._without_a_token(request) or answer(request)

    def _by_another_name(self, request: Request) -> Response | None:
        if not self._is_loopback or _is_loopback(request.url.hostname or ""):
            return None
        return PlainTextResponse("Open this as http://127.0.0.1 or http://localhost.", 403)

    def _without_a_token(self, request: Request) -> Response | None:
        if self._token is not None and not _gives(request, self._token):
            asked = {"www-authenticate": 'Basic realm="Sluice", charset="UTF-8"'}
            return PlainTextResponse("Give the token as the password, or as a bearer's.", 401, headers=asked)
        if self._token is None and not self._is_loopback:
            return PlainTextResponse("This page is seen from other machines with a token alone: set `page.token`.", 403)
        return None


def guard(host: str, token: Path | None) -> Guard:
    """Raises SluiceError for a file that cannot be read, that others can, or that holds nothing."""
    if token is None:
        return Guard(host)
    try:
        held = read_private(token).decode("utf-8").strip()
    except (OSError, ValueError) as error:
        raise SluiceError(f"Cannot read the page's token from {token}: {error}.") from None
    if not held:
        raise SluiceError(f"The page's token in {token} is empty: `(umask 077; openssl rand -hex 32 > {token})`.")
    return Guard(host, held)


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
