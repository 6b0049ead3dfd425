"""One real broker and registry for all integration tests; a fresh installation on them for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.errors import SluiceError
from sluice.local import stack
from sluice.local.stack import Endpoints
from tests.integration.installation import Installation
from tests.integration.proof import assert_no_difference


@pytest.fixture(scope="session")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    state = tmp_path_factory.mktemp("local")
    try:
        started = stack.start(state)
    except SluiceError as error:
        if os.environ.get("REQUIRE_BROKER") == "1":
            raise
        pytest.skip(f"no broker: {error}")
    yield started
    stack.stop(state)


@pytest.fixture
def installation(endpoints: Endpoints, tmp_path: Path) -> Iterator[Installation]:
    """Whatever a test did, what partners hold in the end is what was committed allows."""
    fresh = Installation(endpoints, tmp_path)
    fresh.set_up()
    yield fresh
    try:
        if fresh.has_processed and not fresh.is_tampered_with:
            assert_no_difference(fresh)
    finally:
        fresh.tear_down()
