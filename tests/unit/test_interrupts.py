"""Ctrl-C while it is deferred: heard once, at the end, whatever else happens."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from sluice.interrupts import hear, interrupts_deferred


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_it_is_raised_at_once_where_nothing_is_deferred() -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_is_raised_at_the_end_of_the_outermost(number: signal.Signals) -> None:
    reached = []

    def nested() -> None:
        with interrupts_deferred():
            with interrupts_deferred():
                signal.raise_signal(number)
                signal.raise_signal(number)
                reached.append("inner")
            reached.append("outer")

    with pytest.raises(KeyboardInterrupt):
        nested()
    assert reached == ["inner", "outer"]
    with interrupts_deferred():
        pass  # not heard again


def test_it_goes_before_what_failed_meanwhile() -> None:
    def failing() -> None:
        with interrupts_deferred():
            signal.raise_signal(signal.SIGINT)
            raise ValueError

    with pytest.raises(KeyboardInterrupt) as raised:
        failing()
    assert isinstance(raised.value.__context__, ValueError)
