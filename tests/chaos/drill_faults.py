"""What happens in a drill: each fault with the alert that says so, or with none, because it mends itself."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

from sluice import topics
from sluice.kafka.admin import high_watermarks
from sluice.partitioning import partition_of
from tests.chaos import faults
from tests.chaos.contract_changes import ContractChanges
from tests.chaos.crm import Crm, Mix
from tests.chaos.drilled import Drilled
from tests.chaos.faults import Counted, Scene
from tests.chaos.field import PROXIED
from tests.chaos.proxy import Conditions
from tests.integration.installation import HOSHI, LISTMART, PARTITIONS, eventually
from tests.integration.upstream import Upstream

VICTIM = "1"
"""The processor to whom things are done; the others go on."""
TERM_SECONDS = 60
"""Within which the partner that falls silent has to acknowledge."""
_GIVEN_UP_AFTER_SECONDS = 10
"""Of who says nothing, not even no, it is known when a request has timed out: of a process when Prometheus' has
(`scrape_timeout`), of a broker when a processor's has (`socket.timeout.ms`)."""
_LIVES = 3
_A_LIFE_SECONDS = 25
_ALWAYS = float("inf")
_SLOW = Conditions(latency_seconds=0.05, bytes_per_second=2_000_000)
_CONSENTS = 20_000
_BAD_EVERY_SECONDS = 0.1
_GARBLED = b"crm:4"
_ATTEMPTS = 6
"""To catch somebody in a transaction, of which there are few and short ones."""


class NotDone(Exception):
    """The fault could not be brought about: nothing is learned of it."""


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
    _kill(drilled)
    yield


@contextmanager
def killed_again_and_again(drilled: Drilled) -> Iterator[None]:
    """As who dies of the same record in each of its lives, which Prometheus sees one by one."""
    _kill(drilled)
    for _ in range(_LIVES):
        for _ in range(_A_LIFE_SECONDS):
            drilled.look()
        _kill(drilled)
    yield


@contextmanager
def everybody_killed_and_started_again(drilled: Drilled) -> Iterator[None]:
    for instance in drilled.field.processors:
        _kill(drilled, instance)
    yield


@contextmanager
def killed(drilled: Drilled) -> Iterator[None]:
    _kill(drilled, stays_dead_seconds=_ALWAYS)
    try:
        yield
    finally:
        drilled.field.processors[VICTIM].return_now()


@contextmanager
def frozen(drilled: Drilled) -> Iterator[None]:
    if not drilled.field.processors[VICTIM].freeze():
        raise NotDone("nobody was there to freeze")
    try:
        yield
    finally:
        drilled.field.processors[VICTIM].thaw()


@contextmanager
def killed_in_a_transaction(drilled: Drilled) -> Iterator[None]:
    before = drilled.field.observed.kills
    for _ in range(_ATTEMPTS):
        what = faults.kill_in_transaction(_scene(drilled))
        if drilled.field.observed.kills > before:
            break
    else:
        raise NotDone(what)
    yield


@contextmanager
def two_of_the_same_name(drilled: Drilled) -> Iterator[None]:
    faults.twin(_scene(drilled))
    yield


@contextmanager
def store_lost(drilled: Drilled) -> Iterator[None]:
    lost = drilled.field.observed.lost_stores
    _kill(drilled, loses_store=True)
    if drilled.field.observed.lost_stores == lost:
        raise NotDone("there was no store to lose")
    yield


@contextmanager
def contracts_changed_while_a_processor_dies(drilled: Drilled) -> Iterator[None]:
    scene = _scene(drilled)
    _kill(drilled)
    scene.contracts.change()
    yield


@contextmanager
def many_consents_at_once(drilled: Drilled) -> Iterator[None]:
    _publish(drilled, _CONSENTS, Mix(consents=1.0, garbage=0.0, misplaced=0.0))
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
    upstream = Upstream(drilled.field.installation)
    upstream.consent(LISTMART, "GIVEN")
    try:
        yield
    finally:
        upstream.abort()


@contextmanager
def bad_deploy(drilled: Drilled) -> Iterator[None]:
    """A CRM goes on writing what nobody can read; at the end the last of it is acknowledged (docs/operating.md)."""
    over = threading.Event()

    def write() -> None:
        while not over.wait(_BAD_EVERY_SECONDS):
            for number in range(10):
                drilled.field.installation.send(topics.CUSTOMER_UPDATES, _GARBLED, b"no record %d" % number)

    writer = threading.Thread(target=write, name="bad deploy")
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()
        place = topics.CUSTOMER_UPDATES, partition_of(_GARBLED, PARTITIONS)
        end = high_watermarks(drilled.field.installation.admin, [place])[place]
        for processor in drilled.field.processors.values():
            processor.acknowledge(f"{place[0]}/{place[1]}@{end - 1}")


@contextmanager
def silent_partner(drilled: Drilled) -> Iterator[None]:
    """One who reads, and does not say that anybody was deleted."""
    installation = drilled.field.installation
    installation.edit(HOSHI, "acknowledge_within: P3D", f"acknowledge_within: PT{TERM_SECONDS}S")
    drilled.companions[f"acknowledge {HOSHI}"].kill()
    try:
        installation.say("crm:silent", HOSHI, "GIVEN")
        installation.update("crm:silent")
        _await(partial(installation.has, HOSHI, "crm:silent"), "the update was not shared in a minute")
        installation.say("crm:silent", HOSHI, "WITHDRAWN")
        yield
    finally:
        installation.edit(HOSHI, f"acknowledge_within: PT{TERM_SECONDS}S", "acknowledge_within: P3D")
        drilled.companions[f"acknowledge {HOSHI}"].start_again()


@contextmanager
def returns_killed(drilled: Drilled) -> Iterator[None]:
    drilled.companions["run returns"].kill()
    try:
        yield
    finally:
        drilled.companions["run returns"].start_again()


def _await(condition: Callable[[], object], otherwise: str) -> None:
    try:
        eventually(condition, otherwise, 60)
    except AssertionError as too_late:
        raise NotDone(otherwise) from too_late


@contextmanager
def providers_killed(drilled: Drilled) -> Iterator[None]:
    drilled.companions["run providers"].kill()
    try:
        yield
    finally:
        drilled.companions["run providers"].start_again()


@contextmanager
def processor_leaves_and_comes_back(drilled: Drilled) -> Iterator[None]:
    """As when versions are replaced one by one."""
    drilled.field.processors[VICTIM].stop()
    drilled.field.processors[VICTIM].start()
    yield


@contextmanager
def partner_does_not_read(drilled: Drilled) -> Iterator[None]:
    """A ticket, after an hour."""
    drilled.companions[f"tail {HOSHI}"].kill()
    try:
        yield
    finally:
        drilled.companions[f"tail {HOSHI}"].start_again()


@contextmanager
def producers_repeat_misplace_and_garble(drilled: Drilled) -> Iterator[None]:
    _publish(drilled, 2_000, Mix(expiring=0.0, repeated=0.1, garbage=0.02, misplaced=0.01, deletions=0.05))
    yield


def _publish(drilled: Drilled, count: int, mix: Mix) -> None:
    crm = Crm(drilled.field.installation, 1, 1_000, mix)
    crm.send(count)
    if not crm.settle(60):
        raise NotDone("the broker did not take the events in a minute")


@contextmanager
def _healed(drilled: Drilled) -> Iterator[None]:
    try:
        yield
    finally:
        drilled.field.stack.proxies[PROXIED].restore()


def _kill(
    drilled: Drilled, instance: str = VICTIM, *, stays_dead_seconds: float = 0.0, loses_store: bool = False
) -> None:
    killed_it = drilled.field.processors[instance].kill(stays_dead_seconds=stays_dead_seconds, loses_store=loses_store)
    if not killed_it:
        raise NotDone(f"{instance} was dead already")


def _scene(drilled: Drilled) -> Scene:
    chance = random.Random(1)
    return Scene(drilled.field, ContractChanges(drilled.field.installation, chance), chance, Counted())


FAULTS = (
    Fault(killed_and_started_again),
    Fault(killed, "SluiceDown"),
    Fault(killed_again_and_again, "SluiceRestarting"),
    Fault(frozen, "SluiceDown", _GIVEN_UP_AFTER_SECONDS),
    Fault(returns_killed, "SluiceDown"),
    Fault(providers_killed, "SluiceDown"),
    Fault(processor_leaves_and_comes_back),
    Fault(partner_does_not_read),
    Fault(producers_repeat_misplace_and_garble),
    Fault(killed_in_a_transaction),
    Fault(two_of_the_same_name),
    Fault(store_lost),
    Fault(contracts_changed_while_a_processor_dies),
    Fault(silent_partner, "SluiceRecallOverdue", TERM_SECONDS),
    Fault(network_slow),
    Fault(network_cut, "SluiceUnavailable"),
    Fault(packets_lost, "SluiceUnavailable", _GIVEN_UP_AFTER_SECONDS),
    Fault(many_consents_at_once),
    Fault(everybody_killed_and_started_again),
    Fault(broker_started_again),
    Fault(broker_killed, "SluiceUnavailable"),
    Fault(bad_deploy, "SluiceUpdatesPaused"),
    Fault(transaction_left_open, "SluiceWideningStopped"),
    Fault(broker_paused, "SluiceUnavailable", _GIVEN_UP_AFTER_SECONDS),
)
"""Those that stop the flow come last: what they make late is of an hour in which little was."""
