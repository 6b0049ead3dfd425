"""What the law asks about a customer, from the profile: places, age, what suspends."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.facts import AS_IN_OUR_PROFILE, UNREADABLE_BIRTH, FactPaths, Facts, age, birthday, read_facts
from sluice.model import Millis

EPOCH = date(1970, 1, 1)
DAY = 86_400_000


def of(profile: Mapping[str, object], paths: FactPaths = AS_IN_OUR_PROFILE) -> Facts:
    return read_facts(profile.get, paths)


def number(year: int, month: int, day: int) -> int:
    return (date(year, month, day) - EPOCH).days


def at(year: int, month: int, day: int) -> Millis:
    return Millis(number(year, month, day) * DAY)


def test_facts_are_read_from_our_profile() -> None:
    profile = {"residence": "US-CA", "collected_in": "DE", "birth_date": 5, "restricted": True, "deceased": False}
    assert of(profile) == Facts("US-CA", "DE", 5, restricted=True, deceased=False)
    assert of({}) == Facts()


@pytest.mark.parametrize(("stated", "instant"), [(7, 7), (None, None), ("2026-01-01", None), (True, None)])
def test_when_something_was_put_right_is_an_instant_or_not_known(stated: object, instant: int | None) -> None:
    assert of({"rectified_at": stated}).rectified_at == instant


def test_facts_are_read_where_the_source_states_them() -> None:
    elsewhere = FactPaths(residence="home.country", deceased="died")
    assert of({"home.country": "JP", "died": "2020-01-01", "residence": "DE"}, elsewhere) == Facts("JP", deceased=True)


@pytest.mark.parametrize(
    ("stated", "place"),
    [
        ("JP", "JP"),
        ("jp", "jp"),
        ("US-CA", "US-CA"),
        ("GB-ENG", "GB-ENG"),
        ("GB-ENGL", "?"),
        (None, None),
        ("", None),
        ("Japan!!", "?"),
        (81, "?"),
        (["JP"], "?"),
    ],
)
def test_a_place_that_is_no_code_is_kept_as_one_that_is_not_known(stated: object, place: str | None) -> None:
    """Nothing stated and something unreadable differ: the second means every law, also as a place of collection."""
    assert of({"residence": stated, "collected_in": stated}) == Facts(place, place)


@pytest.mark.parametrize(
    ("stated", "born"),
    [
        (0, 0),
        (-3_653, -3_653),
        ("1990-02-28", number(1990, 2, 28)),
        ("0001-01-01", number(1, 1, 1)),
        ("1990-02-28T10:00:00Z", number(1990, 2, 28)),
        ("1990-02-30", UNREADABLE_BIRTH),
        ("28.02.1990", UNREADABLE_BIRTH),
        ("", None),
        (None, None),
        (1.5, UNREADABLE_BIRTH),
        (10**9, UNREADABLE_BIRTH),
        (10**30, UNREADABLE_BIRTH),
        (-(10**9), UNREADABLE_BIRTH),
        ({}, UNREADABLE_BIRTH),
    ],
)
def test_a_birth_date_that_cannot_be_read_is_that_of_the_youngest(stated: object, born: int | None) -> None:
    assert of({"birth_date": stated}).born == born
    if born == UNREADABLE_BIRTH:
        assert age(born, at(9999, 12, 30)) == 0, "never of age"


@pytest.mark.parametrize(
    ("stated", "suspends"),
    [(True, True), ("2020-01-01", True), (1, True), ([], True), ({}, True), (False, False), (None, False), ("", False)],
)
def test_anything_but_no_suspends(stated: object, suspends: bool) -> None:  # noqa: FBT001 - a table's column
    assert of({"restricted": stated}).restricted is suspends
    assert of({"deceased": stated}).deceased is suspends


@given(
    st.dictionaries(st.sampled_from(["residence", "birth_date", "restricted"]), st.text() | st.integers() | st.floats())
)
def test_no_profile_is_too_odd_for_facts(profile: dict[str, object]) -> None:
    facts = of(profile)
    assert facts.residence is None or len(facts.residence) <= 6
    assert facts.born is None or date.min <= EPOCH + timedelta(days=facts.born) <= date.max


# --- age


@pytest.mark.parametrize(
    ("born", "when", "years"),
    [
        ((2010, 6, 15), (2026, 6, 14), 15),
        ((2010, 6, 15), (2026, 6, 15), 16),
        ((2012, 2, 29), (2025, 2, 28), 12),
        ((2012, 2, 29), (2025, 3, 1), 13),
        ((2012, 2, 29), (2028, 2, 28), 15),
        ((2012, 2, 29), (2028, 2, 29), 16),
        ((1960, 12, 31), (1970, 1, 1), 9),
        ((2026, 6, 15), (2020, 1, 1), 0),
    ],
)
def test_age_is_in_whole_years(born: tuple[int, int, int], when: tuple[int, int, int], years: int) -> None:
    assert age(number(*born), at(*when)) == years
    assert age(number(*born), Millis(at(*when) + DAY - 1)) == years, "to the end of the day"


@pytest.mark.parametrize(("instant", "years"), [(2**63 - 1, 9999 - 1990), (-(2**63), 0)])
def test_an_instant_that_no_calendar_has_is_its_last_or_first_day(instant: int, years: int) -> None:
    """A source may date an answer as it likes; there is an age all the same."""
    assert age(number(1990, 1, 1), Millis(instant)) == years


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(0, 120))
def test_a_birthday_is_the_first_instant_of_an_age(born: date, years: int) -> None:
    days = (born - EPOCH).days
    day = birthday(days, years)
    assert day is not None
    assert age(days, day) == years
    assert years == 0 or age(days, Millis(day - 1)) == years - 1


def test_who_was_born_on_the_29th_of_february_has_the_birthday_on_the_first_of_march() -> None:
    assert birthday(number(2008, 2, 29), 13) == at(2021, 3, 1)
    assert birthday(number(2008, 2, 29), 16) == at(2024, 2, 29)
    assert birthday(number(9996, 2, 29), 3) == at(9999, 3, 1)


def test_a_birthday_that_no_calendar_has_is_none() -> None:
    assert birthday(number(9990, 1, 1), 10) is None
    assert birthday((date(9996, 2, 29) - EPOCH).days, 4) is None
