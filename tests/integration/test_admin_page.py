"""The page for operators and health, of processes that run on a real broker; looked at with a real browser too."""

from __future__ import annotations

import os
import re
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html import unescape
from itertools import count
from pathlib import Path

import pytest
from confluent_kafka import Consumer

from sluice import topics
from sluice.local import ports, stack
from sluice.local.stack import Endpoints
from tests.integration.browser import chromium
from tests.integration.installation import HOSHI, LISTMART, Installation, Processor, eventually
from tests.integration.upstream import Upstream

pytestmark = pytest.mark.broker


@pytest.fixture
def running(installation: Installation) -> Iterator[tuple[Processor, Processor]]:
    """Sharing, returns and providers, of which the page knows by the settings."""
    returns_port, providers_port = ports.choose(2)
    installation.write_settings(
        returns={"metrics": {"port": returns_port}}, providers={"metrics": {"port": providers_port}}
    )
    returns, providers = installation.start_returns(), installation.start_providers()
    sharing = installation.start_processor()
    yield sharing, returns
    for one in (sharing, returns, providers):
        if one.process.poll() is None:
            one.stop()


def place(process: Processor) -> str:
    return str(eventually(lambda: process.said("serving_metrics"), "served")["url"]).removesuffix("metrics")


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - our own server
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def text(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def seen(process: Processor, sentence: str) -> bool:
    return sentence in text(get(place(process))[1])


def answers(process: Processor, question: str, status: int, said: str) -> bool:
    return get(f"{place(process)}health/{question}") == (status, said)


def one_of_everything(installation: Installation) -> None:
    installation.say("crm:1", HOSHI, "GIVEN")
    installation.update("crm:1", email="somebody@example.com")
    installation.send(topics.CUSTOMER_UPDATES, b"crm:4", b"no record")
    eventually(lambda: installation.has(HOSHI, "crm:1"), "shared")
    installation.say("crm:1", HOSHI, "WITHDRAWN")
    eventually(lambda: installation.control(HOSHI), "recalled")


def test_the_page_tells_partners_recalls_rejects_and_contracts_and_of_no_customer(
    installation: Installation, running: tuple[Processor, Processor]
) -> None:
    sharing, _ = running
    one_of_everything(installation)
    eventually(lambda: seen(sharing, "hoshi-card shared with 0.0 0.0 1 0 0"), "one recall is open")
    assert seen(sharing, "crm.customer-updates not_framed 1 sluice redrive --topic crm.customer-updates")
    assert seen(sharing, "decides now")
    status, html = get(place(sharing))
    assert status == 200
    for mine in ("crm:1", "crm:4", "somebody@example.com", installation.pseudonym(HOSHI, "crm:1")):
        assert mine not in html


def test_the_page_says_what_is_wrong_and_how_the_alert_is_called(
    installation: Installation, running: tuple[Processor, Processor]
) -> None:
    sharing, returns = running
    eventually(lambda: seen(sharing, "Nothing is wrong that these processes know of."), "all is well")
    for number in range(60):
        installation.send(topics.CUSTOMER_UPDATES, b"crm:4", b"no record %d" % number)
    eventually(lambda: seen(sharing, "are held: too many cannot be used (not_framed: "), "held")
    returns.stop()
    eventually(lambda: seen(sharing, "not here:"), "returns do not answer")


def test_the_page_goes_on_telling_while_the_broker_is_away(
    endpoints: Endpoints, running: tuple[Processor, Processor]
) -> None:
    """Contract sets that were read before are shown all the same, and health says what is waited for."""
    sharing, _ = running
    state = endpoints.clients.parent
    assert seen(sharing, "decides now")
    for process in running:
        eventually(partial(answers, process, "ready", 200, "ready"), "ready", 60)
    stack.stop(state, ("broker",), patience=0)
    for process in running:
        eventually(partial(answers, process, "ready", 503, "waits for the broker"), "not ready", 60)
        assert answers(process, "live", 200, "alive")
        assert answers(process, "started", 200, "started")
    assert seen(sharing, "Sharing waits for the broker.")
    assert seen(sharing, "seconds behind not known")
    assert seen(sharing, "decides now")
    stack.start(state)
    for process in running:
        eventually(partial(answers, process, "ready", 200, "ready"), "ready again", 90)


def test_how_far_a_partner_has_read_is_known_from_its_groups(
    installation: Installation, running: tuple[Processor, Processor]
) -> None:
    _, returns = running
    one_of_everything(installation)
    eventually(lambda: returns.metric("sluice_partner_lag_records", partner=HOSHI) >= 2, "records wait", 60)
    consumer = Consumer(
        {
            **installation.settings.client(HOSHI),
            "group.id": topics.partner_group(HOSHI, "theirs"),
            "auto.offset.reset": "earliest",
            "auto.commit.interval.ms": 100,
        }
    )
    consumer.subscribe([topics.customers(HOSHI), topics.control(HOSHI)])

    def has_read_everything() -> bool:
        while consumer.poll(0.5) is not None:
            pass
        return returns.metric("sluice_partner_lag_records", partner=HOSHI) == 0

    eventually(has_read_everything, "nothing waits any more", 60)
    consumer.close()
    assert returns.metric("sluice_partner_stalled_seconds", partner=HOSHI) == 0


def test_a_browser_shows_the_page_and_runs_nothing(
    installation: Installation, running: tuple[Processor, Processor], tmp_path: Path
) -> None:
    """Chromium, on a wide window and on a narrow one, while updates flow; the page itself forbids scripts."""
    sharing, _ = running
    one_of_everything(installation)
    installation.say("crm:2", HOSHI, "GIVEN")
    with flowing(installation, "crm:2"):
        for width in (1280, 400):
            drawn(sharing, tmp_path / f"page-{width}.png", width)
        shown = text(chromium("--dump-dom", place(sharing)))
    assert "Sluice" in shown
    assert "hoshi-card" in shown
    assert re.search(r"updates a second [1-9]", shown), shown


def test_a_browser_shows_what_is_wrong(
    installation: Installation, running: tuple[Processor, Processor], tmp_path: Path
) -> None:
    sharing, _ = running
    one_of_everything(installation)
    upstream = Upstream(installation)
    upstream.consent(LISTMART, "GIVEN")
    try:
        eventually(lambda: seen(sharing, "Nothing new is shared on partition"), "noticed")
        drawn(sharing, tmp_path / "wrong-1280.png", 1280)
        shown = text(chromium("--dump-dom", place(sharing)))
    finally:
        upstream.abort()
    assert "open_transaction. What to do: docs/alerts.md, SluiceWideningStopped" in shown, shown


def drawn(process: Processor, picture: Path, width: int) -> None:
    chromium(f"--window-size={width},1040", f"--screenshot={picture}", place(process))
    assert picture.read_bytes().startswith(b"\x89PNG")
    if kept := os.environ.get("KEEP_PICTURES"):
        shutil.copy(picture, kept)


@contextmanager
def flowing(installation: Installation, customer: str) -> Iterator[None]:
    over = threading.Event()

    def update() -> None:
        for number in count():
            if over.wait(0.05):
                return
            installation.update(customer, given_name=f"N{number}")

    crm = threading.Thread(target=update, name="flow")
    crm.start()
    try:
        yield
    finally:
        over.set()
        crm.join()
