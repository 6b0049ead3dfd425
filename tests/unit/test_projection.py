"""From a profile to one partner's bytes: what the contract lists and consent permits, and never anything else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import catalogue
from sluice import keys
from sluice.avro import Reader, Undecodable, Writer
from sluice.contract import CheckedContract, Contract, partner_schema
from sluice.keys import MasterKey, NoKey, PartnerKeys
from sluice.model import Cause, CustomerId, Millis, PartnerId
from sluice.projection import RECORD_OVERHEAD_BYTES, Projector, Snapshot, SourceReader, Unread
from sluice.redaction import Customer
from sluice.registry import RegistryUnavailable
from sluice.source_schema import leaves

if TYPE_CHECKING:
    from sluice.avro import Record

SOURCE = leaves(catalogue.text("customer_profile"))
MASTER = MasterKey(bytes(range(32)))
KEYS = PartnerKeys.of(MASTER, PartnerId("hoshi-card"), 1)
KEY = keys.pseudonym(KEYS.record, "dell-crm:1")
NOW = Millis(1_780_000_000_000)  # 2026-05-28
CUSTOMER = Customer(CustomerId("dell-crm:1"), KEY, NoKey.NOT_ISSUED)
RECORD: Record = {
    "customer_id": "dell-crm:1",
    "given_name": "Hanako",
    "family_name": "Sato",
    "email": "hanako@example.com",
    "birth_date": -671,
    "address": {"postal_code": "100-0001", "country": "JP", "street": None},
    "loyalty": None,
    "segments": ["a"],
}


def checked(fields: Mapping[str, Any], where: Mapping[str, Any] | None = None) -> CheckedContract:
    contract = Contract.model_validate(
        {
            "partner": "hoshi-card",
            "name": "Hoshi",
            "recipient": "corporate_partner",
            "purpose": "marketing.communications.email",
            "country": "JP",
            "valid": {"from": date(2026, 1, 1)},
            "fields": dict(fields),
            "where": dict(where or {}),
        }
    )
    return CheckedContract(contract, {path: SOURCE[path] for path in contract.shared_fields})


def projector(
    fields: Mapping[str, Any], where: Mapping[str, Any] | None = None, max_bytes: int = 1_000_000
) -> Projector:
    return Projector(checked(fields, where), KEYS, 7, max_bytes)


def projected(fields: Mapping[str, Any], record: Record, permitted: set[str] | None = None) -> Record | Cause | None:
    found = projector(fields).project(Snapshot(record), set(fields) if permitted is None else permitted, CUSTOMER)
    if not isinstance(found, bytes):
        return found
    assert found[:5] == b"\x00\x00\x00\x00\x07"
    return Reader(partner_schema(checked(fields))).read(found[5:])


# --- the snapshot


def test_a_snapshot_tells_null_from_unknown() -> None:
    snapshot = Snapshot(RECORD)
    assert snapshot.value("address.postal_code") == "100-0001"
    assert snapshot.value("address.street") is None
    assert snapshot.value("loyalty.tier") is None
    assert snapshot.value("nickname") is None
    assert snapshot.value("given_name.first") is None
    known = ("address.postal_code", "address.street", "loyalty.tier", "segments")
    assert all(snapshot.knows(path) for path in known)
    assert not any(snapshot.knows(path) for path in ("nickname", "address.planet", "given_name.first", "segments.0"))


def test_a_reader_says_when_it_may_be_asked_again() -> None:
    def away(_: int) -> Reader:
        raise RegistryUnavailable("The registry does not answer.")

    def unknown(_: int) -> Reader:
        raise Undecodable(Cause.SCHEMA_UNKNOWN)

    framed = Writer(catalogue.text("customer_profile"), 1).write({"customer_id": "c", "updated_at": 0})
    assert SourceReader(away, ()).read(framed) == Unread()
    with pytest.raises(Undecodable):
        SourceReader(unknown, ()).read(framed)
    with pytest.raises(Undecodable):
        SourceReader(lambda _: Reader(catalogue.text("customer_profile")), ()).read(framed[:-1])


# --- the record


def test_the_customers_id_is_the_records_key_in_the_field_of_its_name_and_nowhere_else() -> None:
    fields = {"customer_id": "pseudonym", "email": "pseudonym"}
    same = projected(fields, RECORD | {"email": "dell-crm:1"}, set(fields))
    assert isinstance(same, dict)
    assert same == {"customer_id": KEY, "email": keys.pseudonym(KEYS.field("email").of("pseudonym"), "dell-crm:1")}
    assert same["email"] != KEY
    other = projected(fields, RECORD | {"customer_id": "dell-crm:2"}, set(fields))
    assert isinstance(other, dict)
    assert other["customer_id"] == keys.pseudonym(KEYS.record, "dell-crm:2")


def test_a_record_holds_what_is_listed_and_permitted_each_as_its_transform_gives_it() -> None:
    fields = {
        "customer_id": "pseudonym",
        "given_name": {"truncate": 1},
        "family_name": "keep",
        "birth_date": "birth_year",
        "address.postal_code": {"postcode_prefix": 3},
        "email": "keep",
        "note": "null",
    }
    assert projected(fields, RECORD | {"note": "secret"}, set(fields) - {"email"}) == {
        "customer_id": keys.pseudonym(KEYS.record, "dell-crm:1"),
        "given_name": "H",
        "family_name": "Sato",
        "birth_date": 1968,
        "address_postal_code": "100",
        "email": None,
        "note": None,
    }


def test_a_pseudonym_of_one_field_says_nothing_about_another() -> None:
    fields = {"customer_id": "pseudonym", "email": "pseudonym"}
    found = projected(fields, RECORD | {"email": "dell-crm:1"})
    assert isinstance(found, dict)
    assert found["customer_id"] != found["email"]


def test_what_is_permitted_and_not_listed_is_not_there() -> None:
    assert projected({"given_name": "keep"}, RECORD, {"given_name", "email", "family_name"}) == {"given_name": "Hanako"}


def test_nothing_permitted_is_a_record_of_nulls() -> None:
    assert projected({"given_name": "keep"}, RECORD, set()) == {"given_name": None}


def test_equal_inputs_give_equal_bytes() -> None:
    one, other = (
        projector({"email": "pseudonym", "segments": "keep"}),
        projector({"email": "pseudonym", "segments": "keep"}),
    )
    snapshot = Snapshot(RECORD)
    assert one.project(snapshot, {"email", "segments"}, CUSTOMER) == other.project(
        snapshot, ["segments", "email"], CUSTOMER
    )


@pytest.mark.parametrize(
    ("record", "permitted", "expected"),
    [
        pytest.param(RECORD, {"email", "given_name"}, dict, id="there"),
        pytest.param(RECORD | {"email": None}, {"email", "given_name"}, None, id="null"),
        pytest.param(RECORD, {"given_name"}, None, id="not permitted"),
        pytest.param(
            {key: value for key, value in RECORD.items() if key != "email"},
            {"email", "given_name"},
            Cause.REQUIRED_FIELD_NOT_IN_SCHEMA,
            id="not in the writer's schema",
        ),
    ],
)
def test_a_required_field_is_there_or_there_is_no_record(
    record: Record, permitted: set[str], expected: type | Cause | None
) -> None:
    found = projected({"email": {"keep": {"required": True}}, "given_name": "keep"}, record, permitted)
    assert isinstance(found, expected) if isinstance(expected, type) else found is expected


def test_a_required_field_that_its_transform_cannot_take_is_missing() -> None:
    fields = {"address.postal_code": {"postcode_prefix": {"characters": 3, "required": True}}}
    assert projected(fields, RECORD) == {"address_postal_code": "100"}
    assert projected(fields, RECORD | {"address": {"postal_code": "10"}}) is None
    assert projected(fields, RECORD | {"address": None}) is None


def test_an_optional_field_that_its_transform_cannot_take_is_null() -> None:
    fields = {"address.postal_code": {"postcode_prefix": 3}, "given_name": "keep"}
    assert projected(fields, RECORD | {"address": {"postal_code": "10"}}) == {
        "address_postal_code": None,
        "given_name": "Hanako",
    }


def test_a_field_that_the_writers_schema_lost_is_null() -> None:
    assert projected({"given_name": "keep", "email": "keep"}, {"given_name": "Hanako"}) == {
        "given_name": "Hanako",
        "email": None,
    }


@pytest.mark.parametrize("value", [5, ["a"], {"a": "b"}, b"a", True])
def test_a_field_whose_type_has_changed_is_unencodable(value: object) -> None:
    assert projected({"email": "keep"}, {"email": value}) is Cause.UNENCODABLE


def test_a_record_fits_the_topic_or_is_none() -> None:
    record = projector({"email": "keep"}).project(Snapshot(RECORD), {"email"}, CUSTOMER)
    assert isinstance(record, bytes)
    limit = len(record) + len(KEY) + RECORD_OVERHEAD_BYTES
    assert isinstance(projector({"email": "keep"}, None, limit).project(Snapshot(RECORD), {"email"}, CUSTOMER), bytes)
    found = projector({"email": "keep"}, None, limit - 1).project(Snapshot(RECORD), {"email"}, CUSTOMER)
    assert found is Cause.RECORD_TOO_LARGE


# --- the row filter


@pytest.mark.parametrize(
    ("where", "record", "admitted"),
    [
        ({}, {}, True),
        ({"address.country": "JP"}, RECORD, True),
        ({"address.country": ["AU", "JP"]}, RECORD, True),
        ({"address.country": ["AU"]}, RECORD, False),
        ({"address.country": "JP"}, RECORD | {"address": None}, False),
        ({"address.country": "JP"}, {}, False),
        ({"address.country": "JP", "given_name": "Hanako"}, RECORD, True),
        ({"address.country": "JP", "given_name": "Taro"}, RECORD, False),
        ({"loyalty.points": 5}, {"loyalty": {"points": 5}}, True),
        ({"loyalty.points": 5}, {"loyalty": {"points": 6}}, False),
        ({"segments": "a"}, RECORD, False),
        ({"identifiers[scheme=erp].value": "17"}, RECORD | {"identifiers": [{"scheme": "erp", "value": "17"}]}, True),
        ({"identifiers[scheme=erp].value": {"present": False}}, RECORD | {"identifiers": []}, True),
        ({"identifiers[scheme=erp].value": {"present": False}}, RECORD, False),
        ({"birth_date": {"age": {"at_least": 18}}}, RECORD, True),
        ({"birth_date": {"age": {"below": 18}}}, RECORD, False),
        ({"birth_date": {"below": date(1970, 1, 1)}}, RECORD, True),
    ],
)
def test_the_row_filter(where: dict[str, Any], record: Record, admitted: bool) -> None:  # noqa: FBT001
    assert projector({"email": "keep"}, where).admits(Snapshot(record), NOW) is admitted


def test_a_customer_outgrows_a_row_filter_at_midnight() -> None:
    one = projector({"email": "keep"}, {"birth_date": {"age": {"below": 18}}})
    child = Snapshot(RECORD | {"birth_date": (date(2008, 7, 1) - date(1970, 1, 1)).days})
    change = one.next_change(child, NOW)
    assert change == Millis((date(2026, 7, 1) - date(1970, 1, 1)).days * 86_400_000)
    assert one.admits(child, Millis(change - 1))
    assert not one.admits(child, change)
    assert projector({"email": "keep"}, {"email": "a"}).next_change(child, NOW) is None


def test_items_and_entries_stand_in_a_record_under_flat_names() -> None:
    fields = {"identifiers[scheme=erp].value": "keep", "attributes[plan]": {"keep": {"required": True}}}
    items = [{"scheme": "pos", "value": "1"}, {"scheme": "erp", "value": "2"}, {"scheme": "erp", "value": "3"}]
    record = RECORD | {"identifiers": items, "attributes": {"plan": "gold"}}
    assert projected(fields, record) == {"identifiers_erp_value": "2", "attributes_plan": "gold"}
    assert projected(fields, record | {"identifiers": []}) == {"identifiers_erp_value": None, "attributes_plan": "gold"}
    assert projected(fields, record | {"attributes": {}}) is None
    assert projected(fields, RECORD) is Cause.REQUIRED_FIELD_NOT_IN_SCHEMA


# --- whatever the profile

TEXTS = [path for path, leaf in SOURCE.items() if leaf.is_text and path != "customer_id"]
CONTAINERS = ["segments", "attributes"]


def canary(path: str) -> str:
    return f"<canary of {path}>"


def profile_of_canaries(values: Mapping[str, str | None]) -> Record:
    """A whole profile in which every text tells where it came from."""
    record: Record = {"customer_id": canary("customer_id"), "updated_at": 0}
    for path in TEXTS:
        *way, name = path.split(".")
        place = record
        for step in way:
            place = place.setdefault(step, {})
        place[name] = values.get(path, canary(path))
    record["segments"] = [canary("segments")]
    record["attributes"] = {canary("attributes"): canary("attributes")}
    record["identifiers"] = [{"scheme": "s", "value": canary("identifiers")}]
    return record


@given(
    st.sets(st.sampled_from([*TEXTS, *CONTAINERS]), min_size=1),
    st.sets(st.sampled_from([*TEXTS, *CONTAINERS])),
    st.dictionaries(st.sampled_from(TEXTS), st.none() | st.text(max_size=4)),
)
def test_no_field_that_is_not_listed_or_not_permitted_ever_leaves(
    listed: set[str], permitted: set[str], values: dict[str, str | None]
) -> None:
    text = catalogue.text("customer_profile")
    framed = Writer(text, 1).write(profile_of_canaries(values))
    snapshot = SourceReader(lambda _: Reader(text), listed).read(framed)
    assert isinstance(snapshot, Snapshot)
    contract = checked(dict.fromkeys(sorted(listed), "keep"))
    record = Projector(contract, KEYS, 7, 1_000_000).project(snapshot, permitted, CUSTOMER)
    assert isinstance(record, bytes)
    for path in [*TEXTS, *CONTAINERS, "customer_id", "identifiers"]:
        may_leave = path in listed & permitted and values.get(path, "") is not None
        expected = may_leave and path not in values
        assert (canary(path).encode() in record) is expected, path


@given(st.dictionaries(st.sampled_from(TEXTS), st.none() | st.text(max_size=9)), st.sets(st.sampled_from(TEXTS)))
def test_a_transform_lets_nothing_through_that_it_should_hide(
    values: dict[str, str | None], permitted: set[str]
) -> None:
    snapshot = Snapshot(profile_of_canaries(values))
    for rule in ("pseudonym", "null", {"mask": {"first": 1, "last": 1}}, {"truncate": 3}):
        record = Projector(checked(dict.fromkeys(TEXTS, rule)), KEYS, 7, 1_000_000).project(
            snapshot, permitted, CUSTOMER
        )
        assert isinstance(record, bytes)
        assert b"canary" not in record


def test_the_partners_schema_is_the_one_its_records_are_written_with() -> None:
    every = checked(dict.fromkeys(SOURCE, "keep"))
    full = Reader(catalogue.text("customer_profile")).read(
        Writer(catalogue.text("customer_profile"), 1).write(profile_of_canaries({}))[5:]
    )
    record = Projector(every, KEYS, 7, 1_000_000).project(Snapshot(full), set(SOURCE), CUSTOMER)
    assert isinstance(record, bytes)
    names = [field["name"] for field in json.loads(partner_schema(every))["fields"]]
    assert list(Reader(partner_schema(every)).read(record[5:])) == names
