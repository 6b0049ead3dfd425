"""What goes wrong, and everybody else who acts beside the processors. Which of it, is drawn anew for each seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from sluice import topics
from sluice.errors import SluiceError
from sluice.log import Aborted, LogUnavailable
from sluice.model import CustomerId
from sluice.store import StoreTrouble
from stream_processors.sharing.brake import BrakePolicy
from stream_processors.sharing.redrives import Redrive
from tests.simulation.installation import MINUTE, PARTITIONS, SETS, installation
from tests.simulation.oracle import decoded, is_placed, of_nobody
from tests.simulation.process import TOMBSTONES_KEPT_MS, Process

if TYPE_CHECKING:
    from tests.simulation.world import World

_TOMBSTONE_MARGIN_MS = 30 * MINUTE
"""Clocks of processors and broker differ."""
_WRITTEN = ("flush", "send_offsets", "commit")
_ENOUGH = 110
"""Records of both inputs in one seed: short histories are many."""
_HOURS = 3 * 60 * MINUTE


@dataclass(frozen=True, slots=True)
class Trouble:
    """How often a call goes wrong."""

    aborts: float
    unavailable: float
    unknown: float
    """A commit of which the process does not learn what became."""
    store: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What one seed does."""

    trouble: Trouble
    busy: float
    """How often a processor acts, rather than somebody else."""
    weights: Mapping[str, float]

    def draw(self, rng: Random, world: World) -> tuple[str, Callable[[World], str]]:
        names = [name for name in self.weights if name not in _ONLY_WHEN or _ONLY_WHEN[name](world)]
        if world.producers.written > _ENOUGH:
            names = [name for name in names if name not in _WRITING]
        name = rng.choices(names, [self.weights[name] for name in names])[0]
        return name, ACTIONS[name]


def plan(rng: Random) -> Plan:
    """Some of the actions, each with its own weight: what never happens in one seed leaves room for other things."""
    weights = {name: weight * rng.choice((0, 0.5, 1, 1, 3)) for name, (weight, _) in _WEIGHTS.items()}
    weights |= {"restart": 6.0, "mark": 8.0, "resume": 4.0}
    often = rng.choice((0.0, 1.0, 1.0, 4.0))
    trouble = Trouble(
        aborts=0.03 * often * rng.choice((0, 1, 2)),
        unavailable=0.003 * often * rng.choice((0, 1, 2)),
        unknown=0.04 * often * rng.choice((0, 1, 2)),
        store=0.01 * often * rng.choice((0, 1)),
    )
    return Plan(trouble, rng.choice((0.5, 0.7, 0.85, 0.95)), weights)


_READING = frozenset(
    {"fetch", "fetch_joined", "stable_ends", "high_watermarks", "committed", "bounds", "read", "start", "republish"}
    | {"redrives", "newest_set", "refresh_sets", "identity", "reconnect", "fence_the_dead", "hold"}
)


def trouble(world: World, process: Process, call: str, how: Trouble) -> None:
    """Raises what goes wrong at this call, if something does."""
    rng = world.rng
    if call in _READING and rng.random() < how.unavailable:
        world.say(process.instance, f"{call} is not answered")
        raise LogUnavailable("The broker does not answer.")
    if call in ("flush", "send_offsets", "commit") and rng.random() < how.aborts:
        world.say(process.instance, f"{call} ends in an abort")
        raise Aborted("The broker says no", retriable=rng.random() < 0.8)
    if call in ("commit", "committed_now") and rng.random() < how.unknown:
        world.say(process.instance, f"{call} is never answered")
        raise SluiceError("Cannot commit: the process ends, and a restart reads what is true.")
    if call == "write_store" and rng.random() < how.store:
        raise StoreTrouble("The store cannot be written: no space left.")


def _restart(world: World) -> str:
    process = world.rng.choice([one for one in world.processes.values() if not one.is_running])
    process.start()
    return process.instance


def _crash(world: World) -> str:
    process = world.rng.choice(_running(world))
    at = process.at
    process.crash()
    lost = _lose_store(world) if world.rng.random() < 0.3 else "its stores are whole"
    return f"{process.instance} at {at}; {lost}"


def _end(world: World) -> str:
    process = world.rng.choice(_running(world))
    if process.processor is not None:
        process.processor.stop()
    return process.instance


def _stop(world: World) -> str:
    process = world.rng.choice(_running(world))
    process.is_stopped = True
    if world.rng.random() < 0.5:
        world.pass_time(world.rng.uniform(0, 9_000))
    process.wakes_at = max(process.wakes_at, world.now + world.rng.uniform(0, 60))
    return f"{process.instance} at {process.at}"


def _stop_before_the_commit(world: World) -> str:
    """Long enough for somebody else to be given its partitions, not for its transaction to be given up."""
    process = world.rng.choice([one for one in _running(world) if one.at in _WRITTEN])
    process.is_stopped = True
    world.pass_time(world.rng.uniform(6_050, 8_000))
    process.wakes_at = max(process.wakes_at, world.now + world.rng.uniform(20, 200))
    return f"{process.instance} at {process.at}"


def _resume(world: World) -> str:
    process = world.rng.choice(_resumable(world))
    process.is_stopped = False
    return f"{process.instance} at {process.at}"


def _resumable(world: World) -> list[Process]:
    return [one for one in world.processes.values() if one.is_stopped and world.now >= one.wakes_at]


def _running(world: World) -> list[Process]:
    return [one for one in world.processes.values() if one.is_running]


def _lose_store(world: World) -> str:
    process = world.rng.choice([one for one in world.processes.values() if not one.is_running])
    if not process.stores.contents:
        return "there is none"
    number = world.rng.choice(sorted(process.stores.contents))
    match world.rng.randrange(4):
        case 0:
            del process.stores.contents[number]
            return f"{process.instance} has lost {number}"
        case 1:
            process.stores.damage(number)
            return f"{process.instance} has {number} damaged"
        case _:
            return f"{process.instance} has {number} of a backup: {process.stores.put_back(number)}"


def _copy_store(world: World) -> str:
    process = world.rng.choice(list(world.processes.values()))
    for number in process.stores.contents:
        process.stores.copy(number)
    return process.instance


def _mark(world: World) -> str:
    transaction = world.rng.choice(world.cluster.unmarked)
    world.cluster.mark(transaction, world.rng.randrange(8))
    return f"{transaction.name} {transaction.state.value}"


def _compact(world: World) -> str:
    topic = world.rng.choice((topics.CUSTOMER_UPDATES, *(name for name in topics_compacted())))
    log = world.cluster.logs[topic, world.rng.randrange(PARTITIONS)]
    log.compact(world.rng.randint(0, log.high), world.now - TOMBSTONES_KEPT_MS - _TOMBSTONE_MARGIN_MS)
    return topic


def topics_compacted() -> tuple[str, ...]:
    """Beside the customers' updates; partner topics are read by partners alone."""
    return ()


def other_contracts(world: World) -> str:
    world.sets.append(world.rng.choice(list(SETS)))
    return world.sets[-1]


def _skew(world: World) -> str:
    """A clock that goes a little wrong, forward or back."""
    process = world.rng.choice(list(world.processes.values()))
    change = world.rng.uniform(-3, 3) * MINUTE
    process.skew_ms += change
    process.believed_skew_ms = max(process.believed_skew_ms, process.skew_ms)
    return f"{process.instance} by {change:.0f} ms"


def _jump(world: World) -> str:
    process = world.rng.choice(_running(world))
    process.skew_ms += world.rng.choice((15, 40)) * MINUTE
    if not process.knows_the_time:
        process.believed_skew_ms = max(process.believed_skew_ms, process.skew_ms)
    return process.instance


def _pass(least: float, most: float) -> Callable[[World], str]:
    def passing(world: World) -> str:
        milliseconds = world.rng.uniform(least, most)
        world.pass_time(milliseconds)
        return f"{milliseconds:.0f} ms"

    return passing


def _sleep(world: World) -> str:
    """Every machine is suspended: longer than anybody's session, and at times than tombstones are kept."""
    milliseconds = world.rng.uniform(MINUTE, _HOURS)
    world.pass_time(milliseconds, asleep=True)
    return f"{milliseconds:.0f} ms"


def _outage(world: World) -> str:
    """Nobody processes for hours, while customers are deleted and compaction takes all it may."""
    for process in _running(world):
        process.crash()
    deleted = [world.producers.delete() for _ in range(world.rng.randint(1, 4))]
    world.pass_time(world.rng.uniform(_HOURS / 4, _HOURS))
    for number in range(PARTITIONS):
        log = world.cluster.logs[topics.CUSTOMER_UPDATES, number]
        log.compact(log.high, world.now - TOMBSTONES_KEPT_MS - _TOMBSTONE_MARGIN_MS)
    return f"of hours: {deleted}"


def _registry(_world: World) -> str:
    one = installation()
    unreachable = one.schemas.unreachable
    if unreachable:
        unreachable.clear()
        return "is back"
    next_versions = [int.from_bytes(value[1:5], "big") for value in _framed()]
    unreachable.update(next_versions)
    return f"does not know {sorted(unreachable)}"


def _framed() -> list[bytes]:
    one = installation()
    consent = {"record_id": "", "subject_id": "", "purpose": "", "state": "GIVEN", "expression": "explicit"}
    consent |= {"actor": "subject"}
    return [
        one.profile_next.write({"customer_id": "", "updated_at": 0, **_NOTHING}),
        one.consent_next.write({**consent, "event_time": 0, "recorded_at": 0}),
    ]


_NOTHING = {"restricted": False}


def _rebalance(world: World) -> str:
    world.cluster.group.rebalance()
    return "everybody has to come back"


def later(world: World) -> str:
    """Time goes on, and nothing else happens."""
    world.pass_time(world.rng.randrange(1, 12) * MINUTE)
    world.sharpen()
    return "time goes on"


def news(world: World) -> str:
    """A few more inputs, right ones."""
    writes = world.producers
    for _ in range(world.rng.randint(1, 6)):
        world.say("last", world.rng.choice((writes.update, writes.delete, writes.grant, writes.withdraw))())
    return "the last inputs"


def unacknowledged(world: World) -> list[str]:
    """What only an operator can settle: consent events of nobody, and the updates that hold a partition."""
    found = []
    for number in range(PARTITIONS):
        found += of_nobody(world.cluster, number, world.cluster.logs[topics.CONSENT_EVENTS, number].high)
        updates = world.cluster.logs[topics.CUSTOMER_UPDATES, number]
        if world.brake.at_least < BrakePolicy().at_least:
            found.append(f"{topics.CUSTOMER_UPDATES}/{number}@{updates.high}")
    return found


def _redrive(world: World) -> str:
    """An operator wants a record decided again, or one that is none."""
    number = world.rng.randrange(PARTITIONS)
    topic = world.rng.choice((topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS))
    placed = [e for e in world.cluster.logs[topic, number].history if e.is_committed and is_placed(e, number)]
    if not placed:
        return "nothing"
    entry = world.rng.choice(placed)
    request = Redrive(CustomerId((entry.key or b"").decode()), topic, number, entry.offset)
    world.redrives.append(request)
    return str(request)


def _acknowledge(world: World) -> str:
    """An operator looks into what holds things up; the processes are started again with the new settings."""
    world.acknowledged |= set(unacknowledged(world))
    if world.rng.random() < 0.5:
        for number in range(PARTITIONS):
            for entry in world.cluster.logs[topics.CONSENT_EVENTS, number].history:
                if entry.is_committed and decoded(entry.value) is None:
                    world.acknowledged.add(f"{topics.CONSENT_EVENTS}/{number}@{entry.offset}")
    for process in _running(world):
        process.crash()
    return f"{len(world.acknowledged)} places"


_WRITES = 14
"""So many of the first actions write inputs."""
_WEIGHTS: Mapping[str, tuple[float, Callable[[World], str]]] = {
    "update": (5, lambda world: world.producers.update()),
    "delete": (0.8, lambda world: world.producers.delete()),
    "update again": (0.7, lambda world: world.producers.update_again()),
    "update wrongly": (0.5, lambda world: world.producers.update_wrongly()),
    "misplace": (0.5, lambda world: world.producers.misplace()),
    "consent": (2, lambda world: world.producers.consent()),
    "update and grant": (3, lambda world: world.producers.update_and_grant()),
    "grant": (4, lambda world: world.producers.grant()),
    "withdraw": (1.5, lambda world: world.producers.withdraw()),
    "grant for a time": (1.5, lambda world: world.producers.grant_for_a_time()),
    "consent again": (0.7, lambda world: world.producers.consent_again()),
    "consent wrongly": (0.07, lambda world: world.producers.consent_wrongly()),
    "consent of nobody": (0.15, lambda world: world.producers.consent_of_nobody()),
    "upstream": (0.3, lambda world: world.producers.upstream()),
    "compact": (1, _compact),
    "crash": (0.7, _crash),
    "end": (0.1, _end),
    "stop": (0.4, _stop),
    "stop before the commit": (12, _stop_before_the_commit),
    "lose store": (0.3, _lose_store),
    "copy store": (0.4, _copy_store),
    "other contracts": (0.7, other_contracts),
    "rebalance": (0.15, _rebalance),
    "skew": (0.2, _skew),
    "jump": (0.03, _jump),
    "moments pass": (1, _pass(5, 500)),
    "seconds pass": (0.6, _pass(500, 9_000)),
    "minutes pass": (0.3, _pass(MINUTE / 2, 3 * MINUTE)),
    "hours pass": (0.015, _sleep),
    "outage": (0.03, _outage),
    "registry": (0.4, _registry),
    "redrive": (0.2, _redrive),
    "acknowledge": (0.2, _acknowledge),
}
_WRITING = frozenset(list(_WEIGHTS)[:_WRITES])
ACTIONS: Mapping[str, Callable[[World], str]] = {name: action for name, (_, action) in _WEIGHTS.items()} | {
    "restart": _restart,
    "mark": _mark,
    "resume": _resume,
}
_ONLY_WHEN: Mapping[str, Callable[[World], bool]] = {
    "restart": lambda world: any(not one.is_running for one in world.processes.values()),
    "lose store": lambda world: any(not one.is_running for one in world.processes.values()),
    "stop before the commit": lambda world: (
        len(_running(world)) > 1
        and any(one.at in _WRITTEN for one in _running(world))
        and not any(one.is_stopped for one in _running(world))
    ),
    "resume": lambda world: bool(_resumable(world)),
    "mark": lambda world: bool(world.cluster.unmarked),
    "crash": lambda world: bool(_running(world)),
    "end": lambda world: bool(_running(world)),
    "stop": lambda world: bool(_running(world)),
    "jump": lambda world: bool(_running(world)),
}
