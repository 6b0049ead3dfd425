"""Transforms, each with what it cannot take; and that no value comes out by another way."""

from __future__ import annotations

import traceback
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sluice import keys
from sluice.redaction import TRANSFORMS, Redacted, Rule, Untransformable, parse_rule, redact
from sluice.source_schema import Leaf

KEY = bytes(range(32))
TEXT = Leaf("a", ("string",), "user", "")
DATE = Leaf("a", ({"type": "int", "logicalType": "date"},), "user", "")
INT, LONG = Leaf("a", ("int",), "user", ""), Leaf("a", ("long",), "user", "")
ARRAY = Leaf("a", ({"type": "array", "items": "string"},), "user", "")
EITHER = Leaf("a", ("string", "int"), "user", "")
ENUM = Leaf("a", ({"type": "enum", "name": "E", "symbols": ["A"]},), "user", "")
NULLS = Leaf("a", (), "user", "")


def result(written: object, value: object) -> object:
    return redact(parse_rule(written), value, KEY).value


def days(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


@pytest.mark.parametrize(
    ("written", "value", "expected"),
    [
        ("keep", "佐藤", "佐藤"),
        ("keep", 0, 0),
        ("keep", ["a"], ["a"]),
        ("null", "secret", None),
        (None, "secret", None),
        # mask: always the same length, and never the whole value
        ({"mask": {"first": 1, "last": 1, "length": 8}}, "Sato", "S******o"),
        ({"mask": {"first": 1, "last": 1, "length": 8}}, "Sat", "S******t"),
        ({"mask": {"first": 1, "last": 1, "length": 8}}, "Sa", "********"),
        ({"mask": {"first": 1, "last": 1, "length": 8}}, "S", "********"),
        ({"mask": {"first": 1, "last": 1, "length": 8}}, "", "********"),
        ({"mask": {"first": 1, "last": 1, "length": 3}}, "a very long name", "a*e"),
        ({"mask": {"first": 2}}, "Hanako", "Ha******"),
        ({"mask": {"last": 2}}, "Hanako", "******ko"),
        ({"mask": {}}, "Hanako", "********"),
        ("mask", "Hanako", "********"),
        ({"mask": {"first": 1}}, "e\u0301tienne", "\u00e9*******"),
        ({"mask": {"first": 1}}, 5, None),
        # truncate
        ({"truncate": 3}, "Hanako", "Han"),
        ({"truncate": 3}, "Ha", "Ha"),
        ({"truncate": 3}, "", ""),
        ({"truncate": 1}, "e\u0301tienne", "\u00e9"),
        ({"truncate": 2}, "が\u3099", "が\u3099"),
        ({"truncate": {"to": 2}}, "佐藤花子", "佐藤"),
        ({"truncate": 2}, b"ab", None),
        # birth_year
        ("birth_year", days("1968-02-29"), 1968),
        ("birth_year", 0, 1970),
        ("birth_year", -1, 1969),
        ("birth_year", days("0001-01-01"), 1),
        ("birth_year", days("0001-01-01") - 1, None),
        ("birth_year", days("9999-12-31"), 9999),
        ("birth_year", days("9999-12-31") + 1, None),
        ("birth_year", 2**31 - 1, None),
        ("birth_year", -(2**63), None),
        ("birth_year", 10**30, None),
        ("birth_year", "1968-02-29", 1968),
        ("birth_year", "1968-02-29T23:59:59+14:00", 1968),
        ("birth_year", "1967-02-29", None),
        ("birth_year", "29.02.1968", None),
        ("birth_year", "1968", None),
        ("birth_year", "", None),
        ("birth_year", "1968-13-01", None),
        ("birth_year", 1.5, None),
        # postcode_prefix
        ({"postcode_prefix": 3}, "100-0001", "100"),
        ({"postcode_prefix": 3}, "1000001", "100"),
        ({"postcode_prefix": 2}, " sw1a 1aa ", "SW"),
        ({"postcode_prefix": 3}, "94025", "940"),
        ({"postcode_prefix": 3}, "9402", "940"),
        ({"postcode_prefix": 3}, "940", None),
        ({"postcode_prefix": 3}, "9 4-0", None),
        ({"postcode_prefix": 3}, "", None),
        ({"postcode_prefix": 1}, "12/34", None),
        ({"postcode_prefix": {"characters": 1}}, "12", "1"),
        ({"postcode_prefix": 3}, 94025, None),
        # pseudonym
        ("pseudonym", "dell-crm:1", keys.pseudonym(KEY, "dell-crm:1")),
        ("pseudonym", 42, keys.pseudonym(KEY, "42")),
        ("pseudonym", -(2**63), keys.pseudonym(KEY, str(-(2**63)))),
        ("pseudonym", "", keys.pseudonym(KEY, "")),
    ],
)
def test_a_transform_gives(written: object, value: object, expected: object) -> None:
    given_back = result(written, value)
    assert given_back == expected
    assert type(given_back) is type(expected)


@pytest.mark.parametrize("written", ["keep", "null", "mask", {"truncate": 1}, "birth_year", "pseudonym"])
def test_nothing_stays_nothing(written: object) -> None:
    assert redact(parse_rule(written), None, KEY) == Redacted(None)


def test_equal_names_are_equal_however_they_are_composed() -> None:
    for written in ({"mask": {"first": 3, "last": 2}}, {"truncate": 3}, "pseudonym"):
        assert result(written, "Ame\u0301lie") == result(written, "Am\u00e9lie"), written


EVERY_RULE = [
    "keep",
    "null",
    "mask",
    {"mask": {"first": 1, "last": 2, "length": 9}},
    {"truncate": 2},
    "birth_year",
    {"postcode_prefix": 3},
    "pseudonym",
]
VALUES = (
    st.none()
    | st.text()
    | st.integers()
    | st.booleans()
    | st.binary()
    | st.floats()
    | st.lists(st.text(), max_size=2)
    | st.dictionaries(st.text(), st.integers(), max_size=2)
)


def test_every_transform_is_tried_here() -> None:
    names = {type(parse_rule(written)) for written in EVERY_RULE}
    assert names | {TRANSFORMS["drop"]} == set(TRANSFORMS.values())


@given(st.sampled_from(EVERY_RULE), VALUES)
def test_a_transform_is_total_and_a_function(written: object, value: object) -> None:
    assert repr(redact(parse_rule(written), value, KEY)) == repr(redact(parse_rule(written), value, KEY))


@given(st.text(min_size=3), st.integers(0, 4), st.integers(0, 4))
def test_a_mask_shows_no_more_than_it_says(text: str, first: int, last: int) -> None:
    masked = result({"mask": {"first": first, "last": last, "length": 9}}, text)
    assert isinstance(masked, str)
    assert len(masked) == 9
    assert masked[first : 9 - last] == "*" * (9 - first - last)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("birth_year", "canary-01-01"),
        ("birth_year", ["canary"]),
        ({"postcode_prefix": 3}, "canary/1"),
        ({"postcode_prefix": 3}, ["canary"]),
        ({"truncate": 3}, {"canary": 1}),
        ("mask", b"canary"),
    ],
)
def test_an_exception_holds_no_value(written: object, value: object) -> None:
    with pytest.raises(Untransformable) as raised:
        parse_rule(written).apply(value, KEY)
    assert "canary" not in "".join(traceback.format_exception(raised.value))
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


# --- what a contract may say


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("keeep", r"^there is no transform `keeep`; did you mean `keep`\?$"),
        ("zzz", r"^there is no transform `zzz`$"),
        ({"truncat": 3}, r"did you mean `truncate`\?"),
        (5, "a field takes one transform"),
        (True, "a field takes one transform"),
        ([], "a field takes one transform"),
        (["keep"], "a field takes one transform"),
        ({}, "a field takes one transform"),
        ({"keep": {}, "mask": {}}, "a field takes one transform"),
        ({"keep": 3}, "^`keep` takes named options: required$"),
        ({"mask": 3}, "^`mask` takes named options: "),
        ({"mask": {"first": 4, "last": 4}}, r"`length` \(8\) must be above `first` \+ `last` \(8\)"),
    ],
)
def test_a_wrong_rule_is_refused_in_a_sentence(written: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_rule(written)


@pytest.mark.parametrize(
    "written",
    [
        {"truncate": 0},
        {"truncate": "3"},
        {"truncate": True},
        {"truncate": None},
        {"truncate": {}},
        "truncate",
        "postcode_prefix",
        {"postcode_prefix": 6},
        {"postcode_prefix": 0},
        {"mask": {"first": -1}},
        {"mask": {"length": 0}},
        {"mask": {"length": 1_001}},
        {"mask": {"frist": 1}},
        {"keep": {"required": 1}},
        {"keep": {"required": "yes"}},
    ],
    ids=str,
)
def test_wrong_options_are_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        parse_rule(written)


def test_a_rule_is_itself_and_never_changes() -> None:
    rule = parse_rule({"keep": {"required": True}})
    assert parse_rule(rule) is rule
    assert rule.required
    with pytest.raises(ValidationError):
        setattr(rule, "required", False)  # noqa: B010 - mypy knows that it cannot be set


EVERY_LEAF = {
    "text": TEXT,
    "date": DATE,
    "int": INT,
    "long": LONG,
    "array": ARRAY,
    "either": EITHER,
    "enum": ENUM,
    "nothing": NULLS,
}


@pytest.mark.parametrize(
    ("written", "takes"),
    [
        ("keep", set(EVERY_LEAF)),
        ("drop", set(EVERY_LEAF)),
        ("null", set(EVERY_LEAF)),
        ("mask", {"text"}),
        ({"truncate": 3}, {"text"}),
        ({"postcode_prefix": 3}, {"text"}),
        ("birth_year", {"text", "date"}),
        ("pseudonym", {"text", "int", "long"}),
    ],
)
def test_a_transform_takes_the_types_it_is_for(written: object, takes: set[str]) -> None:
    rule = parse_rule(written)
    assert {name for name, leaf in EVERY_LEAF.items() if rule.refusal(leaf) is None} == takes


@pytest.mark.parametrize("name", ["drop", "null"])
def test_what_is_never_there_cannot_be_required(name: str) -> None:
    assert parse_rule({name: {"required": True}}).refusal(TEXT) == "cannot be required"


def test_the_avro_types_that_a_transform_gives() -> None:
    assert parse_rule("keep").output(EITHER) == ("string", "int")
    assert parse_rule("birth_year").output(DATE) == ("int",)
    assert parse_rule("pseudonym").output(LONG) == ("string",)
    assert parse_rule("mask").output(TEXT) == ("string",)
    assert isinstance(parse_rule("keep"), Rule)
