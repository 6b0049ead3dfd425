"""What a soak has to reach, and the shuffled faults that get it there."""

from __future__ import annotations

import argparse
import random
from dataclasses import asdict, dataclass, fields

from tests.chaos import faults
from tests.chaos.faults import Counted, Fault
from tests.chaos.field import INSTANCES
from tests.chaos.supervision import Observed


@dataclass(frozen=True, slots=True)
class Targets:
    """Numbers of what has to have happened."""

    kills: int = 300
    fences: int = 20
    broker_restarts: int = 20
    lost_stores: int = 10
    contract_changes: int = 50
    events: int = 1_000_000

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Tally(Targets):
    """The same numbers as they are."""

    @staticmethod
    def of(observed: Observed, counted: Counted, events: int) -> Tally:
        return Tally(
            kills=observed.kills,
            fences=observed.fences,
            broker_restarts=counted.broker_restarts,
            lost_stores=observed.lost_stores,
            contract_changes=counted.contract_changes,
            events=events,
        )

    def short_of(self, targets: Targets) -> dict[str, int]:
        """What is missing, by name."""
        missing = {f.name: getattr(targets, f.name) - getattr(self, f.name) for f in fields(Targets)}
        return {name: count for name, count in missing.items() if count > 0}


@dataclass(frozen=True, slots=True)
class Options:
    targets: Targets
    seed: int
    customers: int
    most_waiting: int
    """Input records that may wait; the CRM rests while there are more."""
    verifications: int
    """The last one included."""
    session_timeout_ms: int
    batch: int


def options(description: str) -> Options:
    """From the command line."""
    parser = argparse.ArgumentParser(description=description)
    usual = Targets()
    for name, number in usual.as_dict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=number, help=f"[{number}]")
    parser.add_argument("--seed", type=int, default=1, help="decides faults, events and contracts [1]")
    parser.add_argument("--customers", type=int, default=4_000, help="[4000]")
    parser.add_argument("--most-waiting", type=int, default=10_000, help="input records that may wait [10000]")
    parser.add_argument("--verifications", type=int, default=5, help="the last one included [5]")
    parser.add_argument("--session-timeout-ms", type=int, default=2_000, help="[2000]")
    parser.add_argument("--batch", type=int, default=1_000, help="updates in one transaction, at the most [1000]")
    given = vars(parser.parse_args())
    targets = Targets(**{name: given.pop(name) for name in usual.as_dict()})
    return Options(targets=targets, **given)


def deck(targets: Targets, chance: random.Random) -> list[Fault]:
    """Every fault that the targets ask for, and some of the others, in random order."""
    everybody = targets.kills // 40
    in_transaction = min(2 * targets.fences, targets.kills // 3)
    away = targets.kills // 10
    others = max(targets.kills // 40, 1)
    numbers: dict[Fault, int] = {
        faults.kill_everybody: everybody,
        faults.kill_in_transaction: in_transaction,
        faults.kill_and_wait: away,
        faults.lose_store: targets.lost_stores,
        faults.freeze: max(targets.kills // 12, 1),
        faults.twin: others,
        faults.restart_broker: targets.broker_restarts // 2,
        faults.kill_broker: targets.broker_restarts - targets.broker_restarts // 2,
        faults.pause_broker: others,
        faults.cut_network: others,
        faults.lose_packets: others,
        faults.slow_network: others,
        faults.change_contracts: targets.contract_changes,
    }
    killed = everybody * len(INSTANCES) + in_transaction + away + targets.lost_stores
    numbers[faults.kill] = max(targets.kills - killed, 0)
    chosen = [fault for fault, count in numbers.items() for _ in range(count)]
    chance.shuffle(chosen)
    return chosen


MAKING_UP: dict[str, Fault] = {
    "kills": faults.kill,
    "fences": faults.kill_in_transaction,
    "broker_restarts": faults.restart_broker,
    "lost_stores": faults.lose_store,
    "contract_changes": faults.change_contracts,
}
"""What is done when the deck has run out and a target is missed."""
