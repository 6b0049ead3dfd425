"""The walk over Avro's encoding, against the library: what passes is read rightly and to the last byte."""

from __future__ import annotations

import json
from io import BytesIO
from random import Random
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import catalogue
from sluice.wire import Damaged, Planner, Shape, Unsuited, made_usual, past
from tests.unit.avro_records import Avro, Chosen, Encoder, named_types, schemas, value_of

TREE = {
    "type": "record",
    "name": "Tree",
    "namespace": "a",
    "fields": [
        {"name": "next", "type": ["null", "Tree"]},
        {"name": "many", "type": {"type": "array", "items": ["null", "string", "a.Tree"]}},
        {"name": "named", "type": {"type": "map", "values": {"type": "enum", "name": "E", "symbols": ["A", "B"]}}},
        {"name": "mark", "type": ["null", {"type": "fixed", "name": "Mark", "size": 2}, "boolean", "double", "float"]},
    ],
}
EVERY_SCHEMA = [TREE, *(json.loads(catalogue.text(name)) for name in catalogue.names())]


def parsed(schema: Any) -> tuple[Any, dict[str, Any]]:  # noqa: ANN401 - Avro is JSON
    names: dict[str, Any] = {}
    return fastavro.parse_schema(json.loads(json.dumps(schema)), names), names


PARSED = [parsed(schema) for schema in EVERY_SCHEMA]


def check(schema: Any, names: dict[str, Any], data: bytes) -> None:  # noqa: ANN401 - Avro is JSON
    past(Planner(names).shape(schema), data)


def passes(type_: Any, data: bytes) -> bool:  # noqa: ANN401
    schema, names = parsed({"type": "record", "name": "R", "fields": [{"name": "x", "type": type_}]})
    try:
        check(schema, names, data)
    except Damaged:
        return False
    return True


ARRAY = {"type": "array", "items": "string"}
MAP = {"type": "map", "values": "long"}
ENUM = {"type": "enum", "name": "E", "symbols": ["A", "B"]}


@pytest.mark.parametrize(
    ("type_", "data", "whole"),
    [
        ("null", b"", True),
        ("null", b"\x00", False),
        ("boolean", b"\x00", True),
        ("boolean", b"\x01", True),
        ("boolean", b"\x02", False),
        ("boolean", b"", False),
        ("long", b"\x02", True),
        ("long", b"\x82\x00", True),  # longer than need be, and legal
        ("long", b"\x82", False),
        ("long", b"\xff" * 9 + b"\x01", True),
        ("long", b"\xff" * 9 + b"\x02", False),  # beyond 64 bits
        ("long", b"\x80" * 10 + b"\x00", False),
        ("float", bytes(4), True),
        ("float", bytes(3), False),
        ("double", bytes(8), True),
        ("double", bytes(9), False),
        ("string", b"\x02a", True),
        ("string", b"\x04a", False),
        ("string", b"\x01a", False),  # a negative length
        ("bytes", b"\x00", True),
        ({"type": "fixed", "name": "F", "size": 2}, b"ab", True),
        ({"type": "fixed", "name": "F", "size": 2}, b"a", False),
        (ENUM, b"\x02", True),
        (ENUM, b"\x04", False),
        (ENUM, b"\x01", False),
        (["null", "string"], b"\x00", True),
        (["null", "string"], b"\x01\x02a", False),
        (["null", "string"], b"\x04", False),
        (ARRAY, b"\x00", True),
        (ARRAY, b"\x02\x02a\x00", True),
        (ARRAY, b"\x02\x02a\x02\x02b\x00", True),  # two blocks
        (ARRAY, b"\x01\x04\x02a\x00", True),  # a block with its size
        (ARRAY, b"\x01\x02\x02a\x00", False),  # with another size
        (ARRAY, b"\x02\x02a", False),
        ({"type": "map", "values": "long"}, b"\x02\x02a\x04\x00", True),
        ({"type": "map", "values": "long"}, b"\x02\x02a\x00", False),
        ({"type": "array", "items": "null"}, b"\x06\x00", False),  # items without bytes: any count could be claimed
        ("int", b"\x80\x80\x80\x80\x20", False),  # beyond 32 bits
        ({"type": "array", "items": "null"}, b"\xfe" + b"\xff" * 8 + b"\x01\x00", False),  # no end within a lifetime
    ],
)
def test_what_is_whole(type_: Any, data: bytes, whole: bool) -> None:  # noqa: ANN401, FBT001 - a table's columns
    assert passes(type_, data) is whole


def test_a_record_within_itself_is_followed_as_far_as_it_goes() -> None:
    schema, names = PARSED[0]
    leaf = b"\x00\x00\x00\x00"
    check(schema, names, b"\x02" + leaf + leaf[1:])
    with pytest.raises(Damaged):
        check(schema, names, b"\x02" * 100_000)


@given(st.sampled_from(PARSED), st.binary(max_size=60))
def test_what_passes_is_read_to_the_last_byte(schema: tuple[Any, dict[str, Any]], data: bytes) -> None:
    try:
        check(*schema, data)
    except Damaged:
        return
    source = BytesIO(data)
    try:
        fastavro.schemaless_reader(source, schema[0], None)
    except UnicodeDecodeError:
        return  # bytes that are no text: the walk makes no values
    assert source.tell() == len(data)


TREES: st.SearchStrategy[Any] = st.recursive(
    st.none(),
    lambda inner: st.fixed_dictionaries(
        {
            "next": inner,
            "many": st.lists(st.none() | st.text(max_size=2), max_size=3),
            "named": st.dictionaries(st.text(max_size=2), st.sampled_from(["A", "B"]), max_size=2),
            "mark": st.none() | st.binary(min_size=2, max_size=2) | st.booleans() | st.floats(allow_nan=False),
        }
    ),
    max_leaves=4,
).filter(bool)


@given(TREES)
def test_whatever_the_library_writes_passes_and_nothing_shorter_or_longer(tree: Any) -> None:  # noqa: ANN401
    schema, names = PARSED[0]
    target = BytesIO()
    fastavro.schemaless_writer(target, schema, tree)
    data = target.getvalue()
    check(schema, names, data)
    for wrong in (data[:-1], data + b"\x00"):
        with pytest.raises(Damaged):
            check(schema, names, wrong)


@given(schemas(), st.integers(0, 1 << 32), st.sampled_from([0.1, 0.5, 1.0]))
def test_whatever_is_unusual_is_made_usual_and_nothing_else_is_touched(avro: Avro, seed: int, strange: float) -> None:
    random, names = Random(seed), named_types(avro)
    value = value_of(random, avro, names)
    usual = Encoder(random, names, 0).encode(avro, value)
    unusual = Encoder(random, names, strange).encode(avro, value)
    own = parsed(avro)
    shape = Planner(own[1]).shape(own[0])
    assert past(shape, usual).is_canonical
    assert past(shape, unusual).is_canonical is (unusual == usual)
    assert made_usual(shape, unusual) == usual
    assert made_usual(shape, usual) == usual


@pytest.mark.parametrize("data", [b"\x06\x02a\x02\x02b\x04\x02a\x06\x00", b"\x04\x02a\x02\x02b\x04\x02\x02a\x06\x00"])
def test_of_an_entry_that_a_map_has_twice_the_later_one_holds(data: bytes) -> None:
    schema, names = parsed({"type": "record", "name": "R", "fields": [{"name": "x", "type": MAP}]})
    shape = Planner(names).shape(schema)
    assert not past(shape, data).is_canonical
    made = made_usual(shape, data)
    assert past(shape, made).is_canonical
    read = [fastavro.schemaless_reader(BytesIO(one), schema, None) for one in (data, made)]
    assert read == [{"x": {"a": 3, "b": 2}}] * 2


def plain(value: Any) -> Any:  # noqa: ANN401
    """Without the branches that values are meant for."""
    if isinstance(value, Chosen):
        return plain(value.value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def written(shape: Shape, value: object) -> bytes:
    out = bytearray()
    shape.write(value, out)
    return bytes(out)


@given(schemas(), st.integers(0, 1 << 32))
def test_what_is_written_is_what_the_library_writes_or_is_left_to_it(avro: Avro, seed: int) -> None:
    schema, names = parsed(avro)
    value = plain(value_of(Random(seed), avro, named_types(avro)))
    target = BytesIO()
    fastavro.schemaless_writer(target, schema, value, strict_allow_default=True)
    try:
        found = written(Planner(names).shape(schema), value)
    except Unsuited:
        assert has_a_choice(avro)
    else:
        assert found == target.getvalue()


def has_a_choice(avro: Avro) -> bool:
    """Whether the schema has a union of more than one type beside null."""
    if isinstance(avro, list):
        return sum(one != "null" for one in avro) > 1 or any(map(has_a_choice, avro))
    if not isinstance(avro, dict):
        return False
    inside = [one["type"] for one in avro.get("fields", ())]
    return any(map(has_a_choice, (*inside, avro.get("items"), avro.get("values"))))


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 65), 1 << 65), st.floats(), st.text(max_size=3), st.binary(max_size=4),
    st.sampled_from(["A", "\ud800"]), st.lists(st.integers(), max_size=2), st.dictionaries(st.text(), st.integers()),
)  # fmt: skip
FIXED = {"type": "fixed", "name": "F", "size": 3}
TYPES = ["null", "boolean", "int", "long", "float", "double", "string", "bytes", ARRAY, MAP, ENUM, FIXED]


@given(
    st.sampled_from([*TYPES, *(["null", one] for one in TYPES[1:]), *([one, "null"] for one in TYPES[1:])]), ANYTHING
)
def test_no_value_is_written_otherwise_than_the_library_would(avro: Avro, value: object) -> None:
    schema, names = parsed({"type": "record", "name": "R", "fields": [{"name": "x", "type": avro}]})
    try:
        found = written(Planner(names).shape(schema), {"x": value})
    except Unsuited:
        return
    target = BytesIO()
    fastavro.schemaless_writer(target, schema, {"x": value}, strict_allow_default=True)
    assert found == target.getvalue()


@pytest.mark.parametrize("record", [{}, {"y": 1}, {"x": 1, "y": 1}, [], None])
def test_a_record_of_other_fields_is_left_to_the_library(record: object) -> None:
    schema, names = parsed({"type": "record", "name": "R", "fields": [{"name": "x", "type": "int", "default": 0}]})
    with pytest.raises(Unsuited):
        written(Planner(names).shape(schema), record)
