"""Killed, lost, taken over: whatever happens to the processor, the view equals the recomputed one."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time

import pytest

from sluice import topics
from sluice.keys import (
    PartnerKeys,  # fmt: skip
    keyed_digest,
    load_master_key,
)
from sluice.local import stack
from sluice.local.stack import Endpoints
from tests.integration.installation import HOSHI, PARTNERS, Installation, eventually, now_ms
from tests.integration.recomputation import recompute

pytestmark = pytest.mark.broker


class Load:
    """A seeded CRM: changing profiles, deletions, grants, refusals and withdrawals of some customers."""

    def __init__(self, installation: Installation, seed: int, customers: int = 150) -> None:
        self._installation = installation
        self._chance = random.Random(seed)
        self._customers = [f"crm:{number}" for number in range(customers)]
        self._clock = now_ms() - 10_000_000

    def send(self, events: int) -> None:
        crm = self._installation.crm
        for _ in range(events):
            topic, customer, value = self._event()
            crm.produce(topic, value, customer.encode())
            crm.poll(0)
        assert crm.flush(30) == 0

    def _event(self) -> tuple[str, str, bytes | None]:
        customer = self._chance.choice(self._customers)
        self._clock += 1
        if self._chance.random() < 0.5:
            gone = self._chance.random() < 0.05
            fields = {"given_name": f"Name{self._clock}", "email": f"a{self._clock}@example.com"}
            return topics.CUSTOMER_UPDATES, customer, None if gone else self._installation.profile(customer, **fields)
        partner = self._chance.choice(PARTNERS)
        state = self._chance.choices(["GIVEN", "WITHDRAWN", "REFUSED"], [0.75, 0.2, 0.05])[0]
        event = self._installation.consent(customer, partner, state, at=self._clock, expression="explicit")
        return topics.CONSENT_EVENTS, customer, self._installation.consent_writer.write(event)


def assert_exact(installation: Installation) -> None:
    """Partner topics, recomputation from the inputs, and the fold of the disclosures: all three the same."""
    expected = eventually(lambda: _agreed(installation), "the view equals the recomputed one", 60)
    master = load_master_key(installation.settings.master_key)
    disclosed = installation.disclosed()
    for partner in PARTNERS:
        digests = {h[partner].pseudonym: h[partner].digest for h in disclosed.values() if partner in h}
        key = PartnerKeys.of(master, partner, 1).digest
        raw = {(r.key or b"").decode(): r.value for r in installation.read_as(partner, topics.customers(partner))}
        assert digests == {name: keyed_digest(key, value) for name, value in raw.items() if value is not None}
        assert set(digests) == set(expected[partner])
    assert any(expected.values())


def _agreed(installation: Installation) -> dict[object, dict[str, dict[str, object]]] | None:
    expected = recompute(installation)
    return expected if expected == {partner: installation.holds(partner) for partner in PARTNERS} else None  # type: ignore[return-value]


def test_process_killed_at_any_instruction(installation: Installation) -> None:
    installation.write_settings(batch=50)
    load = Load(installation, seed=1)
    load.send(300)
    for number in range(8):
        processor = installation.start_processor()
        load.send(250)
        time.sleep(0.05 * number)
        processor.kill()
    with installation.processor():
        assert_exact(installation)


def test_store_is_lost(installation: Installation) -> None:
    load = Load(installation, seed=2)
    with installation.processor():
        load.send(600)
        assert_exact(installation)
    shutil.rmtree(installation.folder / "state")
    load.send(200)
    with installation.processor() as processor:
        assert processor.said("store_rebuilt")
        assert_exact(installation)
        eventually(lambda: processor.metric("sluice_catching_up") == 0, "caught up")


def test_store_is_damaged(installation: Installation) -> None:
    load = Load(installation, seed=3)
    with installation.processor():
        load.send(400)
        assert_exact(installation)
    for path in (installation.folder / "state").rglob("*.sst"):
        path.write_bytes(b"damaged")
    for path in (installation.folder / "state").rglob("MANIFEST-*"):
        path.write_bytes(b"damaged")
    load.send(100)
    with installation.processor():
        assert_exact(installation)


def test_two_processors_and_one_dies(installation: Installation) -> None:
    load = Load(installation, seed=4)
    first = installation.start_processor("0")
    second = installation.start_processor("1")
    eventually(lambda: len(first.last("assigned").get("partitions", ())) == 2, "shared out")
    load.send(400)
    first.kill()
    load.send(400)
    eventually(lambda: second.last("assigned").get("partitions") == [0, 1, 2, 3], "taken over", 60)
    assert_exact(installation)
    second.stop()


def test_process_stopped_for_longer_than_the_session_timeout(installation: Installation) -> None:
    """The old owner comes back to a group that has moved on: it publishes nothing of what it held in hand."""
    load = Load(installation, seed=5)
    first = installation.start_processor("0")
    load.send(300)
    os.kill(first.process.pid, signal.SIGSTOP)
    load.send(200)
    second = installation.start_processor("1", wait=False)
    eventually(lambda: second.said("assigned"), "taken over", 60)
    load.send(200)
    os.kill(first.process.pid, signal.SIGCONT)
    assert_exact(installation)


def test_clean_restart_reads_no_log_again(installation: Installation) -> None:
    load = Load(installation, seed=6)
    with installation.processor():
        load.send(300)
        assert_exact(installation)
    with installation.processor() as processor:
        assert processor.said("folded") is None
        assert_exact(installation)


def test_second_process_with_the_same_instance_ends_the_first(installation: Installation) -> None:
    first = installation.start_processor("0")
    installation.write_settings(state=str(installation.folder / "other-state"))
    second = installation.start_processor("0", wait=False)
    eventually(lambda: second.said("assigned"), "the second has its partitions", 60)
    for number in range(20):  # something to write in every partition: a fenced process notices when it writes
        installation.say(f"crm:{number}", HOSHI, "GIVEN")
        installation.update(f"crm:{number}")
    first.process.wait(60)
    assert first.process.returncode == 1
    assert "Another process runs as" in first.log.read_text()
    assert_exact(installation)


def test_broker_killed_under_load(endpoints: Endpoints, installation: Installation) -> None:
    """In the middle of a batch, perhaps of a transaction. Whoever ends with a sentence is started again."""
    state = endpoints.clients.parent
    installation.write_settings(batch=20)
    load = Load(installation, seed=8)
    processor = installation.start_processor()
    load.send(400)
    stack.stop(state, ("broker",), patience=0)
    stack.start(state)
    load.send(100)
    running = [processor]

    def exact_if_supervised() -> bool:
        if running[-1].process.poll() is not None:
            assert "Traceback" not in running[-1].log.read_text(encoding="utf-8")
            running.append(installation.start_processor(wait=False))
        return _agreed(installation) is not None

    eventually(exact_if_supervised, "the view equals the recomputed one", 150)
    assert_exact(installation)
