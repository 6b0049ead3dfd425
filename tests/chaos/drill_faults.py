"""What happens in a drill: each fault with the alert that says so, or with none, because it mends itself."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Producer

from sluice import topics
from sluice.partitioning import partition_of
from tests.chaos import faults
from tests.chaos.companions import Companion
from tests.chaos.contract_changes import ContractChanges
from tests.chaos.crm import Crm, Mix
from tests.chaos.faults import Counted, Scene
from tests.chaos.field import PROXIED, Field
from tests.chaos.proxy import Conditions
from tests.integration.installation import HOSHI, LISTMART, PARTITIONS

VICTIM = "1"
"""The processor to whom things are done; the others go on."""
TERM_SECONDS = 60
"""Within which the partner that falls silent has to acknowledge."""
_ALWAYS = float("inf")
_SLOW = Conditions(latency_seconds=0.05, bytes_per_second=2_000_000)
_CONSENTS = 20_000
_BAD_EVERY_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Drilled:
    """An installation under load. `companions` are everybody but the sharing processors, by name."""

    field: Field
    companions: dict[str, Companion]


@dataclass(frozen=True, slots=True)
class Fault:
    lasting: Callable[[Drilled], AbstractContextManager[None]]
    """Does it, and mends it in the end."""
    alert: str | None = None
    """The only one that may wake somebody; None: nobody is woken."""
    holds_after_seconds: int = 0
    """The alert's condition; from the fault."""

    @property
    def name(self) -> str:
        return self.lasting.__name__


@contextmanager
def killed_and_started_again(drilled: Drilled) -> Iterator[None]:
    drilled.field.processors[VICTIM].kill()
    yield


@contextmanager
def everybody_killed_and_started_again(drilled: Drilled) -> Iterator[None]:
    for processor in drilled.field.processors.values():
        processor.kill()
    yield


@contextmanager
def killed(drilled: Drilled) -> Iterator[None]:
    drilled.field.processors[VICTIM].kill(stays_dead_seconds=_ALWAYS)
    try:
        yield
    finally:
        drilled.field.processors[VICTIM].return_now()


@contextmanager
def frozen(drilled: Drilled) -> Iterator[None]:
    drilled.field.processors[VICTIM].freeze()
    try:
        yield
    finally:
        drilled.field.processors[VICTIM].thaw()


@contextmanager
def killed_in_a_transaction(drilled: Drilled) -> Iterator[None]:
    faults.kill_in_transaction(_scene(drilled))
    yield


@contextmanager
def two_of_the_same_name(drilled: Drilled) -> Iterator[None]:
    faults.twin(_scene(drilled))
    yield


@contextmanager
def store_lost(drilled: Drilled) -> Iterator[None]:
    drilled.field.processors[VICTIM].kill(loses_store=True)
    yield


@contextmanager
def contracts_changed_while_a_processor_dies(drilled: Drilled) -> Iterator[None]:
    scene = _scene(drilled)
    drilled.field.processors[VICTIM].kill()
    scene.contracts.change()
    yield


@contextmanager
def many_consents_at_once(drilled: Drilled) -> Iterator[None]:
    crm = Crm(drilled.field.installation, 1, 1_000, Mix(consents=1.0, garbage=0.0, misplaced=0.0))
    crm.send(_CONSENTS)
    crm.settle(60)
    yield


@contextmanager
def broker_started_again(drilled: Drilled) -> Iterator[None]:
    drilled.field.stack.stop_broker()
    drilled.field.stack.start()
    yield


@contextmanager
def broker_killed(drilled: Drilled) -> Iterator[None]:
    drilled.field.stack.kill_broker()
    try:
        yield
    finally:
        drilled.field.stack.start()


@contextmanager
def broker_paused(drilled: Drilled) -> Iterator[None]:
    with drilled.field.stack.paused_broker():
        yield


@contextmanager
def network_slow(drilled: Drilled) -> Iterator[None]:
    with _healed(drilled):
        drilled.field.stack.proxies[PROXIED].slow(_SLOW)
        yield


@contextmanager
def network_cut(drilled: Drilled) -> Iterator[None]:
    with _healed(drilled):
        drilled.field.stack.proxies[PROXIED].cut()
        yield


@contextmanager
def packets_lost(drilled: Drilled) -> Iterator[None]:
    with _healed(drilled):
        drilled.field.stack.proxies[PROXIED].black_hole()
        yield


@contextmanager
def transaction_left_open(drilled: Drilled) -> Iterator[None]:
    installation = drilled.field.installation
    client = {**installation.settings.client("admin"), "transactional.id": "upstream", "log_level": 0}
    upstream = Producer({**client, "transaction.timeout.ms": 900_000})
    upstream.init_transactions(10)
    upstream.begin_transaction()
    event = installation.consent_writer.write(installation.consent("crm:1", LISTMART, "GIVEN"))
    upstream.produce(topics.CONSENT_EVENTS, event, b"crm:1", partition=partition_of(b"crm:1", PARTITIONS))
    upstream.flush(10)
    try:
        yield
    finally:
        upstream.abort_transaction(10)


@contextmanager
def bad_deploy(drilled: Drilled) -> Iterator[None]:
    """A CRM goes on writing what nobody can read."""
    over = threading.Event()

    def write() -> None:
        while not over.wait(_BAD_EVERY_SECONDS):
            for number in range(10):
                drilled.field.installation.send(topics.CUSTOMER_UPDATES, b"crm:4", b"no record %d" % number)

    writer = threading.Thread(target=write, name="bad deploy")
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


@contextmanager
def silent_partner(drilled: Drilled) -> Iterator[None]:
    """One who reads, and does not say that anybody was deleted."""
    drilled.companions[f"acknowledge {HOSHI}"].pause()
    installation = drilled.field.installation
    installation.edit(HOSHI, "acknowledge_within: P3D", f"acknowledge_within: PT{TERM_SECONDS}S")
    installation.say("crm:silent", HOSHI, "GIVEN")
    installation.update("crm:silent")
    installation.say("crm:silent", HOSHI, "WITHDRAWN")
    try:
        yield
    finally:
        installation.edit(HOSHI, f"acknowledge_within: PT{TERM_SECONDS}S", "acknowledge_within: P3D")
        drilled.companions[f"acknowledge {HOSHI}"].go_on()


@contextmanager
def returns_killed(drilled: Drilled) -> Iterator[None]:
    drilled.companions["run returns"].pause()
    try:
        yield
    finally:
        drilled.companions["run returns"].go_on()


@contextmanager
def _healed(drilled: Drilled) -> Iterator[None]:
    try:
        yield
    finally:
        drilled.field.stack.proxies[PROXIED].restore()


def _scene(drilled: Drilled) -> Scene:
    chance = random.Random(1)
    return Scene(drilled.field, ContractChanges(drilled.field.installation, chance), chance, Counted())


FAULTS = (
    Fault(killed_and_started_again),
    Fault(killed, "SluiceDown"),
    Fault(frozen, "SluiceDown"),
    Fault(returns_killed, "SluiceDown"),
    Fault(killed_in_a_transaction),
    Fault(two_of_the_same_name),
    Fault(store_lost),
    Fault(contracts_changed_while_a_processor_dies),
    Fault(silent_partner, "SluiceRecallOverdue", TERM_SECONDS),
    Fault(network_slow),
    Fault(network_cut, "SluiceUnavailable"),
    Fault(packets_lost, "SluiceUnavailable"),
    Fault(many_consents_at_once),
    Fault(everybody_killed_and_started_again),
    Fault(broker_started_again),
    Fault(broker_killed, "SluiceUnavailable"),
    Fault(bad_deploy, "SluiceUpdatesPaused"),
    Fault(transaction_left_open, "SluiceWideningStopped"),
    Fault(broker_paused, "SluiceUnavailable"),
)
"""Those that stop the flow come last: what they make late is of an hour in which little was."""


def named(names: list[str]) -> tuple[Fault, ...]:
    """Raises KeyError for a name that none has."""
    by_name: dict[str, Any] = {fault.name: fault for fault in FAULTS}
    return tuple(by_name[name] for name in names)
