"""Every panel's query, before a real Prometheus that scrapes the processes it is about."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import pytest

from sluice import topics
from sluice.metrics.dashboards import DASHBOARDS
from tests.integration.installation import ADRESSO, HOSHI, Installation, Processor, eventually
from tests.integration.prometheus_server import Prometheus, prometheus

pytestmark = pytest.mark.broker


def test_every_panel_shows_something(installation: Installation) -> None:
    """After one of everything: shared, recalled, refused, rejected, asked, answered, taken back."""
    sharing = installation.start_processor()
    started = {"sharing": sharing, "returns": installation.start_returns(), "providers": installation.start_providers()}
    with prometheus(installation.folder, {job: _address(one) for job, one in started.items()}) as server:
        eventually(lambda: len(server.ask("up == 1")) == len(started), "all are scraped")
        _one_of_everything(installation)
        for title, expr in _questions():
            eventually(partial(_numbers, server, expr), f"{title} shows something: {expr}")
    for one in started.values():
        one.stop()


def _one_of_everything(installation: Installation) -> None:
    for customer in ("crm:1", "crm:2"):
        installation.say(customer, HOSHI, "GIVEN")
        installation.update(customer)
    installation.say("crm:3", HOSHI, "REFUSED")
    installation.update("crm:3")
    installation.send(topics.CUSTOMER_UPDATES, b"crm:4", b"no record")
    eventually(
        lambda: installation.has(HOSHI, "crm:1") and len(installation.requests(ADRESSO)) == 3, "shared, and asked"
    )
    installation.reply(ADRESSO, installation.requests(ADRESSO)[0])
    installation.send_back(HOSHI, b"k", b"no record")
    installation.say("crm:1", HOSHI, "WITHDRAWN")
    eventually(lambda: installation.control(HOSHI), "recalled")
    installation.acknowledge(HOSHI, installation.control(HOSHI)[0])
    eventually(installation.accepted, "acknowledged")


def _questions() -> Iterator[tuple[str, list[str]]]:
    """Each with its panel's title; those about one partner once for each, of which one has to have an answer."""
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            for query in panel.queries:
                expr = query.expr.replace("$__rate_interval", "1m")
                yield f"{dashboard.title}, {panel.title}", [expr.replace("$partner", one) for one in (HOSHI, ADRESSO)]


def _numbers(server: Prometheus, questions: list[str]) -> bool:
    return any(not math.isnan(float(sample["value"][1])) for question in questions for sample in server.ask(question))


def _address(process: Processor) -> str:
    return str(urlsplit(eventually(lambda: process.said("serving_metrics"), "metrics are served")["url"]).netloc)
