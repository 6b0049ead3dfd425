"""Each fault fires the alert that names its cause and wakes nobody for anything else, before a real Prometheus.

The rules are those that are deployed, but for their patience: what has to last half a minute there lasts a second here.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from sluice import topics
from sluice.local import stack
from sluice.local.stack import Endpoints
from sluice.metrics import rules
from sluice.metrics.alerts import Severity
from tests.integration.installation import HOSHI, LISTMART, Installation, Processor, eventually
from tests.integration.prometheus_server import Prometheus, prometheus
from tests.integration.upstream import Upstream

pytestmark = pytest.mark.broker

_QUICKER = 30
_UNITS = {"s": 1, "m": 60, "h": 3_600}
_QUIET_SECONDS = 15.0


@dataclass(slots=True)
class Watched:
    """An installation in front of Prometheus; one customer is shared with one partner."""

    installation: Installation
    state: Path
    processes: dict[str, Processor]
    server: Prometheus

    def pages(self) -> set[str]:
        return {one["alertname"] for one in self.server.firing() if one["severity"] == Severity.PAGE}


@pytest.fixture
def watched(endpoints: Endpoints, installation: Installation) -> Iterator[Watched]:
    installation.edit(HOSHI, "acknowledge_within: P3D", "acknowledge_within: PT4S")
    started = {
        "returns": installation.start_returns(),
        "providers": installation.start_providers(),
        "sharing": installation.start_processor(),
    }
    path = installation.folder / "rules.yaml"
    path.write_text(_impatient(), encoding="utf-8")
    with prometheus(installation.folder, {job: [_address(one)] for job, one in started.items()}, path) as server:
        eventually(lambda: len(server.ask("up == 1")) == len(started), "all are scraped")
        eventually(lambda: server.firing() == [], "and what was not there before is forgotten")
        installation.say("crm:1", HOSHI, "GIVEN")
        installation.update("crm:1")
        eventually(lambda: installation.has(HOSHI, "crm:1"), "shared")
        yield Watched(installation, endpoints.clients.parent, started, server)


def _impatient() -> str:
    document = yaml.safe_load(rules.document())
    for group in document["groups"]:
        for rule in group["rules"]:
            number, unit = re.fullmatch(r"(\d+)([smh])", rule.get("for", "0s")).groups()  # type: ignore[union-attr]
            if "alert" in rule:
                rule["for"] = f"{int(number) * _UNITS[unit] // _QUICKER}s"
    return str(yaml.safe_dump(document))


def _address(process: Processor) -> str:
    return str(urlsplit(eventually(lambda: process.said("serving_metrics"), "metrics are served")["url"]).netloc)


def killed(watched: Watched) -> None:
    watched.processes["sharing"].kill()


def frozen(watched: Watched) -> None:
    watched.processes["sharing"].process.send_signal(signal.SIGSTOP)


def broker_killed(watched: Watched) -> None:
    stack.stop(watched.state, ("broker",), patience=0)


def transaction_left_open(watched: Watched) -> None:
    Upstream(watched.installation).consent(LISTMART, "GIVEN")


def bad_deploy(watched: Watched) -> None:
    for number in range(100):
        watched.installation.send(topics.CUSTOMER_UPDATES, b"crm:4", b"no record %d" % number)


def silent_partner(watched: Watched) -> None:
    watched.installation.say("crm:1", HOSHI, "WITHDRAWN")


@pytest.mark.parametrize(
    ("fault", "alert"),
    [
        (killed, "SluiceDown"),
        (frozen, "SluiceDown"),
        (broker_killed, "SluiceUnavailable"),
        (transaction_left_open, "SluiceWideningStopped"),
        (bad_deploy, "SluiceUpdatesPaused"),
        (silent_partner, "SluiceRecallOverdue"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_fault_fires_the_alert_of_its_cause_and_wakes_nobody_for_another(
    watched: Watched, fault: Callable[[Watched], None], alert: str
) -> None:
    assert watched.pages() == set()
    fault(watched)
    try:
        eventually(watched.pages, "somebody is woken", 60)
        ends_at = time.monotonic() + _QUIET_SECONDS
        while time.monotonic() < ends_at:
            assert watched.pages() == {alert}
            time.sleep(1)
    finally:
        if fault is broker_killed:
            stack.start(watched.state)
        if fault is frozen:
            watched.processes["sharing"].process.send_signal(signal.SIGCONT)


def test_load_without_a_fault_tells_nobody_anything(watched: Watched) -> None:
    """Consents, updates and withdrawals that are acknowledged: for as long as half an hour to what has to last."""
    watched.installation.edit(HOSHI, "acknowledge_within: PT4S", "acknowledge_within: PT5M")
    installation, ends_at, number = watched.installation, time.monotonic() + 60, 1
    acknowledged: set[str] = set()
    while time.monotonic() < ends_at:
        number += 1
        customer = f"crm:{number}"
        installation.say(customer, HOSHI, "GIVEN")
        installation.update(customer)
        if number % 5 == 0:
            eventually(partial(installation.has, HOSHI, customer), "shared, so that there is something to recall")
            installation.say(customer, HOSHI, "WITHDRAWN")
        for message in installation.control(HOSHI):
            if message["decision_id"] not in acknowledged:
                acknowledged.add(message["decision_id"])
                installation.acknowledge(HOSHI, message)
        assert watched.server.firing() == []
    assert acknowledged, "there was something to be late with"
