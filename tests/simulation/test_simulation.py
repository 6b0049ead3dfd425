"""Some hundreds of interleavings of the sharing loop; `make soak` tries as many as time allows."""

from __future__ import annotations

import pytest

from tests.simulation.bugs import BUGS, Bug
from tests.simulation.catching import SEEDS, catch
from tests.simulation.run import Failed, try_seed
from tests.simulation.world import World

_SEEDS = 250
_AT_ONCE = 25


@pytest.mark.parametrize("first", range(0, _SEEDS, _AT_ONCE))
def test_everything_holds_after_every_step(first: int) -> None:
    for seed in range(first, first + _AT_ONCE):
        try:
            try_seed(seed)
        except Failed as failure:
            pytest.fail(str(failure), pytrace=False)


def test_a_seed_is_the_same_interleaving_each_time() -> None:
    traces = []
    for _ in range(2):
        world = World(11)
        world.run(200)
        traces.append(list(world.trace))
    assert traces[0] == traces[1]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_deliberate_fault_is_noticed(bug: Bug) -> None:
    """A simulation that lets one of them pass would let the real one pass."""
    assert catch(bug) is not None, f"{SEEDS} interleavings did not notice: {bug.what}"
