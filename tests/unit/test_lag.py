"""Lag in seconds: since when there has been what is not done yet."""

from __future__ import annotations

import pytest

from stream_processors.sharing.lag import Lag
from tests.unit.stopped_clock import StoppedClock


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def lag(clock: StoppedClock) -> Lag:
    return Lag(clock)


def test_nothing_waits_where_everything_was_reached(lag: Lag, clock: StoppedClock) -> None:
    assert lag.waited() == 0
    lag.ends(10, 5)
    lag.reached(10, 5)
    clock.now += 100
    assert lag.waited() == 0


def test_what_waits_has_waited_since_it_was_first_seen(lag: Lag, clock: StoppedClock) -> None:
    lag.ends(10, 5)
    for _ in range(7):
        clock.now += 10
        lag.ends(10, 5)
    assert lag.waited() == 70


def test_it_grows_while_nobody_tells_anything(lag: Lag, clock: StoppedClock) -> None:
    """As when every transaction is aborted, or the loop is stuck."""
    lag.ends(10, 5)
    clock.now += 400
    assert lag.waited() == 400


@pytest.mark.parametrize(("reached", "seconds"), [((19, 9), 20), ((20, 9), 20), ((19, 10), 20), ((20, 10), 0)])
def test_both_inputs_have_to_be_reached(lag: Lag, clock: StoppedClock, reached: tuple[int, int], seconds: int) -> None:
    lag.ends(20, 10)
    clock.now += 20
    lag.reached(*reached)
    assert lag.waited() == seconds


def test_who_gets_on_slowly_is_as_late_as_what_it_does_next(lag: Lag, clock: StoppedClock) -> None:
    for end in range(100, 1_100, 100):
        lag.ends(end, 0)
        clock.now += 60
    assert lag.waited() == 600
    lag.reached(350, 0)
    assert lag.waited() == 600 - 3 * 60


def test_what_is_remembered_is_bounded_and_the_oldest_stays(lag: Lag, clock: StoppedClock) -> None:
    for end in range(5_000):
        lag.ends(end, 0)
        clock.now += 2
    assert lag.waited() == 10_000
    assert len(lag._seen) == 1_000
