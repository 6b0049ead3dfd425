"""Everything that is done to a running installation, each as a function."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.contract_changes import ContractChanges
from tests.chaos.field import INSTANCES, PROXIED, Field
from tests.chaos.proxy import Conditions, Proxy

_IN_TRANSACTION_SECONDS = 10.0
_ENDED_SECONDS = 0.2
"""Within which the broker has carried out an end that was asked for."""
_LOOK_SECONDS = 0.05
_FENCED_SECONDS = 8.0
"""Less than a transaction lasts before the broker ends it, which is no proof of anything."""
_SLOW = Conditions(latency_seconds=0.05, bytes_per_second=2_000_000)


@dataclass(slots=True)
class Counted:
    """What was done to others than the processors; of those their supervisors count."""

    broker_restarts: int = 0
    broker_pauses: int = 0
    contract_changes: int = 0
    network_faults: int = 0
    freezes: int = 0
    twins: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    field: Field
    contracts: ContractChanges
    chance: random.Random
    counted: Counted

    def anybody(self) -> str:
        return self.chance.choice(INSTANCES)


Fault = Callable[[Scene], str]
"""Does it, and says what was done. Raises SluiceError when the broker was not there for it."""


def kill(scene: Scene) -> str:
    """At a random moment; the supervisor starts it again at once."""
    time.sleep(scene.chance.random())
    who = scene.anybody()
    return f"kill {who}" if scene.field.processors[who].kill() else f"{who} was dead already"


def kill_and_wait(scene: Scene) -> str:
    """It stays away for so long that the others take over."""
    who = scene.anybody()
    away = scene.field.session_timeout_seconds + scene.chance.uniform(1, 3)
    scene.field.processors[who].kill(stays_dead_seconds=away)
    return f"kill {who}, away for {away:.1f} s"


def kill_in_transaction(scene: Scene) -> str:
    """Between what it produces and its commit; it stays away until one of the others has ended what it left open."""
    field = scene.field
    victim = _frozen_in_transaction(scene)
    if victim is None or not field.processors[victim].kill(stays_dead_seconds=_FENCED_SECONDS):
        return "nobody could be caught in a transaction"
    killed, before = time.monotonic(), field.observed.fenced
    while field.observed.fenced == before:
        if time.monotonic() - killed > _FENCED_SECONDS:
            return f"kill {victim} with an open transaction, which nobody ended in {_FENCED_SECONDS:.0f} s"
        time.sleep(_LOOK_SECONDS)
    field.processors[victim].return_now()
    return f"kill {victim} with an open transaction, which was ended after {time.monotonic() - killed:.1f} s"


def _frozen_in_transaction(scene: Scene) -> str | None:
    """Somebody who has a transaction open, and does not go on; who had asked for its end already goes on."""
    deadline = time.monotonic() + _IN_TRANSACTION_SECONDS
    while time.monotonic() < deadline:
        for who, processor in scene.field.processors.items():
            partitions = processor.assigned if processor.runs else None
            if partitions and scene.field.group.writes_in(partitions) and processor.freeze():
                time.sleep(_ENDED_SECONDS)
                if scene.field.group.writes_in(partitions):
                    return who
                processor.thaw()
    return None


def kill_everybody(scene: Scene) -> str:
    for processor in scene.field.processors.values():
        processor.kill()
    return "kill everybody"


def lose_store(scene: Scene) -> str:
    who = scene.anybody()
    scene.field.processors[who].kill(loses_store=True)
    return f"kill {who}, its store is lost"


def freeze(scene: Scene) -> str:
    """For longer than its session lasts; then it goes on where it was."""
    who = scene.anybody()
    seconds = scene.field.session_timeout_seconds * 2 + scene.chance.uniform(0, 3)
    processor = scene.field.processors[who]
    scene.counted.freezes += processor.freeze()
    try:
        time.sleep(seconds)
    finally:
        processor.thaw()
    return f"freeze {who} for {seconds:.1f} s"


def twin(scene: Scene) -> str:
    """A second process under the same name, as after a deployment that went wrong."""
    who = scene.anybody()
    state = f"twin-{scene.counted.twins}"
    scene.counted.twins += 1
    other = scene.field.supervised(who, restarts=False, state=state)
    other.start()
    time.sleep(scene.chance.uniform(4, 8))
    scene.field.dismiss(other)
    shutil.rmtree(scene.field.folder / state / who, ignore_errors=True)
    return f"a twin of {who}"


def restart_broker(scene: Scene) -> str:
    scene.field.stack.stop_broker()
    scene.field.stack.start()
    scene.counted.broker_restarts += 1
    return "restart the broker"


def kill_broker(scene: Scene) -> str:
    scene.field.stack.kill_broker()
    scene.field.stack.start()
    scene.counted.broker_restarts += 1
    return "kill the broker"


def pause_broker(scene: Scene) -> str:
    seconds = scene.chance.uniform(1, 4)
    with scene.field.stack.paused_broker():
        time.sleep(seconds)
    scene.counted.broker_pauses += 1
    return f"pause the broker for {seconds:.1f} s"


def cut_network(scene: Scene) -> str:
    seconds = scene.chance.uniform(0.5, 4)
    _disturb(scene, seconds, Proxy.cut)
    return f"cut {PROXIED} off for {seconds:.1f} s"


def lose_packets(scene: Scene) -> str:
    seconds = scene.chance.uniform(1, 5)
    _disturb(scene, seconds, Proxy.black_hole)
    return f"nothing to and from {PROXIED} for {seconds:.1f} s"


def slow_network(scene: Scene) -> str:
    _disturb(scene, 4, lambda proxy: proxy.slow(_SLOW))
    return f"{_SLOW.latency_seconds * 1000:.0f} ms more for {PROXIED} for 4 s"


def _disturb(scene: Scene, seconds: float, fault: Callable[[Proxy], None]) -> None:
    proxy = scene.field.stack.proxies[PROXIED]
    scene.counted.network_faults += 1
    fault(proxy)
    time.sleep(seconds)
    proxy.restore()


def change_contracts(scene: Scene) -> str:
    what = scene.contracts.change()
    scene.counted.contract_changes += 1
    return what
