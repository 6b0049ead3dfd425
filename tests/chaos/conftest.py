"""One broker behind a proxy for all tests of chaos; a fresh installation and supervised processors for each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.errors import SluiceError
from sluice.local.stack import Endpoints
from tests.chaos.field import PROXIED, Field
from tests.chaos.proxied_stack import ProxiedStack


@pytest.fixture(scope="session")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedStack]:
    stack = ProxiedStack(tmp_path_factory.mktemp("chaos"), (PROXIED,))
    try:
        stack.start()
    except SluiceError as error:
        if os.environ.get("REQUIRE_BROKER") == "1":
            raise
        pytest.skip(f"no broker: {error}")
    yield stack
    stack.close()


@pytest.fixture
def endpoints(proxied: ProxiedStack) -> Endpoints:
    """Whatever the test before did to it, the broker runs."""
    for proxy in proxied.proxies.values():
        proxy.restore()
    return proxied.start()


@pytest.fixture
def field(proxied: ProxiedStack, endpoints: Endpoints, tmp_path: Path) -> Iterator[Field]:
    """Nobody runs yet. In the end nobody may have ended otherwise than well, by our hand, or with a sentence."""
    fresh = Field(proxied, endpoints, tmp_path, session_timeout_ms=2_000, batch=200)
    yield fresh
    fresh.close()
    assert fresh.observed.troubles == []
