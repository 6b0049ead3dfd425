"""Whatever happens to processors, broker and network under load: in the end the view is exact, and nobody crashed.

Whoever ends with a sentence is started again by a supervisor. Each test ends in the independent proof.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Consumer

from sluice import topics
from stream_processors.review.proving import Prover, Task
from tests.chaos import faults, recalls
from tests.chaos.contract_changes import ContractChanges
from tests.chaos.crm import LONGEST_GRANT_MS, Mix
from tests.chaos.faults import Counted, Scene
from tests.chaos.field import INSTANCES, PROXIED, Field
from tests.chaos.proxy import Conditions
from tests.chaos.supervision import FENCED_SENTENCE, Supervised
from tests.chaos.traffic import Traffic
from tests.integration.installation import HOSHI, PARTITIONS, PARTNERS, eventually
from tests.integration.proof import assert_verified

pytestmark = pytest.mark.broker

_QUIET_SECONDS = 120.0
_NO_SHORT_GRANTS = Mix(expiring=0.0)
"""So that nothing changes by itself while it is counted."""


def assert_exact(field: Field) -> None:
    """At rest, the proof holds; and every recall reached its partner."""
    come_to_rest(field)
    report = assert_verified(field.installation)
    assert sum(report["held"].values()) > 50
    account = recalls.account(field.installation)
    assert account.is_whole, account


def come_to_rest(field: Field) -> None:
    field.heal()
    if not field.group.is_quiet_within(_QUIET_SECONDS):
        newest = {who: processor.newest[-10:] for who, processor in field.processors.items()}
        pytest.fail(f"not at rest: {field.group.standing()}, {newest}")


def scene(field: Field, seed: int) -> Scene:
    chance = random.Random(seed)
    return Scene(field, ContractChanges(field.installation, chance), chance, Counted())


def serve(field: Field, *instances: str) -> None:
    """Start them, and wait until all partitions are with somebody."""
    field.start(instances)
    eventually(lambda: owned(field, instances) == set(range(PARTITIONS)), "every partition has an owner", 60)


def owned(field: Field, instances: tuple[str, ...]) -> set[int]:
    return {number for who in instances for number in owned_by(field.processors[who])}


def owned_by(processor: Supervised) -> tuple[int, ...]:
    return processor.assigned or ()


def test_killed_at_random_moments(field: Field) -> None:
    serve(field, *INSTANCES)
    chance = random.Random(1)
    with Traffic(field, seed=1, mix=_NO_SHORT_GRANTS):
        for _ in range(9):
            time.sleep(chance.uniform(0, 1.5))
            field.processors[chance.choice(INSTANCES)].kill()
    assert field.observed.kills > 5
    assert_exact(field)


def test_everybody_killed_at_once(field: Field) -> None:
    serve(field, *INSTANCES)
    with Traffic(field, seed=2, mix=_NO_SHORT_GRANTS):
        for _ in range(2):
            time.sleep(3)
            for processor in field.processors.values():
                processor.kill()
    assert_exact(field)


def test_owner_killed_between_producing_and_committing_is_fenced(field: Field) -> None:
    """Its successor ends what it left open, long before the broker would (after ten seconds)."""
    serve(field, *INSTANCES)
    stage = scene(field, 3)
    with Traffic(field, seed=3, per_second=800, mix=_NO_SHORT_GRANTS):
        said = eventually(lambda: _fenced(stage), "an open transaction that somebody else had to end", 120)
    assert float(said.split(" after ")[1].removesuffix(" s")) < 8, said
    assert_exact(field)


def _fenced(stage: Scene) -> str | None:
    said = faults.kill_in_transaction(stage)
    return said if "which was ended" in said else None


def test_frozen_for_longer_than_its_session(field: Field) -> None:
    """Others take over; when it goes on it publishes nothing of what it had in hand, and joins again or ends."""
    serve(field, "0", "1")
    frozen = field.processors["1"]
    with Traffic(field, seed=4, mix=_NO_SHORT_GRANTS):
        time.sleep(1)
        assert frozen.freeze()
        eventually(lambda: field.processors["0"].assigned == (0, 1, 2, 3), "taken over", 30)
        time.sleep(2)
        said = len(frozen.newest)
        assert frozen.thaw()
        eventually(lambda: _noticed(field, said), "it learns that it was given up", 60)
    assert_exact(field)


def _noticed(field: Field, said_before: int) -> bool:
    newest = field.processors["1"].newest
    since = newest[said_before:] if len(newest) >= said_before else newest
    fenced = any(sentence.startswith(FENCED_SENTENCE) for sentence in field.observed.sentences)
    return fenced or any('"assigned"' in line for line in since)


def test_two_of_the_same_name(field: Field) -> None:
    """The second takes over, the first ends with a sentence; neither publishes what is the other's."""
    serve(field, "0", "1")
    with Traffic(field, seed=5, mix=_NO_SHORT_GRANTS):
        twin = field.supervised("1", restarts=False, state="twin")
        twin.start()
        eventually(lambda: field.observed.fences + twin.observed.fences, "one of them is told", 60)
        field.dismiss(twin)
    assert_exact(field)


def test_joining_and_leaving_under_load(field: Field) -> None:
    serve(field, "0")
    with Traffic(field, seed=6, mix=_NO_SHORT_GRANTS):
        for joining in (field.processors["1"], field.processors["2"]):
            joining.start()
            eventually(partial(owned_by, joining), f"{joining.instance} has joined", 60)
            time.sleep(0.5)
        for who in ("0", "1"):
            field.processors[who].stop()
        eventually(lambda: field.processors["2"].assigned == (0, 1, 2, 3), "who stays has everything", 60)
        field.processors["0"].start()
        eventually(lambda: len(field.processors["2"].assigned or ()) == 2, "shared out again", 60)
    assert_exact(field)


def test_store_lost_under_load(field: Field) -> None:
    serve(field, "0", "1")
    with Traffic(field, seed=7, mix=_NO_SHORT_GRANTS):
        time.sleep(3)
        assert field.processors["0"].kill(loses_store=True)
        time.sleep(3)
    assert field.observed.events["store_rebuilt"] > PARTITIONS
    assert_exact(field)


def _stop_and_start(field: Field) -> None:
    field.stack.stop_broker()
    field.stack.start()


def _kill_and_start(field: Field) -> None:
    field.stack.kill_broker()
    field.stack.start()


def _pause(field: Field, seconds: float = 5) -> None:
    with field.stack.paused_broker():
        time.sleep(seconds)


@pytest.mark.parametrize("outage", [_stop_and_start, _kill_and_start, _pause])
def test_broker_away_under_load(field: Field, outage: Callable[[Field], None]) -> None:
    serve(field, "0", "1")
    with Traffic(field, seed=8, mix=_NO_SHORT_GRANTS):
        time.sleep(2)
        outage(field)
        time.sleep(2)
    assert_exact(field)


def test_broker_away_during_the_proof(field: Field, tmp_path: Path) -> None:
    """Longer than a request lasts: what was read is not read again, and the proof is whole."""
    serve(field, "0")
    with Traffic(field, seed=13, mix=_NO_SHORT_GRANTS):
        time.sleep(2)
    come_to_rest(field)
    outages: list[threading.Thread] = []

    def tell(_done: int, _total: int) -> None:
        if not outages:  # the first records are about to be read
            outages.append(threading.Thread(target=_pause, args=(field, 15)))
            outages[0].start()

    began = time.monotonic()
    with closing(Prover(Task(field.installation.settings, tmp_path, wait_seconds=30))) as prover:
        proof = prover.prove(0, tell)
    outages[0].join()
    assert time.monotonic() - began > 15
    assert proof.customers > 0
    assert proof.figures.differences == []


def _cut(field: Field) -> None:
    field.stack.proxies[PROXIED].cut()


def _lose_everything(field: Field) -> None:
    field.stack.proxies[PROXIED].black_hole()


@pytest.mark.parametrize("fault", [_cut, _lose_everything])
def test_one_processor_without_a_network(field: Field, fault: Callable[[Field], None]) -> None:
    """The others serve its partitions meanwhile, and it comes back."""
    serve(field, "0", "1")
    with Traffic(field, seed=9, mix=_NO_SHORT_GRANTS):
        time.sleep(1)
        fault(field)
        eventually(lambda: field.processors["1"].assigned == (0, 1, 2, 3), "taken over", 60)
        time.sleep(2)
        field.heal()
        eventually(lambda: len(field.processors["1"].assigned or ()) == 2, "shared out again", 90)
    assert_exact(field)


def test_one_processor_with_a_slow_network(field: Field) -> None:
    serve(field, "0", "1")
    field.stack.proxies[PROXIED].slow(Conditions(latency_seconds=0.05, bytes_per_second=500_000))
    with Traffic(field, seed=10, mix=_NO_SHORT_GRANTS):
        time.sleep(6)
    assert field.group.is_quiet_within(_QUIET_SECONDS), "not at rest with a slow network"
    assert_exact(field)


def test_partner_that_does_not_read(field: Field) -> None:
    """Its topic grows, and nobody else is any worse off; when it reads again it finds everything."""
    serve(field, "0", "1")
    client = field.installation.settings.client(HOSHI)
    partner = Consumer(
        {
            **client,
            "group.id": topics.partner_group(HOSHI, "slow"),
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "session.timeout.ms": 2_000,
            "max.poll.interval.ms": 2_000,
            "log_level": 0,
        }
    )
    try:
        partner.subscribe([topics.customers(HOSHI)])
        with Traffic(field, seed=11, mix=_NO_SHORT_GRANTS):
            first = eventually(lambda: partner.poll(0.2), "the partner reads once")
            time.sleep(5)  # and no more: its group gives it up
        assert first.error() is None
        assert_exact(field)
    finally:
        partner.close()
    assert len(field.installation.holds(HOSHI)) > 20


def test_producers_that_repeat_misplace_and_garble(field: Field) -> None:
    serve(field, "0", "1")
    mix = Mix(expiring=0.0, repeated=0.1, garbage=0.02, misplaced=0.01, deletions=0.05)
    with Traffic(field, seed=12, mix=mix):
        time.sleep(10)
    assert_exact(field)
    causes = {one["cause"] for one in field.installation.rejected()}
    assert len(causes) > 3, causes
    assert "misplaced" in causes
    assert field.observed.events["updates_paused"] == 0


def test_contracts_change_while_processors_die(field: Field) -> None:
    serve(field, *INSTANCES)
    stage = scene(field, 13)
    with Traffic(field, seed=13):
        for _ in range(6):
            faults.change_contracts(stage)
            time.sleep(stage.chance.uniform(0, 1))
            field.processors[stage.anybody()].kill()
    time.sleep(LONGEST_GRANT_MS / 1000)
    come_to_rest(field)
    assert_verified(field.installation)
    assert recalls.account(field.installation).is_whole


def test_backlog_of_consents_that_no_session_is_long_enough_for(field: Field) -> None:
    """Judged at once it would take longer than the session lasts: it has to be worked off in pieces all the same."""
    with Traffic(field, seed=14, customers=6_000, mix=_NO_SHORT_GRANTS):
        pass  # every customer is introduced, with a consent for each partner
    assert len(PARTNERS) * 6_000 > 15_000
    serve(field, "0")
    assert_exact(field)
