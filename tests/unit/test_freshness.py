"""Up to when updates are read: known a batch later than it was, and never too early."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sluice.model import Millis
from stream_processors.sharing.freshness import Freshness


def test_who_is_at_the_end_is_up_to_date() -> None:
    assert Freshness().reached(7, 7, Millis(50)) == 50
    assert Freshness().reached(0, 0, Millis(50)) == 50


def test_who_is_behind_all_the_time_is_as_late_as_the_backlog() -> None:
    one = Freshness()
    assert one.reached(0, 10, Millis(1)) is None
    assert one.reached(5, 15, Millis(2)) is None
    assert one.reached(10, 20, Millis(3)) == 1
    assert one.reached(15, 25, Millis(4)) is None
    assert one.reached(20, 30, Millis(5)) == 3


def test_held_updates_keep_their_age_for_as_long_as_they_are_held() -> None:
    one = Freshness()
    one.reached(5, 5, Millis(1))
    assert [one.reached(5, high, Millis(high)) for high in range(6, 20)] == [None] * 14


def test_what_was_seen_before_the_end_was_reached_says_nothing_new_afterwards() -> None:
    one = Freshness()
    one.reached(0, 10, Millis(1))
    one.reached(12, 12, Millis(2))
    assert one.reached(12, 14, Millis(3)) is None


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40))
def test_nothing_from_before_what_it_says_is_unread(steps: list[tuple[int, int]]) -> None:
    """Each step writes some updates at an instant, then a batch reads some of what is there."""
    one, written, read = Freshness(), list[int](), 0
    for now, (more, wanted) in enumerate(steps):
        written += [now] * more
        read = min(read + wanted, len(written))
        as_of = one.reached(read, len(written), Millis(now + 1))
        assert as_of is None or all(at >= as_of for at in written[read:])
