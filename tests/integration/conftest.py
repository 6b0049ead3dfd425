"""One real broker and registry for all integration tests; a fresh installation on them for each test."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from sluice.errors import SluiceError
from sluice.local import stack
from sluice.local.errors import LocalError
from sluice.local.stack import Endpoints
from tests.integration import commands
from tests.integration.installation import Installation
from tests.integration.proof import assert_no_difference

_LINES = 60
_LOGS = pytest.StashKey[list[Path]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the test's processes last said; where the broker did not come back, what that said."""
    report = yield
    if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
        installation = getattr(item, "funcargs", {}).get("installation")
        logs = list(installation.logs) if isinstance(installation, Installation) else []
        if call.excinfo.errisinstance(LocalError):
            broker: list[Path] = item.session.config.stash.get(_LOGS, [])
            logs += broker
        report.sections += [(log.name, _end_of(log)) for log in logs]
    return report


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LINES:])


@pytest.fixture(scope="session")
def endpoints(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Endpoints]:
    state = tmp_path_factory.mktemp("local")
    pytestconfig.stash[_LOGS] = [state / "logs" / "broker.log"]
    commands.get_ready()
    try:
        started = stack.start(state)
    except SluiceError as error:
        if os.environ.get("REQUIRE_BROKER") == "1":
            raise
        pytest.skip(f"no broker: {error}")
    yield started
    commands.kill_the_rest()
    stack.stop(state)


@pytest.fixture
def installation(endpoints: Endpoints, tmp_path: Path) -> Iterator[Installation]:
    """Whatever a test did, what partners hold in the end is what was committed allows."""
    stack.start(endpoints.clients.parent)  # a test that failed may have left the broker away
    fresh = Installation(endpoints, tmp_path)
    fresh.set_up()
    yield fresh
    try:
        if fresh.has_processed and not fresh.is_tampered_with:
            assert_no_difference(fresh)
    finally:
        fresh.tear_down()
