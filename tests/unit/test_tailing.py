"""A topic that is read to its end, when its end does not come."""

from __future__ import annotations

import itertools

import pytest

from sluice.kafka.clients import KafkaUnavailable
from sluice.kafka.tailing import Tail
from sluice.log import Record


class Broken(Tail):
    """Of ten records so many come, one with every poll."""

    def __init__(self, come: int) -> None:
        self._ends = {("topic", 0): 10}
        self._reached = {("topic", 0): 0}
        self._left = come

    def poll(self, _wait_seconds: float) -> list[Record]:
        if not self._left:
            return []
        self._left -= 1
        offset = self._reached["topic", 0]
        self._reached["topic", 0] = offset + 1
        return [Record("topic", 0, offset, None, None, 0)]


@pytest.fixture(autouse=True)
def _ten_seconds_a_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count(step=10)
    monkeypatch.setattr("sluice.kafka.tailing.time.monotonic", lambda: float(next(seconds)))


def test_however_long_it_takes_everything_is_read_while_something_comes() -> None:
    assert [record.offset for record in Broken(10).to_the_end()] == list(range(10))


def test_who_hears_nothing_more_does_not_wait_for_ever() -> None:
    tail = Broken(3)
    with pytest.raises(KafkaUnavailable, match="Cannot read topic to the end"):
        list(tail.to_the_end())
    assert tail.span == 7
