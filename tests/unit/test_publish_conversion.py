"""Conversion by schema: every type arrives as fastavro reads it; what does not fit is named and never shown."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import catalogue
from sluice.avro import FRAME_BYTES, Writer
from sluice.errors import SluiceError
from sluice.files.conversion import Unfit, convert
from sluice.files.scalars import UNFIT, Json, scalar
from sluice.files.shape import leaf, paths, read_shape

LEAKED = "hanako"


def schema_of(avro: Json) -> str:
    fields = [{"name": "f", "type": avro}]
    return json.dumps({"type": "record", "name": "R", "namespace": "n", "fields": fields})


def through(avro: Json, value: Json) -> Json:
    """The value as a reader with logical types sees it."""
    schema = schema_of(avro)
    data = Writer(schema, 1).write(convert(read_shape(schema), {"f": value}))
    record = fastavro.schemaless_reader(io.BytesIO(data[FRAME_BYTES:]), fastavro.parse_schema(json.loads(schema)), None)
    assert isinstance(record, dict)
    return record["f"]


DATE = {"type": "int", "logicalType": "date"}
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}
FIXED_MONEY = {"type": "fixed", "name": "Money", "size": 8, "logicalType": "decimal", "precision": 6, "scale": 2}
COLOUR = {"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]}
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("avro", "value", "expected"),
    [
        ("string", "é", "é"),
        ("boolean", True, True),
        ("int", -(2**31), -(2**31)),
        ("long", 2**63 - 1, 2**63 - 1),
        ("double", Decimal("1.5"), 1.5),
        ("float", 2, 2.0),
        ("bytes", "AQI=", b"\x01\x02"),
        ({"type": "fixed", "name": "F", "size": 2}, "AQI=", b"\x01\x02"),
        (COLOUR, "BLUE", "BLUE"),
        (DATE, "1968-02-29", date(1968, 2, 29)),
        (DATE, 0, date(1970, 1, 1)),
        (MILLIS, "2026-11-23T12:00:00Z", NOON),
        (MILLIS, "2026-11-23T21:00:00+09:00", NOON),
        (MILLIS, 1_795_435_200_000, NOON),
        ({"type": "long", "logicalType": "timestamp-micros"}, "2026-11-23T12:00:00Z", NOON),
        (MONEY, "-1250.5", Decimal("-1250.50")),
        (MONEY, 3, Decimal("3.00")),
        (MONEY, Decimal("0e999999"), Decimal("0.00")),
        (FIXED_MONEY, Decimal("1250.75"), Decimal("1250.75")),
        ({"type": "array", "items": "string"}, ["a", "b"], ["a", "b"]),
        ({"type": "map", "values": "boolean"}, {"a": True}, {"a": True}),
        (["null", "string"], None, None),
        (["null", "long", "string"], "a", "a"),
        (["null", "long", "string"], 7, 7),
    ],
)
def test_values_arrive_as_their_type(avro: Json, value: Json, expected: Json) -> None:
    assert through(avro, value) == expected


@pytest.mark.parametrize(
    ("avro", "value"),
    [
        ("string", 5),
        ("string", "\ud800"),
        ("boolean", 1),
        ("int", 2**31),
        ("int", True),
        ("int", "5"),
        ("long", Decimal("5.5")),
        ("double", LEAKED),
        ("double", Decimal("1e999999999")),
        ("float", Decimal("1e39")),
        ("bytes", LEAKED + "!"),
        ({"type": "fixed", "name": "F", "size": 3}, "AQI="),
        (COLOUR, LEAKED),
        (COLOUR, ["RED"]),
        (DATE, LEAKED),
        (DATE, "1999-02-29"),
        (MILLIS, "2026-11-23"),
        (MILLIS, "2026-11-23T12:00:00"),
        (MILLIS, "0001-01-01T00:00:00+99:00"),
        (MONEY, "1250.755"),
        (MONEY, Decimal(10000)),
        (MONEY, Decimal("1e999999999")),
        (MONEY, True),
        ({"type": "array", "items": "int"}, LEAKED),
        ({"type": "array", "items": "int"}, [1, LEAKED]),
        ({"type": "map", "values": "int"}, {LEAKED: LEAKED}),
        ({"type": "map", "values": "int"}, [LEAKED]),
        (["null", "int"], LEAKED),
        (["null", "int", "boolean"], LEAKED),
        ("int", None),
    ],
)
def test_what_does_not_fit_is_named_by_field_and_never_shown(avro: Json, value: Json) -> None:
    with pytest.raises(Unfit) as refusal:
        convert(read_shape(schema_of(avro)), {"f": value})
    assert "`f" in str(refusal.value)
    assert LEAKED not in str(refusal.value)
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


@given(st.decimals(min_value=-(10**10), max_value=10**10, places=4))
def test_a_decimal_is_exact_or_refused(number: Decimal) -> None:
    avro = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
    fits = number == round(number, 2) and abs(number) < 10**7
    try:
        assert through(avro, number) == number
    except Unfit:
        assert not fits
    else:
        assert fits


@given(st.datetimes(timezones=st.timezones()))
def test_every_moment_is_floored_to_its_millisecond(moment: datetime) -> None:
    shape = read_shape(schema_of(MILLIS))
    assert convert(shape, {"f": moment.isoformat()})["f"] == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        milliseconds=1
    )


@pytest.mark.parametrize(
    ("avro", "text", "value"),
    [
        ("int", "007", 7),
        ("double", "-1.5e3", Decimal(-1500)),
        ("boolean", "Yes", True),
        ("boolean", "0", False),
        (MILLIS, "1795435200000", 1_795_435_200_000),
        (MONEY, "12.50", Decimal("12.50")),
        (DATE, "2001-04-30", "2001-04-30"),
    ],
)
def test_text_becomes_json(avro: Json, text: str, value: Json) -> None:
    found = scalar(avro)
    assert found is not None
    assert found.from_text(text) == value
    found.from_json(value)


@pytest.mark.parametrize(
    ("avro", "text"),
    [
        ("int", "1_000"),
        ("int", "\uff15"),
        ("int", "1.0"),
        ("double", "nan"),
        ("double", "1e999"),
        ("double", "1,5"),
        ("boolean", "ja"),
        (MILLIS, "1795435200"),  # seconds
        (MILLIS, "20261123"),
        (MILLIS, "2026-11-23 12:00"),
        (DATE, "23.11.2026"),
    ],
)
def test_doubtful_text_is_refused(avro: Json, text: str) -> None:
    found = scalar(avro)
    assert found is not None
    with pytest.raises(UNFIT):
        found.from_json(found.from_text(text))


def test_missing_fields_take_the_schemas_default_or_null() -> None:
    inner = {
        "type": "record",
        "name": "Inner",
        "fields": [{"name": "tier", "type": COLOUR, "default": "RED"}, {"name": "x", "type": ["null", "int"]}],
    }
    fields = [
        {"name": "raw", "type": "bytes", "default": "\u00ff"},
        {"name": "inner", "type": ["null", inner], "default": None},
        {"name": "again", "type": "Inner", "default": {"tier": "BLUE"}},
        {"name": "list", "type": {"type": "array", "items": "string"}, "default": []},
        {"name": "either", "type": ["string", "null"], "default": "none"},
    ]
    shape = read_shape(json.dumps({"type": "record", "name": "R", "namespace": "n", "fields": fields}))
    assert convert(shape, {"inner": {}}) == {
        "raw": b"\xff",
        "inner": {"tier": "RED", "x": None},
        "again": {"tier": "BLUE", "x": None},
        "list": [],
        "either": "none",
    }


def test_missing_and_unknown_fields_are_refused_with_the_nearest_name() -> None:
    shape = read_shape(catalogue.text("customer_profile"))
    with pytest.raises(Unfit, match=r"`updated_at` is missing\."):
        convert(shape, {"customer_id": "a"})
    with pytest.raises(Unfit, match=r"`address.citty`; did you mean `city`\?"):
        convert(shape, {"customer_id": "a", "address": {"citty": LEAKED}})
    with pytest.raises(Unfit, match="whose name no schema can have"):
        convert(shape, {"hanako@example.com": 1})
    with pytest.raises(Unfit, match="`address` has to be an object"):
        convert(shape, {"customer_id": "a", "updated_at": 1, "address": LEAKED})


def test_leaves_are_found_by_dotted_path() -> None:
    shape = read_shape(catalogue.text("customer_profile"))
    assert {"email", "address.city", "billing_address.city", "segments", "loyalty.tier"} <= set(paths(shape))
    city = leaf(shape, "address.city")
    assert city is not None
    assert city.nullable
    assert leaf(shape, "address") is None
    assert leaf(shape, "email.domain") is None


def test_a_record_may_hold_itself() -> None:
    node = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"], "default": None}]}
    shape = read_shape(json.dumps(node))
    assert convert(shape, {"next": {"next": None}}) == {"next": {"next": None}}
    assert paths(shape) == []


def test_only_records_take_rows() -> None:
    with pytest.raises(SluiceError, match="no Avro record"):
        read_shape('"string"')
