"""Who follows logs knows that broker and registry answer as soon as anything was read, not when all of it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sluice.log import Record
from sluice.registry import RegistryUnavailable
from stream_processors import following
from stream_processors.following import Following, Interrupted


class FakeTail:
    """Three polls until the end: nothing, a record, another."""

    def __init__(self, *_: object, **__: object) -> None:
        self._polls = iter([[], [record(0)], [record(1)]])

    def extend_to_the_last(self) -> None: ...

    def polls_to_the_end(self) -> Iterator[list[Record]]:
        return self._polls


def record(offset: int) -> Record:
    return Record("topic", 0, offset, b"key", b"value", 0)


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "Tail", FakeTail)


def test_it_is_heard_when_something_was_folded_and_not_before() -> None:
    told: list[str] = []
    follower = Following({}, (), "group", lambda one: told.append(f"folded {one.offset}"), lambda: told.append("heard"))
    follower.catch_up()
    assert told == ["folded 0", "heard", "folded 1", "heard"]


def test_it_is_not_heard_when_the_registry_is_away() -> None:
    def fold(_record: Record) -> None:
        raise RegistryUnavailable("away")

    told: list[str] = []
    follower = Following({}, (), "group", fold, lambda: told.append("heard"))
    with pytest.raises(RegistryUnavailable):
        follower.catch_up()
    assert told == []


def test_who_is_to_end_reads_no_further() -> None:
    told: list[str] = []
    follower = Following({}, (), "group", lambda one: told.append(f"folded {one.offset}"))
    with pytest.raises(Interrupted):
        follower.catch_up(lambda: bool(told))
    assert told == ["folded 0"]
