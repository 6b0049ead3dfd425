"""Requests of operators: none is lost by a batch that comes to nothing, and none holds a batch up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sluice import topics
from sluice.log import LogUnavailable, Positions, Record
from sluice.model import CustomerId
from stream_processors.sharing.redrives import Redrive
from stream_processors.sharing.requests import Requests

AT = {0: Positions(100, 1_000_000), 1: Positions(100, 1_000_000)}


def asked(offset: int, *, partition: int = 0, topic: str = topics.CONSENT_EVENTS) -> Redrive:
    return Redrive(CustomerId(f"crm:{offset}"), topic, partition, offset)


class Desk:
    """Requests that come, and a log of consent events in which only even offsets are records."""

    def __init__(self, *coming: list[Redrive]) -> None:
        self.coming = list(coming)
        self.reads: list[tuple[int, int, int]] = []
        self.away = False

    def poll(self) -> list[Redrive]:
        return self.coming.pop(0) if self.coming else []

    def read(self, topic: str, partition: int, start: int, stop: int) -> Iterator[Record | None]:
        if self.away:
            raise LogUnavailable("away")
        self.reads.append((partition, start, stop))
        yield None
        for offset in range(start + start % 2, stop, 2):
            yield Record(topic, partition, offset, b"k", b"v", 0)


def requests(desk: Desk) -> Requests:
    return Requests(desk, desk)  # type: ignore[arg-type]


def test_consent_events_that_lie_near_each_other_are_read_at_once_and_no_others_are_given() -> None:
    desk = Desk([asked(2), asked(400), asked(8, partition=1), asked(10), asked(3)])
    taken = requests(desk).take(AT)
    assert [(one.partition, one.offset) for one in taken.consents] == [(0, 2), (0, 10), (0, 400), (1, 8)]
    assert desk.reads == [(0, 2, 401), (1, 8, 9)]
    assert {number: set(who) for number, who in taken.customers.items()} == {
        0: {"crm:2", "crm:3", "crm:10", "crm:400"},
        1: {"crm:8"},
    }


def test_what_is_not_done_is_taken_again() -> None:
    queue = requests(Desk([asked(2)], [asked(4)]))
    assert [one.offset for one in queue.take(AT).consents] == [2]
    assert [one.offset for one in queue.take(AT).consents] == [2, 4]
    queue.done()
    assert queue.take(AT) == ([], {})


def test_what_comes_while_a_batch_is_under_way_is_not_done_with_it() -> None:
    queue = requests(Desk([asked(2)], [asked(4)]))
    queue.take(AT)
    queue.done()
    assert [one.offset for one in queue.take(AT).consents] == [4]


def test_a_batch_takes_no_more_than_it_can() -> None:
    everything = [asked(10_000 * n) for n in range(10)] + [asked(7, topic=topics.CUSTOMER_UPDATES)]
    desk = Desk(everything)
    queue = requests(desk)
    seen: list[int] = []
    batches = 0
    while (taken := queue.take(AT)).customers:
        assert len(desk.reads) <= 4
        assert len(taken.consents) == len(desk.reads)
        seen += [one.offset for one in taken.consents]
        desk.reads.clear()
        queue.done()
        batches += 1
    assert sorted(seen) == [10_000 * n for n in range(10)]
    assert batches == 3


def test_many_requests_are_worked_off_in_pieces() -> None:
    queue = requests(Desk([asked(n, topic=topics.CUSTOMER_UPDATES) for n in range(1_200)]))
    sizes = []
    while customers := queue.take(AT).customers:
        sizes.append(len(customers[0]))
        queue.done()
    assert sizes == [500, 500, 200]


def test_requests_for_what_is_served_elsewhere_are_dropped() -> None:
    queue = requests(Desk([asked(2, partition=3)]))
    assert queue.take(AT) == ([], {})
    queue.done()
    assert queue.take({3: Positions(9, 9)}) == ([], {})


def test_an_event_that_is_not_judged_yet_is_not_read_before_its_time() -> None:
    desk = Desk([asked(2), asked(8), asked(-4)])
    taken = requests(desk).take({0: Positions(0, 8)})
    assert [one.offset for one in taken.consents] == [2]
    assert len(taken.customers[0]) == 3


def test_nothing_is_lost_while_the_log_is_away() -> None:
    desk = Desk([asked(2)])
    queue = requests(desk)
    desk.away = True
    with pytest.raises(LogUnavailable):
        queue.take(AT)
    desk.away = False
    assert [one.offset for one in queue.take(AT).consents] == [2]
