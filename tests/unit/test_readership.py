"""How far a partner has read, by what its consumer groups have committed."""

from __future__ import annotations

import pytest

from sluice.model import PartnerId
from stream_processors.returns.readership import Offsets, Readership, most_telling
from tests.unit.stopped_clock import StoppedClock

HOSHI = PartnerId("hoshi-card")
CUSTOMERS, CONTROL = ("partner.hoshi-card.customers", 0), ("partner.hoshi-card.control", 0)
ENDS = {CUSTOMERS: 101, CONTROL: 11}
"""Each ends with a transaction's marker."""


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


def look(readership: Readership, *reached: Offsets, ends: Offsets = ENDS) -> tuple[int, float]:
    """What is unread, and for how long the topic has stalled that has for longest."""
    reader = readership.reader(ends, reached)
    return reader.unread, max(reader.stalled_seconds.values())


def test_who_has_read_everything_waits_for_nothing(clock: StoppedClock) -> None:
    readership = Readership({}, clock)
    look(readership, {CUSTOMERS: 100, CONTROL: 10})
    clock.now += 5_000
    assert look(readership, {CUSTOMERS: 100, CONTROL: 10}) == (0, 0.0), "nobody commits past the marker"


def test_a_group_for_each_topic_is_as_good_as_one_for_both(clock: StoppedClock) -> None:
    assert look(Readership({}, clock), {CUSTOMERS: 100, CONTROL: 0}, {CUSTOMERS: 0, CONTROL: 10}) == (0, 0.0)


def test_a_group_that_somebody_left_behind_is_not_the_partner(clock: StoppedClock) -> None:
    assert look(Readership({}, clock), {CUSTOMERS: 3, CONTROL: 0}, {CUSTOMERS: 100, CONTROL: 10})[0] == 0


def test_while_nobody_could_be_asked_nobody_stalled(clock: StoppedClock) -> None:
    readership = Readership({}, clock)
    look(readership, {CUSTOMERS: 50, CONTROL: 10})
    clock.now += 7_200
    readership.forget()
    assert look(readership, {CUSTOMERS: 50, CONTROL: 10}) == (50, 0.0)


def test_who_reads_nothing_although_records_wait_has_stalled(clock: StoppedClock) -> None:
    readership = Readership({}, clock)
    assert look(readership, {CUSTOMERS: 50, CONTROL: 10}) == (50, 0.0)
    clock.now += 600
    assert look(readership, {CUSTOMERS: 50, CONTROL: 10}) == (50, 600.0)
    clock.now += 60
    assert look(readership, {CUSTOMERS: 51, CONTROL: 10}) == (49, 0.0), "it has read on"


def test_who_reads_customers_and_no_recalls_has_stalled_where_recalls_are(clock: StoppedClock) -> None:
    readership = Readership({}, clock)
    look(readership, {CUSTOMERS: 50, CONTROL: 3})
    clock.now += 3_700
    reader = readership.reader(ENDS, [{CUSTOMERS: 90, CONTROL: 3}])
    assert reader.stalled_seconds == {CUSTOMERS[0]: 0.0, CONTROL[0]: 3_700.0}


def test_who_has_no_group_has_read_nothing(clock: StoppedClock) -> None:
    readership = Readership({}, clock)
    assert look(readership) == (110, 0.0)
    clock.now += 10
    assert look(readership)[1] == 10.0


def test_what_nobody_was_given_nobody_has_to_read(clock: StoppedClock) -> None:
    readership = Readership({}, clock)
    look(readership, ends={CUSTOMERS: 0, CONTROL: 0})
    clock.now += 9_999
    assert look(readership, ends={CUSTOMERS: 0, CONTROL: 0}) == (0, 0.0)


def test_of_many_groups_those_with_members_are_asked() -> None:
    """Who takes a new name for every start leaves groups behind."""
    left = {f"partner.hoshi-card.{number:03}": False for number in range(30)}
    reading, other = "partner.hoshi-card.000-now", "partner.hoshi-card-other.app"
    asked = most_telling(HOSHI, {**left, reading: True, other: True})
    assert asked[:2] == [reading, "partner.hoshi-card.029"]
    assert len(asked) == 20
