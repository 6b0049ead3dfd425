"""Partitions on their way to being served: what fails is begun again, and keeps nobody who is ready."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from sluice.log import LogUnavailable
from sluice.registry import RegistryUnavailable
from stream_processors.sharing.arrivals import Arrivals
from stream_processors.sharing.clock import Clock
from tests.unit.lane import Lane
from tests.unit.recovering import lose_store, recovery, rows


class Hands(Clock):
    """A clock that is set by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.monotonic = 0.0

    def monotonic_ms(self) -> float:
        return self.monotonic


def _told(_number: int, _left: int) -> None:
    pass


@pytest.mark.parametrize("away", [LogUnavailable("The broker is away."), RegistryUnavailable("The registry is away.")])
def test_an_opening_that_failed_is_begun_again_and_ends_as_if_it_had_not(
    lived: Lane, monkeypatch: pytest.MonkeyPatch, away: Exception
) -> None:
    expected = rows(lived)
    lose_store(lived)
    lived.close()
    clock = Hands()
    arrivals = Arrivals(clock)
    arrivals.begin(recovery(lived), {0: lived.committed()})

    def broken(*_: object) -> Iterator[Any]:
        raise away

    with monkeypatch.context() as patch:
        patch.setattr(lived, "read", broken)
        for _ in range(2):
            with pytest.raises(type(away)):
                list(arrivals.advance(1_000, _told))
            assert arrivals.lack_registry == isinstance(away, RegistryUnavailable)
            clock.monotonic += 1_000
    (opened,) = arrivals.advance(1_000, _told)
    lived.partition = opened.partition
    assert rows(lived) == expected
    assert list(arrivals.numbers) == []
    assert not arrivals.lack_registry


def test_while_the_registry_is_away_what_is_served_is_not_kept_waiting(
    lived: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for once a second, not with every batch."""
    clock = Hands()
    arrivals = Arrivals(clock)
    arrivals.begin(recovery(lived), {0: lived.committed()})
    attempts = []

    def bounds(*_: object) -> Any:  # noqa: ANN401 - of the lane
        attempts.append(clock.monotonic)
        raise RegistryUnavailable("The registry is away.")

    monkeypatch.setattr(lived, "bounds", bounds)
    for _ in range(20):
        clock.monotonic += 100
        with contextlib.suppress(RegistryUnavailable):
            list(arrivals.advance(15, _told))
        assert arrivals.lack_registry, "between two questions too"
    assert attempts == [100, 1_100]
    arrivals.close()
    assert not arrivals.lack_registry


def test_who_is_ready_is_handed_over_before_another_ones_trouble(lived: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    arrivals = Arrivals(Hands())
    arrivals.begin(recovery(lived), {0: lived.committed(), 1: lived.committed()})

    def bounds(names: list[str], partition: int) -> Any:  # noqa: ANN401 - of the lane
        if partition == 1:
            raise LogUnavailable("The broker is away.")
        return Lane.bounds(lived, names, partition)

    monkeypatch.setattr(lived, "bounds", bounds)
    ready = arrivals.advance(1_000, _told)
    assert next(ready).partition.number == 0
    with pytest.raises(LogUnavailable):
        next(ready)
    assert list(arrivals.numbers) == [1]


def test_what_is_left_is_told_and_a_standstill_is_noticed(lived: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's open transaction hides what is to be read: nothing comes, and it is nobody's fault here."""
    lose_store(lived)
    lived.close()
    clock = Hands()
    arrivals = Arrivals(clock)
    arrivals.begin(recovery(lived), {0: lived.committed()})
    told: list[tuple[int, int]] = []

    def nothing_yet(*_: object) -> Iterator[None]:
        while True:
            clock.monotonic += 100
            yield None

    with monkeypatch.context() as patch:
        patch.setattr(lived, "read", nothing_yet)
        assert list(arrivals.advance(500, lambda *one: told.append(one))) == []
        assert not arrivals.is_stuck
        assert list(arrivals.advance(1_500, lambda *one: told.append(one))) == []
        assert arrivals.is_stuck
    everything = lived.updates.high + lived.consents.high + lived.disclosures.high
    assert set(told) == {(0, everything)}
    arrivals.close()
    assert not arrivals.is_stuck
