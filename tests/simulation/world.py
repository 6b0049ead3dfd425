"""One simulated installation: who acts next, and what goes wrong, is drawn from one seeded generator.

Between any two effects of a processor everybody else may act. At the end the faults stop, and within a bounded number
of steps every partner must hold exactly what the inputs allow.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from unittest.mock import patch

import structlog

from sluice import topics
from sluice.model import Millis
from stream_processors.sharing import inputs, pace, recovery
from stream_processors.sharing.brake import BrakePolicy
from stream_processors.sharing.redrives import Redrive
from stream_processors.sharing.view import View
from tests.simulation import actions, plan, trouble
from tests.simulation.audit import Audit, Violation
from tests.simulation.installation import MINUTE, PARTITIONS, START, TOPICS, installation
from tests.simulation.memory_cluster import Cluster
from tests.simulation.memory_store import Contents
from tests.simulation.oracle import Rules
from tests.simulation.process import GROUP_INSTANCES, Process, Sizes
from tests.simulation.producers import CUSTOMERS, Producers

QUIESCENCE_STEPS = 15_000
_QUIET_FETCHES = 4
"""Calls for updates after the last commit until a process has nothing more to do."""
_TRACED = 50_000


class Endless(Violation):
    """The faults are over, and the view is not settled."""


class World:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = rng = Random(seed)
        self.now = float(START)
        self.trace: deque[str] = deque(maxlen=_TRACED)
        self.steps = 0
        self.stops = 0
        """Processes that ended with a sentence."""
        self.cluster: Cluster = Cluster(TOPICS, PARTITIONS, lambda: self.now)
        self.cluster.marks_at_once = False
        self.producers: Producers = Producers(rng, self.cluster)
        self.sets = ["usual"]
        self.acknowledged: set[str] = set()
        self.is_quiet = False
        self.brake = rng.choice((BrakePolicy(), BrakePolicy(at_least=4, share=0.3, window=10)))
        sizes = Sizes(
            batch=rng.choice((1, 2, 5, 50)),
            background=rng.choice((1.0, 2.0, 4.0, 64.0)),
            snapshot_every_ms=rng.choice((math.inf, 500.0)),
            standby=rng.random() < 0.2,
        )
        self.redrives: list[Redrive] = []
        self.snapshots: dict[int, Contents] = {}
        count = rng.choice((1, 2, 2, 3))
        self.processes: dict[str, Process] = {f"sharing.{i}": Process(i, self, sizes) for i in GROUP_INSTANCES[:count]}
        self.running: Process | None = None
        self.audit = Audit(self.cluster, CUSTOMERS, lambda: self.processes)
        self._most = sizes.background
        self._piece = rng.choice((1, 3, 1_000))
        self._takes_all = rng.random() < 0.5
        self._deaf = rng.choice((0.0, 0.5, 0.9))
        self._plan = plan.draw_plan(rng)
        self._jams = Random(~seed)
        self._gets_stuck = self._jams.choice((0.0, 0.0, 0.0, 0.0, 0.02))
        installation().schemas.unreachable.clear()

    # --- what a process sees: process.Outside

    def in_force(self) -> str:
        return self.sets[-1]

    def view(self, name: str) -> View:
        return installation().view(name, frozenset(self.acknowledged), self.brake)

    def hears(self) -> bool:
        return self.is_quiet or self.rng.random() >= self._deaf

    def take(self, available: int) -> int:
        if self._takes_all or self.is_quiet or not available:
            return available
        return self.rng.randint(0, available)

    def troubles(self, process: Process, call: str) -> None:
        self.pass_time(self.rng.choice((0, 0, 1, 5)))
        if not self.is_quiet:
            trouble.trouble(self, process, call, self._plan.trouble)

    def wrote(self, process: Process, number: int) -> None:
        self.audit.stored(process, number)

    # --- time

    def pass_time(self, milliseconds: float, *, asleep: bool = False) -> None:
        """Whoever is alive tells the group so; who does not is given up, and so is what is open for too long."""
        self.now += milliseconds
        group = self.cluster.group
        for process in () if asleep else self.processes.values():
            if process.is_running and not process.is_stopped and process.log and process.log.member:
                group.heartbeat(process.log.member)
        group.expire()
        self.cluster.expire()

    # --- acting

    def run(self, steps: int) -> None:
        """Raises Violation, or whatever a processor must not end with."""
        with self._surroundings():
            try:
                for _ in range(self.rng.choice((0, 10, 40))):
                    self.say("first", self.producers.grant() if self.rng.random() < 0.5 else self.producers.update())
                for _ in range(steps):
                    self.act()
                self.quiesce()
            finally:
                for process in self.processes.values():
                    process.crash()

    @contextmanager
    def _surroundings(self) -> Iterator[None]:
        before = structlog.get_config()
        with ExitStack() as stack:
            stack.enter_context(patch.object(recovery, "_CHUNK", self._piece))
            stack.enter_context(patch.object(inputs, "_STALLED_MS", 2_000))
            stack.enter_context(patch.object(pace, "_FEWEST", 1))
            stack.enter_context(patch.object(pace, "_MOST", self._most))
            stack.callback(lambda: structlog.configure(**before))
            structlog.configure(processors=[self._hear])
            yield

    def _hear(self, _logger: object, _method: str, event: structlog.typing.EventDict) -> str:
        who = self.running.instance if self.running else "-"
        self.say(f"{who} says", " ".join(f"{key}={value}" for key, value in event.items()))
        raise structlog.DropEvent

    def say(self, who: str, what: str) -> None:
        self.trace.append(f"{self.steps:5} {self.now - START:12.0f} ms  {who}: {what}")

    def act(self) -> None:
        """One step of somebody."""
        self.steps += 1
        if self._plan.disturbs(self.rng, self):
            self.say("reassign scanning", actions.reassign_scanning(self))
            return
        ready = [process for process in self.processes.values() if process.is_ready]
        if ready and self._jams.random() < self._gets_stuck:
            self.say("get stuck", actions.get_stuck(self, self._jams))
        if ready and self.rng.random() < self._plan.busy:
            self.step(self.rng.choice(ready))
            return
        name, action = self._plan.draw(self.rng, self)
        self.say(name, action(self))

    def step(self, process: Process) -> None:
        self.running = process
        process.step()
        self.running = None
        if process.failure is not None:
            raise process.failure
        self.say(process.instance, process.at)
        if not process.is_running:
            self.stops += 1
            self.say(process.instance, f"ended: {process.last_words}")

    # --- the end

    def quiesce(self) -> None:
        """The faults stop; then everything has to come right, and again after a change that disturbs nothing else."""
        self.say("world", "the faults stop")
        self._mend()
        self._come_right()
        for _ in range(self.rng.randrange(4)):
            self.say(
                "world",
                self.rng.choice((actions.later, actions.other_contracts, actions.other_contracts, actions.news))(self),
            )
            if self.rng.random() < 0.7:
                for _ in range(self.rng.randrange(120)):
                    self._go_on()
                    if self._plan.disturbs(self.rng, self):
                        self.say("reassign scanning", actions.reassign_scanning(self))
                if self.rng.random() < 0.4:
                    self.say("world", actions.other_contracts(self))
            for process in self.processes.values():
                process.fetches = 0
            self._come_right()

    def _come_right(self) -> None:
        for _ in range(QUIESCENCE_STEPS):
            self.steps += 1
            if self._is_settled():
                self._is_right()
                return
            self._go_on()
        raise Endless(f"(f) nothing is settled after {QUIESCENCE_STEPS} steps without faults: {self.audit.standing}")

    def _mend(self) -> None:
        """What holds things up is looked into; who has to be started anew for it, is, and others by chance."""
        self.producers.end_upstream()
        installation().schemas.unreachable.clear()
        unseen = set(actions.unacknowledged(self)) - self.acknowledged
        self.acknowledged |= unseen
        anew = bool(unseen) or self.rng.random() < 0.3
        for process in self.processes.values():
            if anew or abs(process.skew_ms) > 9 * MINUTE:
                process.crash()
            process.skew_ms, process.believed_skew_ms = 0.0, max(process.believed_skew_ms, 0.0)
            process.is_stopped = False
        self.is_quiet = True
        self.sharpen()

    def sharpen(self) -> None:
        """On to the middle of a minute that no decision was taken after: nothing is due soon."""
        beyond = max(self.now, float(self.audit.latest)) + MINUTE
        self.pass_time(START + (int(beyond - START) // MINUTE) * MINUTE + MINUTE // 2 - self.now)

    def _go_on(self) -> None:
        cluster = self.cluster
        for transaction in list(cluster.unmarked):
            cluster.finish(transaction.name)
        ready = [process for process in self.processes.values() if process.is_ready]
        if ready:
            self.step(self.rng.choice(ready))
        else:
            self.pass_time(100)
        for process in self.processes.values():
            if not process.is_running:
                process.start()

    def _is_settled(self) -> bool:
        if self.cluster.group.is_forming or self.cluster.unmarked:
            return False
        processes = self.processes.values()
        if any(
            process.fetches < _QUIET_FETCHES or not process.is_ready or process.log is None for process in processes
        ):
            return False
        assigned = [number for p in self.processes.values() if p.log for number in p.log.assigned]
        if sorted(assigned) != list(range(PARTITIONS)):
            return False
        return all(self._is_done(number) for number in range(PARTITIONS))

    def _is_done(self, number: int) -> bool:
        standing = self.audit.standing.get(number)
        if standing is None or not standing.settled or standing.contract_set != self.in_force():
            return standing is None and not self._has_input(number)
        logs = self.cluster.logs
        ends = (logs[topics.CUSTOMER_UPDATES, number], logs[topics.CONSENT_EVENTS, number])
        return not any(
            entry.is_committed and entry.offset not in log.compacted
            for log, at in zip(ends, standing.positions, strict=True)
            for entry in log.history[at:]
        )

    def _has_input(self, number: int) -> bool:
        names = (topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS)
        return any(entry.is_committed for name in names for entry in self.cluster.logs[name, number].history)

    def _is_right(self) -> None:
        for number, standing in self.audit.standing.items():
            rules = Rules(self.in_force(), frozenset(self.acknowledged), Millis(int(self.now)))
            self.audit.view_is_what_the_inputs_say(number, standing.positions, rules)


Action = Callable[[World], str]


def simulate(seed: int, steps: int = 300) -> World:
    """One interleaving. Raises Violation with what does not hold, or what a processor must not end with."""
    world = World(seed)
    world.run(steps)
    return world
