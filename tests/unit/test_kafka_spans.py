"""Reading to an offset and no further, with a client that answers as a script says."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import pytest
from confluent_kafka import KafkaError, TopicPartition

from sluice.kafka import spans
from sluice.kafka.clients import KafkaTrouble
from sluice.kafka.spans import Spans

A, B = ("a", 0), ("b", 0)


@dataclass
class Message:
    """A record of topic `a` or `b`, or the report of its end."""

    place: tuple[str, int]
    at: int
    ends: bool = False

    def error(self) -> KafkaError | None:
        return KafkaError(KafkaError._PARTITION_EOF) if self.ends else None

    def topic(self) -> str:
        return self.place[0]

    def partition(self) -> int:
        return self.place[1]

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes:
        return b"k"

    def value(self) -> bytes:
        return b"v"

    def timestamp(self) -> tuple[int, int]:
        return 1, 7


@dataclass
class Script:
    """A consumer."""

    answers: list[list[Message]]
    held: set[tuple[str, int]] = field(default_factory=set)
    assigned: list[tuple[str, int, int]] = field(default_factory=list)

    def incremental_assign(self, places: Collection[TopicPartition]) -> None:
        self.assigned += [(place.topic, place.partition, place.offset) for place in places]

    def pause(self, places: Collection[TopicPartition]) -> None:
        self.held |= {(place.topic, place.partition) for place in places}

    def resume(self, places: Collection[TopicPartition]) -> None:
        self.held -= {(place.topic, place.partition) for place in places}

    def consume(self, *_: object) -> list[Message]:
        answer = self.answers.pop(0)
        assert not {one.place for one in answer} & self.held, "what is held is not delivered"
        return answer

    def close(self) -> None:
        self.answers = []


def opened(script: Script, monkeypatch: pytest.MonkeyPatch) -> Spans:
    monkeypatch.setattr(spans, "reader", lambda *_: script)
    one = Spans({}, "group")
    one.open({A: 2, B: 0})
    return one


def offsets(one: Spans, **stops: int) -> list[tuple[str, int]]:
    return [(record.topic, record.offset) for record in one.read({(topic, 0): stop for topic, stop in stops.items()})]


def test_what_is_not_asked_for_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script([[Message(A, 2)], [Message(A, 3)]])
    one = opened(script, monkeypatch)
    assert script.assigned == [("a", 0, 2), ("b", 0, 0)]
    assert script.held == {A, B}
    assert offsets(one, a=4) == [("a", 2), ("a", 3)]
    assert script.held == {B}


def test_what_lies_beyond_comes_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    one = opened(Script([[Message(A, 2), Message(A, 5), Message(A, 6)], [Message(A, 7)]]), monkeypatch)
    assert offsets(one, a=4) == [("a", 2)]
    assert offsets(one, a=4) == []
    assert offsets(one, a=6) == [("a", 5)]
    assert offsets(one, a=8) == [("a", 6), ("a", 7)]


def test_an_end_without_records_is_reached_by_its_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control records and compacted ones are never delivered."""
    one = opened(Script([[Message(A, 2)], [Message(A, 3, ends=True)], [Message(A, 9, ends=True)]]), monkeypatch)
    assert offsets(one, a=9) == [("a", 2)]


def test_all_of_several_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    one = opened(Script([[Message(B, 0), Message(A, 3)], [Message(B, 1), Message(A, 4)], [Message(B, 2)]]), monkeypatch)
    assert offsets(one, a=4, b=3) == [("b", 0), ("a", 3), ("b", 1), ("b", 2)]
    assert offsets(one, a=5) == [("a", 4)]


def test_who_is_far_ahead_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "_MOST_BEYOND", 1)
    script = Script([[Message(A, 4), Message(A, 5), Message(B, 0)], [Message(B, 1)], [Message(A, 6)]])
    one = opened(script, monkeypatch)
    assert offsets(one, a=4, b=2) == [("b", 0), ("b", 1)]
    assert script.held == {A}
    assert offsets(one, a=7) == [("a", 4), ("a", 5), ("a", 6)]


def test_an_end_that_never_becomes_stable_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "_STALLED_SECONDS", -1.0)
    with pytest.raises(KafkaTrouble, match="a/0 to offset 9: an open transaction may hide it"):
        offsets(opened(Script([[]]), monkeypatch), a=9)
