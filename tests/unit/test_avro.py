"""Framed Avro: exact bytes in and out, and nothing but Undecodable whatever the bytes are."""

from __future__ import annotations

import json
import struct
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import catalogue
from sluice.avro import FRAME_BYTES, Reader, Undecodable, Unencodable, Writer, frame, unframe
from sluice.model import Cause
from sluice.registry import Registry

PROFILE: dict[str, Any] = {
    "customer_id": "dell-crm:1",
    "given_name": "花子",
    "birth_date": -671,
    "gender": "FEMALE",
    "address": {"city": "千代田区", "country": "JP"},
    "location": {"latitude": 35.685, "longitude": -139.7528},
    "loyalty": {"tier": "GOLD", "points": 2**40},
    "segments": ["a", "b"],
    "identifiers": [{"scheme": "erp", "value": "1"}],
    "attributes": {"shoe": "23.5"},
    "preferences": {"newsletter": True},
    "lifetime_value": b"\x01\xe8",
    "updated_at": 1_780_000_000_000,
}


def schema(*fields: tuple[str, Any]) -> str:
    return json.dumps({"type": "record", "name": "R", "fields": [{"name": n, "type": t} for n, t in fields]})


def payload(text: str, record: dict[str, Any]) -> bytes:
    return Writer(text, 1).write(record)[FRAME_BYTES:]


# --- the frame


@pytest.mark.parametrize("number", [0, 1, 258, 2**31, 2**32 - 1])
def test_a_frame_is_a_zero_byte_and_the_schemas_id(number: int) -> None:
    assert frame(number, b"abc") == b"\x00" + struct.pack(">I", number) + b"abc"
    assert unframe(frame(number, b"abc")) == (number, b"abc")
    assert unframe(frame(number, b"")) == (number, b"")


@pytest.mark.parametrize("value", [None, b"", b"\x00", b"\x00\x00\x00\x01", b"\x01\x00\x00\x00\x01abc", b"{}      "])
def test_what_is_not_framed_says_so(value: bytes | None) -> None:
    with pytest.raises(Undecodable) as raised:
        unframe(value)
    assert raised.value.cause is Cause.NOT_FRAMED


# --- round trips


def test_values_are_avros_own_without_logical_types() -> None:
    text = catalogue.text("customer_profile")
    read = Reader(text).read(payload(text, PROFILE))
    assert {key: read[key] for key in ("birth_date", "lifetime_value", "updated_at")} == {
        "birth_date": -671,
        "lifetime_value": b"\x01\xe8",
        "updated_at": 1_780_000_000_000,
    }
    assert type(read["birth_date"]) is type(read["updated_at"]) is int
    assert payload(text, read) == payload(text, PROFILE)


def test_what_is_missing_takes_its_default_and_nothing_else_may_be_missing() -> None:
    text = catalogue.text("customer_profile")
    least = {"customer_id": "a", "updated_at": 0}
    read = Reader(text).read(payload(text, least))
    assert (read["email"], read["segments"], read["attributes"]) == (None, [], {})
    for missing in least:
        with pytest.raises(Unencodable):
            payload(text, {key: value for key, value in least.items() if key != missing})


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("string", 5),
        ("string", None),
        ("string", ["canary"]),
        ("string", b"canary"),
        ("string", "canary\ud800"),
        ("int", "canary"),
        ("long", 2**63),
        (["null", "boolean"], "canary"),
        (["null", "int"], 2**31),
        (["null", "string"], 5),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, "canary"),
        ({"type": "fixed", "name": "F", "size": 2}, b"canary"),
        (["null", {"type": "array", "items": "string"}], "canary"),
        ({"type": "array", "items": "string"}, 5),
        ({"type": "map", "values": "string"}, ["canary"]),
        ({"type": "map", "values": "string"}, {5: "canary"}),
    ],
)
def test_a_value_of_another_type_is_unencodable_and_told_to_nobody(type_: Any, value: object) -> None:  # noqa: ANN401
    with pytest.raises(Unencodable) as raised:
        Writer(schema(("x", type_)), 1).write({"x": value})
    assert "canary" not in "".join(traceback.format_exception(raised.value)).replace('"canary"', "")


def test_a_field_that_the_schema_does_not_have_is_unencodable() -> None:
    with pytest.raises(Unencodable):
        Writer(schema(("x", "string")), 1).write({"x": "a", "y": "b"})


def test_maps_are_maps_whatever_their_keys_say() -> None:
    """The library gives some keys of its own a meaning."""
    text = schema(("x", ["null", {"type": "map", "values": "string"}]))
    for value in ({"-type": "map"}, {"-type": "a", "b": "c"}, {"__fastavro__": "x"}):
        assert Reader(text).read(payload(text, {"x": value})) == {"x": value}


# --- what cannot be read


def refused(text: str, data: bytes) -> None:
    with pytest.raises(Undecodable) as raised:
        Reader(text).read(data)
    assert raised.value.cause is Cause.UNDECODABLE
    assert raised.value.__cause__ is None


def test_bytes_beyond_the_end_are_refused() -> None:
    text = catalogue.text("customer_profile")
    for more in (b"\x00", b"abc", payload(text, PROFILE)):
        refused(text, payload(text, PROFILE) + more)


def test_a_record_cut_short_is_refused_at_every_length() -> None:
    text = catalogue.text("customer_profile")
    whole = payload(text, PROFILE)
    for length in range(len(whole)):
        refused(text, whole[:length])


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, b"\x04"),
        (["null", "string"], b"\x04"),
        ("string", b"\x01abc"),
        ("string", b"\x04\xff\xff"),
        ("bytes", b"\x07abc"),
    ],
)
def test_an_index_or_length_that_there_is_not_is_refused(type_: Any, data: bytes) -> None:  # noqa: ANN401
    refused(schema(("x", type_)), data)


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        pytest.param({"type": "enum", "name": "E", "symbols": ["GIVEN", "WITHDRAWN"]}, b"\x03", id="enum: GIVEN"),
        pytest.param(["null", "string"], b"\x01\x02a", id="union"),
    ],
)
def test_a_negative_index_is_refused_and_does_not_count_from_the_end(type_: Any, data: bytes) -> None:  # noqa: ANN401
    """Avro's indexes begin at zero. Python's do not, and damaged bytes must not read as a yes."""
    refused(schema(("x", type_)), data)


@pytest.mark.parametrize("name", catalogue.names())
@given(data=st.binary(max_size=80))
def test_any_bytes_are_a_record_or_undecodable(name: str, data: bytes) -> None:
    try:
        record = Reader(catalogue.text(name)).read(data)
    except Undecodable as error:
        found = error.cause.value
    else:
        found = str(type(record))
    assert found in ("undecodable", str(dict))


@given(st.binary(min_size=1, max_size=8), st.integers(0, 90))
def test_damage_within_a_record_raises_nothing_else(damage: bytes, at: int) -> None:
    text = catalogue.text("customer_profile")
    whole = payload(text, PROFILE)
    data = whole[:at] + damage + whole[at + len(damage) :]
    try:
        assert isinstance(Reader(text).read(data), dict)
    except Undecodable as error:
        assert str(error) == "undecodable"  # noqa: PT017 - either is right, and nothing else


@pytest.mark.parametrize("text", ['syntax = "proto3";', '{"type": "object"}', '"string"', '{"type": "nonsense"}'])
def test_a_record_of_a_schema_that_is_no_avro_record_is_undecodable(text: str) -> None:
    """Whoever may register a Protobuf schema and write to an input must not be able to stop everybody."""
    registry = Registry({"url": "http://127.0.0.1:1"})
    registry._texts[5] = text
    with pytest.raises(Undecodable):
        registry.decode(frame(5, b"\x02a"))
