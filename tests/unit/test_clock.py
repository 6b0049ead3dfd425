"""The time of decisions: never back, and not believed when it jumps."""

from __future__ import annotations

import time

import pytest

from sluice.errors import SluiceError
from sluice.model import Millis
from stream_processors.sharing.clock import JUMP_MS, Clock

START = 1_780_000_000_000


class Hands(Clock):
    """A clock that is set by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.wall, self.monotonic = START, 5_000.0

    def wall_ms(self) -> Millis:
        return Millis(self.wall)

    def monotonic_ms(self) -> float:
        return self.monotonic

    def later(self, wall: int, monotonic: int) -> Hands:
        self.wall += wall
        self.monotonic += monotonic
        return self


def test_the_time_is_the_machines() -> None:
    before = time.time_ns() // 1_000_000
    moment = Clock().read(Millis(0))
    assert before <= moment.now <= time.time_ns() // 1_000_000
    assert moment.monotonic_ms <= time.monotonic() * 1_000


def test_time_goes_on() -> None:
    clock = Hands()
    assert clock.read(Millis(0)) == (START, 5_000.0)
    assert clock.later(70, 70).read(Millis(START)) == (START + 70, 5_070.0)
    assert clock.later(86_400_000, 86_400_000).read(Millis(START)).now == START + 86_400_070


def test_the_time_of_decisions_never_goes_back() -> None:
    clock = Hands()
    assert clock.read(Millis(START + 900)).now == START + 901, "partners tell by the time what came first"
    assert clock.later(-500, 10).read(Millis(START + 900)).now == START + 901
    assert clock.later(2_000, 10).read(Millis(START + 900)).now == START + 1_500


@pytest.mark.parametrize("jump", [JUMP_MS, -JUMP_MS])
def test_ten_minutes_are_believed(jump: int) -> None:
    clock = Hands()
    clock.read(Millis(0))
    assert clock.later(jump, 0).read(Millis(0)).now == START + jump


@pytest.mark.parametrize(("jump", "minutes"), [(JUMP_MS + 60_000, 11), (-JUMP_MS - 60_000, -11), (10**11, 1_666_667)])
def test_more_is_not_and_stays_so(jump: int, minutes: int) -> None:
    clock = Hands()
    clock.read(Millis(0))
    clock.later(jump, 0)
    for _ in range(2):
        with pytest.raises(SluiceError, match=f"jumped by {minutes} minutes: nothing was committed"):
            clock.read(Millis(0))


def test_a_machine_that_slept_stops_too() -> None:
    """A monotonic clock that stood still while the wall clock went on: nobody knows which is right."""
    clock = Hands()
    clock.read(Millis(0))
    with pytest.raises(SluiceError, match="jumped"):
        clock.later(3_600_000, 0).read(Millis(0))
