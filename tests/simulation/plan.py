"""What one seed does: some of all that can happen, each as often as is drawn for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.simulation import actions
from tests.simulation.installation import MINUTE
from tests.simulation.trouble import Trouble

if TYPE_CHECKING:
    from tests.simulation.world import World

_ENOUGH = 110
"""Records of both inputs in one seed: short histories are many."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one seed does."""

    trouble: Trouble
    busy: float
    """How often a processor acts, rather than somebody else."""
    weights: Mapping[str, float]
    interrupts: float
    """How often, of the steps at which somebody is in the middle of reconciling everybody, that is disturbed."""

    def draw(self, rng: Random, world: World) -> tuple[str, Callable[[World], str]]:
        names = [name for name in self.weights if name not in _ONLY_WHEN or _ONLY_WHEN[name](world)]
        if world.producers.written > _ENOUGH:
            names = [name for name in names if name not in _WRITING]
        name = rng.choices(names, [self.weights[name] for name in names])[0]
        return name, _ACTIONS[name]

    def disturbs(self, rng: Random, world: World) -> bool:
        """Whether to disturb who is reconciling everybody now; that is over too soon to be met by chance."""
        few = world.is_quiet or world.producers.written <= _ENOUGH
        return few and self.interrupts > 0 and actions.scanning(world) and rng.random() < self.interrupts


def draw_plan(rng: Random) -> Plan:
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
    return Plan(trouble, rng.choice((0.5, 0.7, 0.85, 0.95)), weights, rng.choice((0.0, 0.1, 0.3)))


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
    "compact": (1, actions.compact),
    "crash": (0.7, actions.crash),
    "end": (0.1, actions.end),
    "stop": (0.4, actions.stop),
    "stop before the commit": (12, actions.stop_before_the_commit),
    "lose store": (0.3, actions.lose_store),
    "copy store": (0.4, actions.copy_store),
    "other contracts": (1.2, actions.other_contracts),
    "rebalance": (0.15, actions.rebalance),
    "skew": (0.2, actions.skew),
    "jump": (0.06, actions.jump),
    "moments pass": (1, actions.passing(5, 500)),
    "seconds pass": (0.6, actions.passing(500, 9_000)),
    "minutes pass": (0.3, actions.passing(MINUTE / 2, 3 * MINUTE)),
    "hours pass": (0.015, actions.sleep),
    "outage": (0.06, actions.outage),
    "registry": (0.4, actions.registry),
    "redrive": (0.2, actions.redrive),
    "acknowledge": (0.2, actions.acknowledge),
}
_WRITING = frozenset(list(_WEIGHTS)[:_WRITES])
_ACTIONS: Mapping[str, Callable[[World], str]] = {name: action for name, (_, action) in _WEIGHTS.items()} | {
    "restart": actions.restart,
    "mark": actions.mark,
    "resume": actions.resume,
}
_ONLY_WHEN: Mapping[str, Callable[[World], bool]] = {
    "restart": lambda world: any(not one.is_running for one in world.processes.values()),
    "lose store": lambda world: any(not one.is_running for one in world.processes.values()),
    "stop before the commit": lambda world: (
        len(actions.running(world)) > 1
        and any(one.at in actions.WRITTEN for one in actions.running(world))
        and not any(one.is_stopped for one in actions.running(world))
    ),
    "resume": lambda world: bool(actions.resumable(world)),
    "mark": lambda world: bool(world.cluster.unmarked),
    "crash": lambda world: bool(actions.running(world)),
    "end": lambda world: bool(actions.running(world)),
    "stop": lambda world: bool(actions.running(world)),
    "jump": lambda world: bool(actions.running(world)),
}
