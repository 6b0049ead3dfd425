"""Every panel's query, before a real Prometheus that scrapes the processes it is about."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import pytest

from sluice import topics
from sluice.metrics.dashboards import DASHBOARDS
from tests.integration.installation import ADRESSO, HOSHI, Installation, Processor, eventually, now_ms
from tests.integration.prometheus_server import SCRAPED_EVERY_SECONDS, Prometheus, prometheus

pytestmark = pytest.mark.broker

SMALLEST = 1e-9
"""More than nothing."""
_WELL = {
    "Behind by",
    "Recalls that are overdue",
    "Processes that wait",
    "Nothing is added",
    "Updates held",
    "Updates held for",
    "Due soon",
    "Overdue",
    "Paused",
    "Paused partners",
    "Reads nothing",
    "Inputs that wait",
    "Transactions a second",
    "Still to reconcile",
    "Catching up",
    "Still to fold",
}
"""Panels that show nothing but zeros where all is well, or of which one query of several does."""


def test_every_panel_shows_something(installation: Installation) -> None:
    """After one of everything: shared, recalled, refused, rejected, asked, answered, taken back, reconciled, moved."""
    sharing = installation.start_processor()
    started = {"sharing": sharing, "returns": installation.start_returns(), "providers": installation.start_providers()}
    with prometheus(installation.folder, {job: [_address(one)] for job, one in started.items()}) as server:
        eventually(lambda: len(server.ask("up == 1")) == len(started), "all are scraped")
        for first in (1, 4):  # to Prometheus, what begins at 1 did not grow
            _one_of_everything(installation, *(f"crm:{number}" for number in range(first, first + 3)))
            with installation.processor("1"):
                pass  # partitions go to it, and come back
            time.sleep(2 * SCRAPED_EVERY_SECONDS)
        installation.edit(HOSHI, "acknowledge_within: P3D", "acknowledge_within: P4D")
        installation.say("crm:5", HOSHI, "WITHDRAWN")  # which nobody acknowledges
        for title, panel, expr in _questions():
            least = 0.0 if panel in _WELL else SMALLEST
            eventually(partial(_shows, server, expr, least), f"{title}, {panel} shows something: {expr}")
    for one in started.values():
        one.stop()


def _one_of_everything(installation: Installation, shared: str, kept: str, refused: str) -> None:
    """Of three customers; one more has an update that nobody can read."""
    before = len(installation.requests(ADRESSO)), len(installation.control(HOSHI)), len(installation.accepted())
    installation.say(shared, HOSHI, "GIVEN")
    installation.say(kept, HOSHI, "GIVEN", valid_until=now_ms() + 86_400_000)
    for customer in (shared, kept):
        installation.update(customer)
    installation.say(refused, HOSHI, "REFUSED")
    installation.update(refused)
    installation.send(topics.CUSTOMER_UPDATES, b"crm:99", b"no record")
    eventually(lambda: installation.has(HOSHI, shared), "shared")
    eventually(lambda: len(installation.requests(ADRESSO)) == before[0] + 3, "asked")
    asked_as = installation.pseudonym(ADRESSO, refused)
    installation.reply(ADRESSO, next(one for one in installation.requests(ADRESSO) if one["customer"] == asked_as))
    eventually(installation.enrichments, "taken in")
    installation.send_back(HOSHI, b"k", b"no record")
    installation.say(shared, HOSHI, "WITHDRAWN")
    eventually(lambda: len(installation.control(HOSHI)) > before[1], "recalled")
    installation.acknowledge(HOSHI, installation.control(HOSHI)[-1])
    eventually(lambda: len(installation.accepted()) > before[2], "acknowledged")
    installation.delete(refused)
    eventually(lambda: not installation.enrichments(), "what was appended is taken back")


def _questions() -> Iterator[tuple[str, str, list[str]]]:
    """Each with its panel's title; those about one partner once for each, of which one has to have an answer."""
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            for query in panel.queries:
                expr = query.expr.replace("$__rate_interval", "1m")
                yield dashboard.title, panel.title, [expr.replace("$partner", one) for one in (HOSHI, ADRESSO)]


def _shows(server: Prometheus, questions: list[str], least: float) -> bool:
    found = [float(sample["value"][1]) for question in questions for sample in server.ask(question)]
    return any(value >= least for value in found if not math.isnan(value))


def _address(process: Processor) -> str:
    return str(urlsplit(eventually(lambda: process.said("serving_metrics"), "metrics are served")["url"]).netloc)
