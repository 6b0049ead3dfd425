"""Calls that go wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluice.errors import SluiceError
from sluice.log import Aborted, LogUnavailable
from sluice.store import StoreTrouble
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass(frozen=True, slots=True)
class Trouble:
    """How often a call goes wrong."""

    aborts: float
    unavailable: float
    unknown: float
    """A commit of which the process does not learn what became."""
    store: float


_READING = frozenset(
    {"fetch", "fetch_joined", "stable_ends", "high_watermarks", "committed", "bounds", "read", "start", "republish"}
    | {"redrives", "newest_set", "refresh_sets", "identity", "reconnect", "fence_the_dead", "hold", "claim", "abort"}
)

_RARELY_CALLED = 30


def trouble(world: World, process: Process, call: str, how: Trouble) -> None:
    """Raises what goes wrong at this call, if something does."""
    rng = world.rng
    often = _RARELY_CALLED if call in ("abort", "claim") else 1
    if call in _READING and rng.random() < often * how.unavailable:
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
