"""`sluice run sharing --workers`: several processes of one group, begun and ended as one."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.commands import Command
from tests.integration.installation import ADRESSO, HOSHI, Installation, Processor, eventually
from tests.integration.proof import assert_verified

pytestmark = pytest.mark.broker


@pytest.fixture
def workers(installation: Installation) -> Iterator[Processor]:
    """Two, and what they say."""
    log = installation.folder / "workers.log"
    command = ["run", "sharing", "--workers", "2", "--metrics-port", "0"]
    process = Command([*command, "--settings", str(installation.settings_path)], log, log)
    started = Processor(process, log)
    try:
        yield started
        if process.poll() is None:
            started.stop()
    finally:
        process.kill()


def children(process: int) -> list[int]:
    """Of the kind that works: the parent also has a process that looks after shared memory."""
    found = [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return [one for one in found if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


def served(log: Processor) -> dict[str, set[int]]:
    """What each worker serves, by its name."""
    found: dict[str, set[int]] = {}
    for event in log.events():
        if event["event"] == "assigned":
            found[event["instance"]] = set()
        elif event["event"] == "serving":
            found[event["instance"]].add(event["partition"])
    return found


def share_all(log: Processor) -> bool:
    parts = served(log)
    return sorted(parts) == ["0-0", "0-1"] and sorted(map(len, parts.values())) == [2, 2]


def test_one_that_dies_is_started_again_and_nothing_is_lost(installation: Installation, workers: Processor) -> None:
    eventually(lambda: share_all(workers), f"each serves half: {workers.log.read_text()}", 60)
    customers = [f"crm:{number}" for number in range(40)]
    for customer in customers:
        installation.say(customer, HOSHI, "GIVEN")
        installation.update(customer)
    eventually(lambda: len(installation.holds(HOSHI)) == 40, "all are shared")
    victim = children(workers.process.pid)[0]
    os.kill(victim, signal.SIGKILL)
    for customer in customers[:20]:
        installation.say(customer, HOSHI, "WITHDRAWN")
    eventually(lambda: len(installation.holds(HOSHI)) == 20, "withdrawals are followed", 60)
    assert "was ended from outside by signal 9: starting it again" in workers.log.read_text()
    eventually(lambda: share_all(workers), "each serves half again", 60)
    workers.stop()
    assert len(installation.holds(ADRESSO)) == 40
    assert_verified(installation)


def test_they_end_with_their_parent(installation: Installation, workers: Processor) -> None:  # noqa: ARG001 - it is there
    eventually(lambda: share_all(workers), "each serves half", 60)
    theirs = children(workers.process.pid)
    assert len(theirs) == 2
    workers.kill()
    eventually(lambda: not any(Path(f"/proc/{one}").exists() for one in theirs), "no worker is left")


def test_what_they_did_is_told_together(installation: Installation) -> None:
    for number in range(40):
        installation.update(f"crm:{number}")
    done = installation.run("run", "sharing", "--workers", "2", "--until-end", "--metrics-port", "0")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["updates"], told["deliveries"], told["held_up"]) == (40, 40, {})
    assert len(installation.holds(ADRESSO)) == 40


def test_one_that_cannot_go_on_ends_them_all(installation: Installation) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1] - 1
        done = installation.run("run", "sharing", "--workers", "2", "--metrics-port", str(port))
    assert done.returncode == 1
    assert f"Cannot serve metrics on 127.0.0.1:{port + 1}" in done.stderr
    assert "A worker could not go on" in done.stderr
    assert "Traceback" not in done.stderr
