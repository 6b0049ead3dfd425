"""The second opinion on bytes: what it reads and what it refuses, beside what the processor's reader does."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import catalogue
from sluice.avro import Reader, Undecodable, Writer
from sluice.registry import SchemaNotFound
from stream_processors.review.apache_avro import Codec, Encoder, Unreadable, Unwritable, schema_id_in
from tests.unit.evidence_by_hand import Logs


def codec_of(schema: object) -> Codec:
    return Codec({7: json.dumps(schema)}.__getitem__)


def framed(payload: bytes) -> bytes:
    return struct.pack(">bI", 0, 7) + payload


def record_of(kind: object) -> dict[str, object]:
    return {"type": "record", "name": "R", "fields": [{"name": "x", "type": kind}]}


@pytest.mark.parametrize(
    ("kind", "payload", "value"),
    [
        ("int", b"\x02", 1),
        ({"type": "int", "logicalType": "date"}, b"\xc0\x3e", 4000),
        ({"type": "long", "logicalType": "timestamp-millis"}, b"\x02", 1),
        ("boolean", b"\x01", True),
        (["null", "string"], b"\x02\x02a", "a"),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, b"\x02", "B"),
        ({"type": "array", "items": "int"}, b"\x04\x02\x04\x00", [1, 2]),
        ({"type": "array", "items": "int"}, b"\x01\x02\x04\x00", [2]),
        ({"type": "map", "values": "int"}, b"\x02\x02a\x04\x00", {"a": 2}),
    ],
)
def test_whole_records_in_avros_own_values(kind: object, payload: bytes, value: object) -> None:
    assert codec_of(record_of(kind)).read(framed(payload)) == {"x": value}


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("int", b"\x02\x00"),
        ("int", b""),
        ("int", b"\x80\x80\x80\x80\x20"),
        ("boolean", b"\x02"),
        ("string", b"\x02"),
        ("string", b"\x02\xff"),
        (["null", "string"], b"\x01\x02a"),
        (["null", "string"], b"\x04"),
        ({"type": "enum", "name": "E", "symbols": ["A"], "default": "A"}, b"\x02"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, b"\x01"),
        ({"type": "array", "items": "int"}, b"\x01\x04\x04\x00"),
        ({"type": "array", "items": "null"}, b"\x04\x00"),
    ],
)
def test_damage_is_not_data(kind: object, payload: bytes) -> None:
    with pytest.raises(Unreadable):
        codec_of(record_of(kind)).read(framed(payload))


@pytest.mark.parametrize("value", [None, b"", b"\x00\x00\x00", b"\x01\x00\x00\x00\x07\x02"])
def test_what_is_not_framed(value: bytes | None) -> None:
    with pytest.raises(Unreadable):
        codec_of(record_of("int")).read(value)


def test_a_schema_that_is_not_known_or_is_none() -> None:
    def missing(_: int) -> str:
        raise SchemaNotFound("There is none.")

    for codec in (Codec(missing), Codec(lambda _: '{"type": "nothing"}'), Codec(lambda _: '"int"')):
        with pytest.raises(Unreadable):
            codec.read(framed(b"\x02"))


def test_written_as_the_other_library_writes_it() -> None:
    schema = json.dumps(record_of(["null", "string", "double"]))
    for value in (None, "a", 1.5):
        written = Encoder(schema, 7).write({"x": value})
        assert written == Writer(schema, 7).write({"x": value})
        assert schema_id_in(written) == 7
    with pytest.raises(Unwritable):
        Encoder(schema, 7).write({"x": b"bytes"})


@given(st.data())
def test_both_libraries_take_the_same_bytes_for_a_customer(data: st.DataObject) -> None:
    """One byte changed anywhere: either both refuse it, or both read the same."""
    logs = Logs()
    logs.update()
    whole = logs.records[0].value
    assert whole is not None
    at = data.draw(st.integers(5, len(whole) - 1))
    changed = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    assert _read(logs.book.codec, changed) == _read_by_the_processor(changed)


def _read(codec: Codec, value: bytes) -> object:
    try:
        return codec.read(value)
    except Unreadable:
        return None


def _read_by_the_processor(value: bytes) -> object:
    try:
        return Reader(catalogue.text("customer_profile")).read(value[5:])
    except Undecodable:
        return None
