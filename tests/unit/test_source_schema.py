"""The source schema as contracts see it: any record that the registry knows, whatever way it is written."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from schemas import catalogue
from sluice.errors import SluiceError
from sluice.source_schema import UNCATEGORISED, NoSuchLeaf, leaves


def field(name: str, type_: Any, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - Avro is JSON
    return {"name": name, "type": type_, **more}


def record(name: str, *fields: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"type": "record", "name": name, "fields": list(fields), **more}


def paths(*fields: dict[str, Any], **more: Any) -> list[str]:  # noqa: ANN401
    return list(leaves(json.dumps(record(more.pop("name", "R"), *fields, **more))))


ENUM = {"type": "enum", "name": "Tier", "symbols": ["LOW", "HIGH"]}
TIER = {"type": "enum", "name": "Tier", "symbols": ["A"]}


def test_the_example_customer() -> None:
    found = leaves(catalogue.text("customer_profile"))
    assert list(found)[:2] == ["customer_id", "source_system"]
    assert "address.postal_code" in found
    assert "billing_address.city" in found, "a record that is named a second time"
    assert "loyalty.tier" in found
    assert not {"address", "identifiers", "identifiers.value", "loyalty"} & set(found)
    assert found["birth_date"].is_date
    assert not found["birth_date"].is_integer
    assert found["loyalty.points"].is_integer
    assert found["customer_id"].is_text
    assert not found["loyalty.tier"].is_text
    assert found["email"].category == "user.contact.email"
    (tier,) = found["loyalty.tier"].branches
    assert tier["name"] == "sluice.crm.LoyaltyTier", "spelled out with its full name"


def test_paths_lead_into_records_and_not_into_containers() -> None:
    inner = record("Inner", field("x", "string"))
    assert paths(
        field("plain", "string"),
        field("inside", inner),
        field("maybe", ["null", "Inner"]),
        field("array", {"type": "array", "items": "Inner"}),
        field("map", {"type": "map", "values": ["null", "Inner"]}),
        field("either", ["Inner", "string"]),
        field("texts", {"type": "array", "items": ["null", "string"]}),
        field("nested", {"type": "map", "values": {"type": "array", "items": "long"}}),
        field("flat", ["null", "string", "long"]),
        field("nothing", "null"),
    ) == ["plain", "inside.x", "maybe.x", "texts", "nested", "flat", "nothing"]


@pytest.mark.parametrize(
    ("path", "type_", "category"),
    [
        ("ids[scheme=a].value", "string", "user.unique_id"),
        ("ids[scheme=a].note", "string", "user.account"),
        ("ids[kind=LOW].value", "string", "user.unique_id"),
        ("ids[rank=3].place.city", "string", "user.account"),
        ("ids[rank=3].tags[x]", "long", "user.account"),
        ("plans[gold]", "int", "user.payment"),
        ("homes[summer].city", "string", "user"),
    ],
)
def test_selectors_lead_into_arrays_of_records_and_maps(path: str, type_: str, category: str) -> None:
    item = record(
        "Item",
        field("scheme", "string"),
        field("kind", ENUM),
        field("rank", ["null", "int"]),
        field("value", "string", data_category="user.unique_id"),
        field("note", ["null", "string"]),
        field("place", ["null", record("Place", field("city", "string"))]),
        field("tags", {"type": "map", "values": "long"}),
    )
    schema = record(
        "R",
        field("ids", ["null", {"type": "array", "items": ["null", item]}], data_category="user.account"),
        field("plans", {"type": "map", "values": ["null", "int"]}, data_category="user.payment"),
        field("homes", {"type": "map", "values": "Place"}),
    )
    leaf = leaves(json.dumps(schema))[path]
    assert (leaf.path, leaf.branches, leaf.category) == (path, (type_,), category)


def test_leaves_that_need_a_selector_are_told_by_example_and_not_iterated_over() -> None:
    found = leaves(catalogue.text("customer_profile"))
    assert [leaf.path for leaf in found.selectable()] == [
        "identifiers[scheme=…].scheme",
        "identifiers[scheme=…].value",
        "attributes[…]",
        "preferences[…]",
    ]
    assert "identifiers[scheme=pos].value" in found
    assert "identifiers[scheme=pos].value" not in list(found)
    assert len(found) == len(list(found))


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("ids", "`ids` is an array of records; pick an item by one of its fields, such as `ids[key=…].key`"),
        ("ids.key", "`ids` is an array of records; pick an item by one of its fields, such as `ids[key=…].key`"),
        ("ids[a]", "`ids` is an array of records; pick an item by one of its fields, such as `ids[key=…].key`"),
        ("ids[kye=a].key", "items of `ids` have no field `kye` to be picked by; did you mean `key`?"),
        ("ids[key=a]", "`ids[key=a]` has fields of its own; list the ones to share, such as `ids[key=a].key`"),
        ("ids[key=a].kye", "the source schema has no field `ids[key=a].kye` that can be shared; did you mean"),
        ("ids[rank=first].key", "`rank` of an item of `ids` can never be `first`"),
        ("ids[tier=HIHG].key", "`tier` of an item of `ids` can never be `HIHG`; did you mean `HIGH`?"),
        ("texts[a=b]", "`texts` is an array of plain values; list it as a whole"),
        ("texts[a]", "`texts` is no map, so no entry of it can be picked"),
        ("map[a=b]", "`map` is a map; pick an entry by its key, such as `map[…]`"),
        ("map.a", "`map` is a map; pick an entry by its key, such as `map[…]`"),
        ("map[a].b", "the source schema has no field `map[a].b` that can be shared"),
        ("plain[a=b]", "`plain` is no array, so no item of it can be picked"),
        ("plain[a]", "`plain` is no map, so no entry of it can be picked"),
        ("either.x", "the source schema has no field `either.x` that can be shared"),
        ("either", "`either` holds nothing that can be shared by itself"),
        ("loop[key=a].key", "`loop` holds nothing that can be shared by itself"),
        ("a..b", "`a..b` is no path; write"),
    ],
)
def test_why_a_path_leads_nowhere(path: str, reason: str) -> None:
    item = record("Item", field("key", "string"), field("rank", "int"), field("tier", ENUM))
    schema = record(
        "R",
        field("ids", {"type": "array", "items": item}),
        field("texts", {"type": "array", "items": "string"}),
        field("map", {"type": "map", "values": "string"}),
        field("plain", "string"),
        field("either", ["Item", "string"]),
        field("loop", {"type": "array", "items": "R"}),
    )
    with pytest.raises(NoSuchLeaf) as raised:
        leaves(json.dumps(schema)).leaf(path)
    assert str(raised.value).startswith(reason)


@pytest.mark.parametrize(
    ("type_", "possible", "impossible"),
    [
        ("string", ["a", ""], [1, True, date(2026, 1, 1)]),
        (ENUM, ["LOW"], ["low", 1]),
        ("boolean", [True], [1, "true"]),
        (["null", "long"], [5], [True, 0.5, "5", date(2026, 1, 1)]),
        ("double", [5, 0.5], [True, "5"]),
        ({"type": "int", "logicalType": "date"}, [date(2026, 1, 1)], [5, "2026-01-01"]),
        (["string", "int"], ["a", 5], [True]),
        ({"type": "array", "items": "string"}, [], ["a"]),
    ],
)
def test_what_a_leaf_can_be(type_: Any, possible: list[Any], impossible: list[Any]) -> None:  # noqa: ANN401
    leaf = leaves(json.dumps(record("R", field("x", type_))))["x"]
    assert [value for value in possible if not leaf.can_be(value)] == []
    assert [value for value in impossible if leaf.can_be(value)] == []


def test_a_record_within_itself_has_no_end_and_no_path() -> None:
    assert paths(field("x", "string"), field("next", ["null", "R"])) == ["x"]
    tree = record("Tree", field("y", "int"), field("up", ["null", "R"]), field("down", {"type": "array", "items": "R"}))
    assert paths(field("x", "string"), field("tree", tree)) == ["x", "tree.y"]


def test_a_field_without_a_category_is_any_personal_data() -> None:
    found = leaves(json.dumps(record("R", field("x", "string"), field("y", "string", data_category="user.name"))))
    assert (found["x"].category, found["y"].category) == (UNCATEGORISED, "user.name") == ("user", "user.name")


@pytest.mark.parametrize("type_", ["string", {"type": "string"}, ["null", "string"], [{"type": "string"}, "null"]])
def test_text_is_text_however_it_is_written(type_: Any) -> None:  # noqa: ANN401
    assert leaves(json.dumps(record("R", field("x", type_))))["x"].is_text


@pytest.mark.parametrize(
    "type_",
    [
        pytest.param({"type": "string", "avro.java.string": "String"}, id="as Java's generator writes it"),
        pytest.param({"type": "string", "logicalType": "uuid"}, id="a UUID"),
    ],
)
def test_text_with_a_property_is_text(type_: dict[str, str]) -> None:
    assert leaves(json.dumps(record("R", field("x", ["null", type_]))))["x"].is_text


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([field("a", ENUM), field("b", "Tier")], id="beside"),
        pytest.param([field("a", record("I", field("k", ENUM))), field("b", "Tier")], id="inside a record"),
        pytest.param(
            [field("a", {"type": "array", "items": record("I", field("k", ENUM))}), field("b", "Tier")],
            id="inside a record in an array",
        ),
        pytest.param(
            [field("a", {"type": "map", "values": record("I", field("k", ENUM))}), field("b", "Tier")],
            id="inside a record in a map",
        ),
        pytest.param(
            [field("a", ["string", record("I", field("k", ENUM))]), field("b", "Tier")],
            id="inside a record that is one of several",
        ),
    ],
)
def test_a_type_may_be_named_wherever_it_was_defined(fields: list[dict[str, Any]]) -> None:
    (tier,) = leaves(json.dumps(record("R", *fields)))["b"].branches
    assert tier["symbols"] == ["LOW", "HIGH"]


def test_names_follow_avros_namespaces() -> None:
    assert paths(field("a", ENUM), field("b", "com.acme.Tier"), name="com.acme.R") == ["a", "b"], "in the name"
    assert paths(field("a", ENUM), field("b", "acme.Tier"), namespace="acme") == ["a", "b"], "beside it"
    place = record("Place", field("y", "Tier"))
    elsewhere = record("Elsewhere", field("x", ENUM), field("place", place), namespace="geo")
    assert paths(field("a", elsewhere), field("b", "geo.Place"), namespace="crm") == [
        "a.x",
        "a.place.y",
        "b.y",
    ], "of where the record was defined, not of where it is named"


def test_two_types_of_one_name_in_two_namespaces_are_two() -> None:
    found = leaves(
        json.dumps(record("R", field("a", {**ENUM, "namespace": "x"}), field("b", {**TIER, "namespace": "y"})))
    )
    assert [found[path].branches[0]["name"] for path in ("a", "b")] == ["x.Tier", "y.Tier"]


@pytest.mark.parametrize("schema", ['"string"', '{"type": "enum", "name": "E", "symbols": []}', "[]", "5", "null"])
def test_what_is_no_record_is_refused_in_a_sentence(schema: str) -> None:
    with pytest.raises(SluiceError, match="is not an Avro record"):
        leaves(schema)


def test_what_is_no_avro_is_refused_in_a_sentence() -> None:
    """A registry also holds Protobuf and JSON Schema."""
    with pytest.raises(SluiceError):
        leaves('syntax = "proto3"; message Customer { string id = 1; }')
