"""Row filters: which customers a contract is about, and when that may change although they do not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sluice.model import Millis
from sluice.row_filter import Age, Find, OneOf, Presence, Range, RowFilter, condition

EPOCH = date(1970, 1, 1)


def ms(year: int, month: int, day: int, hour: int = 0) -> Millis:
    return Millis(int(datetime(year, month, day, hour, tzinfo=UTC).timestamp() * 1000))


NOW = ms(2026, 6, 15, 12)


def days(year: int, month: int, day: int) -> int:
    return (date(year, month, day) - EPOCH).days


def within(record: Mapping[str, Any]) -> Find:
    return lambda path: path.find(record)


def admits(written: object, value: object, now: Millis = NOW) -> bool:
    return RowFilter.of({"x": condition(written)}).admits(within({"x": value}), now)


def next_change(written: object, value: object, now: Millis = NOW) -> Millis | None:
    return RowFilter.of({"x": condition(written)}).next_change(within({"x": value}), now)


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("JP", OneOf),
        (5, OneOf),
        (True, OneOf),
        (["JP", "AU"], OneOf),
        (date(2026, 1, 1), OneOf),
        ({"at_least": 10, "below": 100}, Range),
        ({"above": date(2026, 1, 1)}, Range),
        ({"present": False}, Presence),
        ({"age": {"at_least": 18}}, Age),
    ],
)
def test_a_condition_is_of_one_kind(written: object, kind: type) -> None:
    assert type(condition(written)) is kind


@pytest.mark.parametrize(
    ("written", "admitted", "others"),
    [
        ("JP", ["JP"], ["AU", "jp", ""]),
        (["JP", "AU"], ["JP", "AU"], ["NZ"]),
        ("present", ["present"], ["JP"]),
        (5, [5], [6, "5"]),
        (False, [False], [True]),
        (date(2026, 1, 31), [days(2026, 1, 31)], [days(2026, 1, 30), "2026-01-31"]),
        ({"at_least": 10, "below": 100}, [10, 99, 99.9], [9, 100, -1, "50", True]),
        ({"above": 10, "at_most": 100}, [11, 100, 10.1], [10, 101]),
        ({"at_least": 10}, [10, 10**12], [9, float("nan")]),
        ({"below": 0.5}, [0, 0.4, -3], [0.5, float("nan"), False]),
        ({"at_least": 7, "at_most": 7}, [7], [6, 8]),
        ({"at_least": date(2026, 1, 1), "below": date(2026, 2, 1)}, [days(2026, 1, 1)], [days(2026, 2, 1), 0]),
        ({"present": True}, ["", 0, False, []], []),
        ({"age": {"at_least": 18, "below": 65}}, [days(2008, 6, 15), days(1961, 6, 16)], [days(2008, 6, 16)]),
        ({"age": {"above": 17, "at_most": 64}}, [days(2008, 6, 15), days(1961, 6, 16)], [days(1961, 6, 15)]),
        ({"age": {"below": 18}}, [days(2008, 6, 16), days(2026, 6, 15)], [days(2026, 6, 16), 10**9, -(10**9), "x"]),
    ],
)
def test_a_condition_admits_what_it_says(written: object, admitted: list[object], others: list[object]) -> None:
    assert [value for value in admitted if not admits(written, value)] == []
    assert [value for value in [*others, None] if admits(written, value)] == []


def test_only_an_absence_that_is_asked_for_admits_a_null() -> None:
    assert admits({"present": False}, None)
    assert not admits({"present": False}, "there")
    assert not admits({"present": True}, None)


def test_a_field_that_the_record_lacks_passes_nothing() -> None:
    for written in ("a", {"at_least": 0}, {"present": False}, {"present": True}, {"age": {"at_least": 0}}):
        assert not RowFilter.of({"x": condition(written)}).admits(within({}), NOW), written


def test_all_conditions_have_to_hold() -> None:
    row_filter = RowFilter.of({"a": condition(1), "b.c": condition({"present": True})})
    assert row_filter.admits(within({"a": 1, "b": {"c": 2}}), NOW)
    assert not row_filter.admits(within({"a": 2, "b": {"c": 2}}), NOW)
    assert not row_filter.admits(within({"a": 1, "b": None}), NOW)
    assert RowFilter.of({}).admits(within({}), NOW)


# --- what time changes


@pytest.mark.parametrize(
    ("written", "born", "now", "change"),
    [
        ({"age": {"at_least": 18}}, days(2008, 6, 16), NOW, ms(2026, 6, 16)),
        ({"age": {"at_least": 18}}, days(2008, 6, 16), ms(2026, 6, 16), None),
        ({"age": {"at_least": 18, "below": 65}}, days(2008, 6, 15), NOW, ms(2073, 6, 15)),
        ({"age": {"above": 17, "at_most": 64}}, days(2008, 6, 15), NOW, ms(2073, 6, 15)),
        ({"age": {"at_least": 18, "below": 65}}, days(1950, 1, 1), NOW, None),
        ({"age": {"at_least": 18}}, days(2008, 2, 29), ms(2026, 2, 28), ms(2026, 3, 1)),
        ({"age": {"below": 18}}, days(2026, 7, 1), NOW, ms(2026, 7, 1)),
        ({"age": {"at_least": 18}}, None, NOW, None),
        ({"age": {"at_least": 18}}, 10**9, NOW, None),
        ({"at_least": 18}, 3, NOW, None),
    ],
)
def test_the_next_change_is_a_birthday(written: object, born: int | None, now: Millis, change: Millis | None) -> None:
    assert next_change(written, born, now) == change


ages = st.integers(0, 120)
bounds = st.one_of(
    st.builds(lambda low, more: {"at_least": low, "below": low + more}, ages, st.integers(1, 30)),
    st.builds(lambda low: {"above": low}, ages),
    st.builds(lambda high: {"at_most": high}, ages),
)
birthdays = st.dates(date(1900, 1, 1), date(2060, 1, 1)).map(lambda day: (day - EPOCH).days)
instants = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)).map(  # noqa: DTZ001 - drawn naive, read as UTC
    lambda at: Millis(int(at.replace(tzinfo=UTC).timestamp() * 1000))
)


@given(bounds, birthdays, instants, st.integers(0, 40 * 365 * 86_400_000))
def test_nothing_changes_before_the_next_change(written: dict[str, int], born: int, now: Millis, later: int) -> None:
    change = next_change({"age": written}, born, now)
    at = Millis(now + later)
    if change is None or at < change:
        assert admits({"age": written}, born, at) == admits({"age": written}, born, now)


@given(ages, birthdays, instants)
def test_an_age_is_reached_on_the_birthday_and_not_before(years: int, born: int, now: Millis) -> None:
    written = {"age": {"at_least": years}}
    change = next_change(written, born, now)
    if change is not None and not admits(written, born, now) and born * 86_400_000 <= now:
        assert admits(written, born, change)
        assert not admits(written, born, Millis(change - 1))
        birthday = EPOCH + timedelta(days=born)
        day = datetime.fromtimestamp(change / 1000, UTC).date()
        assert (day.year - birthday.year, day - day.replace(day=1)) in (
            (years, birthday - birthday.replace(day=1)),
            (years, timedelta(0)),
        )


# --- what is refused


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(None, id="nothing"),
        pytest.param([], id="an empty list"),
        pytest.param([None], id="null in a list"),
        pytest.param([["a"]], id="a list in a list"),
        pytest.param(float("inf"), id="infinity"),
        pytest.param(datetime(2026, 1, 1, tzinfo=UTC), id="a time"),
        pytest.param({}, id="an empty range"),
        pytest.param({"at_least": None}, id="a range without bounds"),
        pytest.param({"at_leest": 5}, id="an unknown word"),
        pytest.param({"at_least": "5"}, id="text in a range"),
        pytest.param({"at_least": True}, id="a boolean in a range"),
        pytest.param({"at_least": 5, "above": 4}, id="two lower bounds"),
        pytest.param({"below": 5, "at_most": 4}, id="two upper bounds"),
        pytest.param({"at_least": 5, "below": 5}, id="nothing between"),
        pytest.param({"above": 5, "at_most": 5}, id="nothing between, either"),
        pytest.param({"at_least": 6, "at_most": 5}, id="upside down"),
        pytest.param({"at_least": 5, "below": date(2026, 1, 1)}, id="a number and a date"),
        pytest.param({"present": "yes"}, id="no boolean"),
        pytest.param({"present": True, "at_least": 5}, id="two kinds at once"),
        pytest.param({"age": 18}, id="an age without bounds"),
        pytest.param({"age": {"at_least": -1}}, id="an age below zero"),
        pytest.param({"age": {"at_least": 17.5}}, id="half a year"),
        pytest.param({"age": {"at_least": 18}, "below": 65}, id="a bound beside the age"),
    ],
)
def test_what_cannot_be_meant_is_refused(written: Any) -> None:  # noqa: ANN401
    with pytest.raises(ValidationError):
        condition(written)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), "a filter compares with text, a number, true, false or a date"),
        (None, "a filter compares with text, a number, true, false or a date"),
        ([], "an empty list lets nobody pass"),
        ({"at_least": "5"}, "a range is of numbers or of dates"),
        ({"at_least": float("nan")}, "a filter compares with numbers that are finite"),
        ({}, "a range needs `at_least` or `above`, `below` or `at_most`, or one of each"),
        ({"at_least": 5, "below": 5}, "nothing lies between these bounds"),
    ],
)
def test_a_refusal_is_one_sentence(written: Any, sentence: str) -> None:  # noqa: ANN401
    with pytest.raises(ValidationError) as raised:
        condition(written)
    (error,) = raised.value.errors()
    assert str(error["ctx"]["error"]).startswith(sentence)
