"""Transforms, each with what it cannot take; and that no value comes out by another way."""

from __future__ import annotations

import hashlib
import hmac
import textwrap
import traceback
import unicodedata
from datetime import date
from pathlib import Path
from typing import Any

import grapheme
import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sluice import keys
from sluice.document import DocumentError, Strict, load
from sluice.keys import MasterKey
from sluice.redaction import TRANSFORMS, FieldRule, Redacted, Rule, Untransformable, parse_rule, redact
from sluice.redaction.dates import BANDS
from sluice.redaction.rule import TextRule, text_of
from sluice.source_schema import Leaf
from tests.unit.transforming import HANAKO, MASTER, TARO, customer, result, target

KEY = target().keys.of("pseudonym")
TEXT = Leaf("a", ("string",), "user", "")
DATE = Leaf("a", ({"type": "int", "logicalType": "date"},), "user", "")
INT, LONG = Leaf("a", ("int",), "user", ""), Leaf("a", ("long",), "user", "")
ARRAY = Leaf("a", ({"type": "array", "items": "string"},), "user", "")
EITHER = Leaf("a", ("string", "int"), "user", "")
DOUBLE, FLOAT = Leaf("a", ("double",), "user", ""), Leaf("a", ("float",), "user", "")
ENUM = Leaf("a", ({"type": "enum", "name": "E", "symbols": ["A"]},), "user", "")
NULLS = Leaf("a", (), "user", "")


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
        ({"truncate": 2}, "👨‍👩‍👧🇯🇵🇬🇧", "👨‍👩‍👧🇯🇵"),
        ({"truncate": 1}, "क्षितिज", "क्षि"),
        ({"truncate": 1}, "한국", "한"),
        ({"truncate": 2}, "a\r\nb", "a\r\n"),
        # age_band
        ({"age_band": {"on": date(2026, 1, 1)}}, days("2026-01-01"), "0-12"),
        ({"age_band": date(2026, 1, 1)}, days("2013-01-02"), "0-12"),
        ({"age_band": date(2026, 1, 1)}, days("2013-01-01"), "13-15"),
        ({"age_band": date(2026, 1, 1)}, days("2008-01-02"), "16-17"),
        ({"age_band": date(2026, 1, 1)}, days("2008-01-01"), "18-24"),
        ({"age_band": date(2026, 1, 1)}, "1968-02-29", "55-64"),
        ({"age_band": date(2026, 2, 28)}, "2008-02-29", "16-17"),
        ({"age_band": date(2026, 3, 1)}, "2008-02-29", "18-24"),
        ({"age_band": date(2026, 1, 1)}, "1936-01-02", "65-89"),
        ({"age_band": date(2026, 1, 1)}, "1936-01-01", "90+"),
        ({"age_band": date(2026, 1, 1)}, "1899-01-01", "90+"),
        ({"age_band": date(2026, 1, 1)}, days("2026-01-02"), None),
        ({"age_band": date(2026, 1, 1)}, "29.02.1968", None),
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
        ({"postcode_prefix": {"country": "JP"}}, "100-0001", "100"),
        ({"postcode_prefix": {"country": "JP"}}, "\uff11\uff10\uff10\uff0d\uff10\uff10\uff10\uff11", "100"),
        ({"postcode_prefix": {"country": "JP"}}, "\uff11\uff10\uff10\u30fc\uff10\uff10\uff10\uff11", "100"),
        ({"postcode_prefix": {"country": "JP"}}, "100", None),
        ({"postcode_prefix": {"country": "JP"}}, "\u0661\u0660\u0660\u0660\u0660\u0660\u0661", None),
        ({"postcode_prefix": {"country": "US"}}, "94025", "940"),
        ({"postcode_prefix": {"country": "US"}}, "94025-1234", "940"),
        ({"postcode_prefix": {"country": "US"}}, "03601", "000"),
        ({"postcode_prefix": {"country": "US"}}, "89301-0001", "000"),
        ({"postcode_prefix": {"country": "US"}}, "20500", "000"),
        ({"postcode_prefix": {"country": "US"}}, "9402", None),
        ({"postcode_prefix": {"country": "US"}}, "940251", None),
        ({"postcode_prefix": {"country": "GB"}}, "sw1a 1aa", "SW1A"),
        ({"postcode_prefix": {"country": "GB"}}, "M11AE", "M1"),
        ({"postcode_prefix": {"country": "GB"}}, "B33 8TH", "B33"),
        ({"postcode_prefix": {"country": "GB"}}, "CR2 6XH", "CR2"),
        ({"postcode_prefix": {"country": "GB"}}, "GIR 0AA", "GIR"),
        ({"postcode_prefix": {"country": "GB"}}, "SW1A", None),
        ({"postcode_prefix": {"country": "CA"}}, "k1a 0b1", "K1A"),
        ({"postcode_prefix": {"country": "CA"}}, "K1A-0B1", "K1A"),
        ({"postcode_prefix": {"country": "CA"}}, "D1A 0B1", None),
        # geo_round
        ("geo_round", 35.681236, 35.68),
        ("geo_round", -0.004, 0.0),
        ({"geo_round": 1}, 139.767125, 139.8),
        ({"geo_round": {"decimals": 0}}, -33.8688, -34.0),
        ("geo_round", 180.0, 180.0),
        ("geo_round", 180.01, None),
        ("geo_round", float("nan"), None),
        ("geo_round", float("-inf"), None),
        ("geo_round", 35, None),
        ("geo_round", "35.68", None),
        # pseudonym
        ("pseudonym", "dell-crm:1", keys.pseudonym(KEY, "dell-crm:1")),
        ("pseudonym", 42, keys.pseudonym(KEY, "42")),
        ("pseudonym", -(2**63), keys.pseudonym(KEY, str(-(2**63)))),
        ("pseudonym", "", keys.pseudonym(KEY, "")),
    ],
)
def test_a_transform_gives(written: object, value: object, expected: object) -> None:
    given_back = result(written, value)
    assert repr(given_back) == repr(expected), "a float's sign and the type count too"


@pytest.mark.parametrize("written", ["keep", "null", "mask", {"truncate": 1}, "birth_year", "pseudonym"])
def test_nothing_stays_nothing(written: object) -> None:
    assert redact(parse_rule(written), None, target(), customer()) == Redacted(None)


def test_equal_names_are_equal_however_they_are_composed() -> None:
    for written in (
        {"mask": {"first": 3, "last": 2}},
        {"truncate": 3},
        "pseudonym",
        "salted_hash",
        "aes_siv",
        "aes_gcm",
    ):
        assert result(written, "Ame\u0301lie") == result(written, "Am\u00e9lie"), written


EVERY_RULE = [
    "keep",
    "null",
    "mask",
    {"mask": {"first": 1, "last": 2, "length": 9}},
    {"truncate": 2},
    "birth_year",
    {"age_band": date(2026, 1, 1)},
    {"postcode_prefix": 3},
    {"postcode_prefix": {"country": "GB"}},
    "geo_round",
    "pseudonym",
    "salted_hash",
    {"match_key": "google"},
    {"match_key": {"platform": "meta", "region": "JP"}},
    "fpe_ff1",
    {"fpe_ff1": "alnum"},
    "aes_siv",
    "aes_gcm",
]
CATEGORIES = ["user", "user.contact.email", "user.contact.phone_number", "user.name.first", "user.name.last"]
HALVES = ("\ud83d", "\udcff", "canary\ud83d", "\udcffcanary", "1234567\udc00")
"""Halves of surrogate pairs: JSON can name them, and no encoding has bytes for them."""
VALUES = (
    st.none()
    | st.text()
    | st.text(st.characters())
    | st.sampled_from(HALVES)
    | st.integers()
    | st.booleans()
    | st.binary()
    | st.floats()
    | st.lists(st.text(), max_size=2)
    | st.dictionaries(st.text(), st.integers(), max_size=2)
)


def test_every_transform_is_tried_here() -> None:
    names = {type(parse_rule(written)) for written in EVERY_RULE}
    elsewhere = {TRANSFORMS["drop"], TRANSFORMS["token"]}  # the one has no answer, the other needs a file
    assert names | elsewhere == set(TRANSFORMS.values())


@given(st.sampled_from(EVERY_RULE), VALUES, st.sampled_from(CATEGORIES))
def test_a_transform_is_total_and_a_function(written: object, value: object, category: str) -> None:
    once, again = (result(written, value, target("a", category), customer()) for _ in range(2))
    assert repr(once) == repr(again)


@given(st.sampled_from(EVERY_RULE), VALUES, st.sampled_from(CATEGORIES))
def test_what_a_transform_gives_is_of_a_type_that_it_announced(written: object, value: object, category: str) -> None:
    rule = parse_rule(written)
    found = result(rule, value, target("a", category))
    types = {"string": str, "int": int, "double": float}
    if found is not None and written != "keep":
        assert any(type(found) is types[str(avro)] for avro in rule.output(DOUBLE))
        assert str(found).encode().decode() == str(found)


@pytest.mark.parametrize("text", HALVES)
@pytest.mark.parametrize("category", CATEGORIES)
def test_half_a_surrogate_pair_has_no_answer(text: str, category: str) -> None:
    for written in EVERY_RULE:
        if written not in ("keep", "null"):
            assert result(written, text, target("a", category)) is None, written


@pytest.mark.parametrize(("number", "has_one"), [(-(1 << 63), True), ((1 << 63) - 1, True), (1 << 63, False)])
def test_a_whole_number_is_a_long_of_avro(number: int, has_one: bool) -> None:  # noqa: FBT001 - a table's column
    assert (result("pseudonym", number) is not None) is has_one
    assert (result("pseudonym", number) == result("pseudonym", str(number))) is has_one


def test_a_number_of_more_digits_than_can_be_written_has_no_answer() -> None:
    assert result("pseudonym", 10**5_000) is None


@given(st.text(), st.integers(1, 9))
def test_a_truncated_text_is_the_beginning_of_the_text(text: str, to: int) -> None:
    whole = unicodedata.normalize("NFC", text)
    cut = result({"truncate": to}, text)
    assert whole.startswith(cut)
    assert cut == whole or len(cut) >= to


def test_the_bands_of_age_leave_no_gap() -> None:
    """By age, not by their names: each begins where the one before ends."""
    ends = [int(name.split("-")[1]) for name in BANDS.values() if "-" in name]
    assert [end + 1 for end in ends] == list(BANDS)[1:]


@given(st.floats(-180, 180), st.integers(0, 2))
def test_a_rounded_point_is_near_and_on_the_grid(degrees: float, decimals: int) -> None:
    rounded = result({"geo_round": decimals}, degrees)
    assert abs(rounded - degrees) <= 0.5 * 10**-decimals + 1e-9
    assert result({"geo_round": decimals}, rounded) == rounded


def test_a_salted_hash_is_of_the_customers_salt_and_the_value() -> None:
    salt = hmac.new(MASTER.derive("salt", "hoshi-card", "a", "1"), HANAKO.encode(), hashlib.sha256).digest()[:16]
    assert result("salted_hash", "é") == hashlib.sha256(salt + "é".encode()).hexdigest()
    assert result("salted_hash", 42) == hashlib.sha256(salt + b"42").hexdigest()


@pytest.mark.parametrize("written", ["pseudonym", "salted_hash", "fpe_ff1", "aes_siv", "aes_gcm"])
def test_a_stand_in_is_another_at_another_partner_field_epoch_and_master(written: str) -> None:
    targets = [
        target(),
        target("b"),
        target(partner="adresso"),
        target(epoch=2),
        target(master=MasterKey(bytes(32))),
    ]
    assert len({result(written, "0123456789", each) for each in targets}) == len(targets)


@pytest.mark.parametrize(
    ("written", "joins"),
    [("pseudonym", True), ("fpe_ff1", True), ("salted_hash", False), ("aes_siv", False), ("aes_gcm", False)],
)
def test_whether_equal_values_of_two_customers_look_equal(written: str, joins: bool) -> None:  # noqa: FBT001
    one, other = (result(written, "0123456789", whose=customer(name)) for name in (HANAKO, TARO))
    assert (one == other) is joins


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
        ({"postcode_prefix": {"country": "GB"}}, "canary"),
        ({"age_band": date(2026, 1, 1)}, "canary"),
        ("geo_round", "canary"),
        ("fpe_ff1", "canary canary"),
        ({"fpe_ff1": "alnum"}, "CANARY canary"),
        ({"match_key": "google"}, "canary"),
        ("pseudonym", "canary\ud83d"),
        ("salted_hash", ["canary"]),
        ("aes_gcm", "canary\ud83d"),
    ],
)
def test_an_exception_holds_no_value(written: object, value: object) -> None:
    with pytest.raises(Untransformable) as raised:
        parse_rule(written).apply(value, target("a", "user.contact.phone_number"), customer())
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
        ({"aes_siv": 64}, "^`aes_siv` takes named options: "),
        ({"mask": {"first": 4, "last": 4}}, r"`length` \(8\) must be above `first` \+ `last` \(8\)"),
        ({"postcode_prefix": {}}, "takes either `characters`"),
        ({"postcode_prefix": {"characters": 3, "country": "JP"}}, "takes either `characters`"),
        ({"match_key": {"platform": "google", "region": "UK"}}, "there is no region `UK` with phone numbers"),
        ({"token": "loyalty"}, "needs a contract that lies in a file"),
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
        {"postcode_prefix": {"country": "DE"}},
        "age_band",
        {"age_band": "2026-01-01"},
        {"age_band": 2026},
        {"geo_round": 3},
        {"geo_round": -1},
        "match_key",
        {"match_key": "facebook"},
        {"fpe_ff1": "letters"},
        {"aes_gcm": {"pad_to": 256}},
        {"aes_siv": {"pad_to": 15}},
        "token",
        {"token": "../secret"},
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
    "double": DOUBLE,
    "float": FLOAT,
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
        ({"age_band": date(2026, 1, 1)}, {"text", "date"}),
        ({"postcode_prefix": {"country": "US"}}, {"text"}),
        ("geo_round", {"double", "float"}),
        ("pseudonym", {"text", "int", "long"}),
        ("salted_hash", {"text", "int", "long"}),
        ("fpe_ff1", {"text"}),
        ("aes_siv", {"text", "int", "long"}),
        ("aes_gcm", {"text", "int", "long"}),
        ({"match_key": "google"}, set()),
    ],
)
def test_a_transform_takes_the_types_it_is_for(written: object, takes: set[str]) -> None:
    rule = parse_rule(written)
    assert {name for name, leaf in EVERY_LEAF.items() if rule.refusal(leaf) is None} == takes


@pytest.mark.parametrize("name", ["drop", "null"])
def test_what_is_never_there_cannot_be_required(name: str) -> None:
    assert parse_rule({name: {"required": True}}).refusal(TEXT) == "cannot be required"


class Document(Strict):
    fields: dict[str, FieldRule]


def test_rules_are_read_from_yaml_as_they_are_written(tmp_path: Path) -> None:
    """A bare `on` and a bare `null` mean something else to YAML."""
    file = tmp_path / "contract.yaml"
    file.write_text("fields:\n  a: {age_band: {on: 2026-01-01}}\n  b: {age_band: 2026-01-01}\n  c: null\n")
    fields = load(file, Document)[0].fields
    assert fields == {
        "a": parse_rule({"age_band": date(2026, 1, 1)}),
        "b": parse_rule({"age_band": date(2026, 1, 1)}),
        "c": parse_rule("null"),
    }


def test_a_wrong_option_is_told_where_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "contract.yaml"
    file.write_text("fields:\n  a:\n    match_key:\n      platform: gogle\n")
    with pytest.raises(DocumentError, match=r"contract\.yaml:2:3: `gogle` is not one of .*; did you mean `google`\?"):
        load(file, Document)


def test_the_documents_example_of_a_new_transform_is_one() -> None:
    """docs/transforms.md, "Adding a transform"."""
    text = (Path(__file__).parents[2] / "docs/transforms.md").read_text(encoding="utf-8")
    code = textwrap.dedent(text.split("```python\n")[1].split("```")[0])
    names: dict[str, Any] = {"TextRule": TextRule, "text_of": text_of}
    exec(code, names)  # noqa: S102 - ours
    assert result(names["Initial"](), "Hanako") == "H"
    assert names["Initial"]().refusal(INT) == "applies to strings only"


def test_the_avro_types_that_a_transform_gives() -> None:
    assert parse_rule("keep").output(EITHER) == ("string", "int")
    assert parse_rule("birth_year").output(DATE) == ("int",)
    assert parse_rule("pseudonym").output(LONG) == ("string",)
    assert parse_rule("mask").output(TEXT) == ("string",)
    assert parse_rule({"age_band": date(2026, 1, 1)}).output(DATE) == ("string",)
    assert parse_rule("geo_round").output(FLOAT) == ("float",)
    assert parse_rule("aes_gcm").output(LONG) == ("string",)
    assert isinstance(parse_rule("keep"), Rule)


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("keep", ""),
        ("mask", f"unicode {unicodedata.unidata_version}"),
        ({"truncate": 1}, f"graphemes {grapheme.UNICODE_VERSION}"),
        ({"match_key": "google"}, f"phonenumbers {phonenumbers.__version__}"),
        ({"postcode_prefix": {"country": "US"}}, "sparse ZIP3 "),
    ],
)
def test_a_rule_names_the_data_that_its_answer_depends_on(written: object, names: str) -> None:
    """The contracts' digest holds it: another version of the data is another view."""
    assert names in parse_rule(written).data_version
