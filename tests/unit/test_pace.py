"""How much is done between two polls: it follows what the last batches took, within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_processors.sharing.pace import Pace


def settled(per_customer_ms: float) -> Pace:
    """After many batches that took all that was allowed."""
    pace = Pace(5_000)
    for _ in range(60):
        work = pace.allowance(1, 0)
        pace.took(work * per_customer_ms, work, 0)
    return pace


@pytest.mark.parametrize("per_customer_ms", [0.05, 0.1, 0.5, 1.0, 3.0])
def test_it_settles_at_about_twenty_milliseconds_of_work(per_customer_ms: float) -> None:
    assert 15 <= settled(per_customer_ms).allowance(1, 0) * per_customer_ms <= 25


def test_what_was_too_much_is_not_tried_again() -> None:
    pace = settled(0.1)
    pace.took(200.0, 200, 0)
    assert pace.allowance(1, 0) == 20
    pace.took(2.0, 20, 0)
    assert pace.allowance(1, 0) == 110, "and that more is possible is believed by halves"


def test_under_other_contracts_it_begins_carefully() -> None:
    pace = settled(0.1)
    pace.begin_anew()
    assert pace.allowance(1, 0) == 64
    slow = settled(3.0)
    before = slow.allowance(1, 0)
    slow.begin_anew()
    assert slow.allowance(1, 0) == before


def test_it_is_never_without_bounds() -> None:
    assert settled(1e-6).allowance(1, 0) == 2_000
    assert settled(1e6).allowance(1, 0) == 8


def test_partitions_share_it_and_each_gets_on() -> None:
    pace = settled(0.1)
    whole = pace.allowance(1, 0)
    assert pace.allowance(4, 0) == whole // 4
    assert pace.allowance(10_000, 0) == 1
    assert pace.allowance(0, 0) == whole


def test_customers_that_inputs_name_come_first_and_the_others_still_get_on() -> None:
    pace = settled(0.1)
    whole = pace.allowance(1, 0)
    assert pace.allowance(1, 100) == whole - 100
    assert pace.allowance(4, 100) == (whole - 100) // 4
    assert pace.allowance(1, whole) == whole // 4
    assert pace.allowance(4, 10_000) == 10_000 // 4 // 4
    assert settled(1e6).allowance(1, 8) == 2
    assert settled(1e6).allowance(3, 8) == 1


def test_inputs_that_take_long_come_in_smaller_batches() -> None:
    """As those of fifty partners do: read as many as usual, they would outlast the session again and again."""
    pace = Pace(20_000)
    assert pace.batch == 1_000, "nothing is known yet"
    for per_record_ms, fewest, most in ((0.01, 20_000, 20_000), (0.15, 6_000, 10_000), (4, 200, 400)):
        for _ in range(20):
            pace.took(pace.batch * per_record_ms, pace.batch, pace.batch)
            pace.recover()
        assert fewest <= pace.batch <= most


def test_a_quiet_hour_makes_no_batch_larger() -> None:
    """Of what a thousand records take, one says nothing."""
    pace = Pace(20_000)
    for _ in range(100):
        pace.took(1.0, 1, 1)
        pace.recover()
    assert pace.batch == 1_000


def test_few_records_that_take_long_are_fewer_next_time() -> None:
    pace = Pace(20_000)
    pace.took(2_000.0, 10, 10)
    assert pace.batch == 5


def test_batches_without_such_work_teach_nothing() -> None:
    pace = settled(0.1)
    before = pace.allowance(1, 0)
    for elapsed in (0.0, 5_000.0):
        pace.took(elapsed, 0, 0)
    pace.took(0.0, 50, 50)
    assert pace.allowance(1, 0) == before


@given(st.lists(st.tuples(st.floats(0, 1e9), st.integers(0, 10**6)), max_size=50), st.integers(0, 100))
def test_whatever_batches_take_everybody_gets_on(taken: list[tuple[float, int]], partitions: int) -> None:
    pace = Pace(100)
    for elapsed, background in taken:
        pace.took(elapsed, background, background)
    assert 1 <= pace.allowance(partitions, 0) <= 2_000


def test_a_batch_that_took_too_long_is_halved_and_grows_back_no_further_than_it_was() -> None:
    pace = Pace(1_000)
    pace.shorten()
    pace.shorten()
    assert pace.batch == 250
    pace.took(1.0, 250, 250)
    pace.recover()
    assert 250 < pace.batch < 500
    for _ in range(50):
        pace.took(1.0, pace.batch, pace.batch)
        pace.recover()
    assert pace.batch == 1_000


def test_a_batch_never_comes_to_nothing() -> None:
    pace = Pace(3)
    for _ in range(10):
        pace.shorten()
    assert pace.batch == 1
    for _ in range(10):
        pace.took(1.0, 1, pace.batch)
        pace.recover()
    assert pace.batch == 3


def test_while_something_is_served_opening_the_rest_is_not_in_its_way() -> None:
    assert Pace(1).opening_ms(serving=True) < Pace(1).opening_ms(serving=False)
