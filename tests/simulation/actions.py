"""Everybody who acts beside the processors: operators, disks, clocks, compaction; and what kills or stops a process."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from sluice import topics
from sluice.model import CustomerId
from stream_processors.sharing.brake import BrakePolicy
from stream_processors.sharing.redrives import Redrive
from tests.simulation.installation import MINUTE, PARTITIONS, SETS, installation
from tests.simulation.memory_log import DRIVING, JOINED
from tests.simulation.oracle import decoded, is_placed, of_nobody
from tests.simulation.process import TOMBSTONES_KEPT_MS, Process

if TYPE_CHECKING:
    from tests.simulation.world import World

WRITTEN = ("flush", "send_offsets", "commit")
"""Where everything of a batch is produced, and nothing committed."""
_TOMBSTONE_MARGIN_MS = 30 * MINUTE
"""Clocks of processors and broker differ."""
_HOURS = 3 * 60 * MINUTE


def restart(world: World) -> str:
    process = world.rng.choice([one for one in world.processes.values() if not one.is_running])
    process.start()
    return process.instance


def crash(world: World) -> str:
    process = world.rng.choice(running(world))
    at = process.at
    process.crash()
    lost = lose_store(world) if world.rng.random() < 0.3 else "its stores are whole"
    return f"{process.instance} at {at}; {lost}"


def end(world: World) -> str:
    process = world.rng.choice(running(world))
    if process.processor is not None:
        process.processor.stop()
    return process.instance


def stop(world: World) -> str:
    process = world.rng.choice(running(world))
    process.is_stopped = True
    if world.rng.random() < 0.5:
        world.pass_time(world.rng.uniform(0, 9_000))
    process.wakes_at = max(process.wakes_at, world.now + world.rng.uniform(0, 60))
    return f"{process.instance} at {process.at}"


def stop_before_the_commit(world: World) -> str:
    """Long enough for somebody else to be given its partitions, not for its transaction to be given up."""
    process = world.rng.choice([one for one in running(world) if one.at in WRITTEN])
    process.is_stopped = True
    world.pass_time(world.rng.uniform(6_050, 8_000))
    process.wakes_at = max(process.wakes_at, world.now + world.rng.uniform(20, 200))
    return f"{process.instance} at {process.at}"


def get_stuck(world: World, rng: Random) -> str:
    """As clients do, sometimes, after the broker was away (confluentinc/librdkafka#5153)."""
    process, topic = rng.choice(running(world)), rng.choice((DRIVING, JOINED))
    if process.log is not None:
        process.log.stuck.add(topic)
    return f"{process.instance} fetches no {topic} any more"


def resume(world: World) -> str:
    process = world.rng.choice(resumable(world))
    process.is_stopped = False
    return f"{process.instance} at {process.at}"


def resumable(world: World) -> list[Process]:
    return [one for one in world.processes.values() if one.is_stopped and world.now >= one.wakes_at]


def running(world: World) -> list[Process]:
    return [one for one in world.processes.values() if one.is_running]


def lose_store(world: World) -> str:
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


def copy_store(world: World) -> str:
    process = world.rng.choice(list(world.processes.values()))
    for number in process.stores.contents:
        process.stores.copy(number)
    return process.instance


def mark(world: World) -> str:
    transaction = world.rng.choice(world.cluster.unmarked)
    world.cluster.mark(transaction, world.rng.randrange(8))
    return f"{transaction.name} {transaction.state.value}"


def compact(world: World) -> str:
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


def skew(world: World) -> str:
    """A clock that goes a little wrong, forward or back."""
    process = world.rng.choice(list(world.processes.values()))
    change = world.rng.uniform(-3, 3) * MINUTE
    process.skew_ms += change
    process.believed_skew_ms = max(process.believed_skew_ms, process.skew_ms)
    return f"{process.instance} by {change:.0f} ms"


def jump(world: World) -> str:
    process = world.rng.choice(running(world))
    process.skew_ms += world.rng.choice((15, 40)) * MINUTE
    if not process.knows_the_time:
        process.believed_skew_ms = max(process.believed_skew_ms, process.skew_ms)
    return process.instance


def passing(least: float, most: float) -> Callable[[World], str]:
    def act(world: World) -> str:
        milliseconds = world.rng.uniform(least, most)
        world.pass_time(milliseconds)
        return f"{milliseconds:.0f} ms"

    return act


def sleep(world: World) -> str:
    """Every machine is suspended: longer than anybody's session, and at times than tombstones are kept."""
    milliseconds = world.rng.uniform(MINUTE, _HOURS)
    world.pass_time(milliseconds, asleep=True)
    return f"{milliseconds:.0f} ms"


def outage(world: World) -> str:
    """Nobody processes for hours, while customers are deleted and compaction takes all it may."""
    for process in running(world):
        process.crash()
    deleted = [world.producers.delete() for _ in range(world.rng.randint(1, 4))]
    world.pass_time(world.rng.uniform(_HOURS / 4, _HOURS))
    for number in range(PARTITIONS):
        log = world.cluster.logs[topics.CUSTOMER_UPDATES, number]
        log.compact(log.high, world.now - TOMBSTONES_KEPT_MS - _TOMBSTONE_MARGIN_MS)
    return f"of hours: {deleted}"


def registry(_world: World) -> str:
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


def rebalance(world: World) -> str:
    world.cluster.group.rebalance()
    return "everybody has to come back"


def scanning(world: World) -> bool:
    """Whether somebody is in the middle of reconciling everybody."""
    served = [p for one in running(world) if one.processor for p in one.processor._own.partitions.values()]
    return any(partition.meta.scanned_to is not None for partition in served)


def reassign_scanning(world: World) -> str:
    """More comes in than a batch takes, and the assignment changes, while only some are reconciled."""
    writes = (world.producers.update, world.producers.delete)
    said = [world.rng.choice(writes)() for _ in range(world.rng.randint(2, 6))]
    world.cluster.group.rebalance()
    return f"under {said}"


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


def redrive(world: World) -> str:
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


def acknowledge(world: World) -> str:
    """An operator looks into what holds things up; the processes are started again with the new settings."""
    world.acknowledged |= set(unacknowledged(world))
    if world.rng.random() < 0.5:
        for number in range(PARTITIONS):
            for entry in world.cluster.logs[topics.CONSENT_EVENTS, number].history:
                if entry.is_committed and decoded(entry.value) is None:
                    world.acknowledged.add(f"{topics.CONSENT_EVENTS}/{number}@{entry.offset}")
    for process in running(world):
        process.crash()
    return f"{len(world.acknowledged)} places"
