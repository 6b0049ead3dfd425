"""One row in, one outcome: id, prefix, deletion, what is filled in, bytes."""

from __future__ import annotations

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.encoding import (
    CONSENTS,
    CUSTOMERS,
    Encoded,
    Encoder,
    encoded_json,
    nothing_filled,
    record_filling,
    uuid7,
)
from schemas import catalogue
from sluice.avro import Reader, unframe
from sluice.consent import parse_event
from sluice.files.rows import Read, Refused
from sluice.files.scalars import Json
from sluice.model import CustomerId, Millis

PROFILE = catalogue.text("customer_profile")
CONSENT = catalogue.text("consent_event")
ROW = {"customer_id": "a", "updated_at": 5}
ANSWER = {
    "subject_id": "crm:1",
    "purpose": "marketing.communications.email",
    "state": "GIVEN",
    "expression": "opt_in",
    "actor": "subject",
    "event_time": "2026-01-01T00:00:00Z",
}


def customers(source: str | None = None) -> Encoder:
    return Encoder(CUSTOMERS, 258, PROFILE, nothing_filled, source)


def consents() -> Encoder:
    return Encoder(CONSENTS, 9, CONSENT, record_filling(lambda: 77, lambda bits: (1 << bits) - 1))


def sentence(encoder: Encoder, row: dict[str, Json]) -> str:
    refused = encoder.encode(12, row)
    assert isinstance(refused, Refused)
    assert refused.line == 12
    return refused.sentence


def record_of(row: Encoded | Refused, schema: str) -> dict[str, Json]:
    assert isinstance(row, Encoded)
    return Reader(schema).read(unframe(row.value)[1])


def test_a_row_is_framed_with_the_registered_schema_and_keyed_by_its_id() -> None:
    row = customers().encode(3, {**ROW, "customer_id": "顧客:1"})
    assert isinstance(row, Encoded)
    assert row.line == 3
    assert row.key == "顧客:1".encode()
    assert row.value is not None
    assert row.value[:5] == b"\x00\x00\x00\x01\x02"
    assert record_of(row, PROFILE)["customer_id"] == "顧客:1"


@pytest.mark.parametrize("identifier", ["000123", "dell-crm:000123"])
def test_the_source_is_put_before_an_id_that_does_not_have_it(identifier: str) -> None:
    row = customers("dell-crm").encode(1, {**ROW, "customer_id": identifier})
    assert isinstance(row, Encoded)
    assert row.key == b"dell-crm:000123"
    assert record_of(row, PROFILE)["customer_id"] == "dell-crm:000123"


def test_another_sources_id_is_refused() -> None:
    said = sentence(customers("dell-crm"), {**ROW, "customer_id": "other:1"})
    assert said == "`customer_id` already has the prefix of another source."


@pytest.mark.parametrize("identifier", [None, "", "  ", 7, "\ud800", ["x"]])
def test_a_row_without_a_usable_id_is_refused(identifier: Json) -> None:
    assert sentence(customers(), {**ROW, "customer_id": identifier}).startswith("`customer_id` ")


def test_a_row_without_any_id_is_refused() -> None:
    assert sentence(customers(), {"updated_at": 5}) == "`customer_id` is missing, or is no text."


def test_a_deletion_is_a_null_under_the_customers_key() -> None:
    assert customers("s").encode(4, {"customer_id": "x", "$deleted": True}) == Encoded(4, b"s:x", None)
    assert isinstance(customers().encode(4, {**ROW, "$deleted": False}), Encoded)
    assert sentence(customers(), {**ROW, "$deleted": "true"}) == "`$deleted` has to be true or false."


def test_a_consent_event_is_never_deleted() -> None:
    assert "never deleted" in sentence(consents(), {"subject_id": "x", "$deleted": True})


def test_a_consent_event_gets_an_id_and_a_time_when_it_has_none() -> None:
    record = record_of(consents().encode(1, ANSWER), CONSENT)
    assert uuid.UUID(record["record_id"]).version == 7
    assert record["recorded_at"] == 77
    assert parse_event(record, CustomerId("crm:1"), Millis(10**15)).state == "GIVEN"


def test_a_consent_event_keeps_what_it_has() -> None:
    record = record_of(consents().encode(1, {**ANSWER, "record_id": "own", "recorded_at": 3}), CONSENT)
    assert (record["record_id"], record["recorded_at"]) == ("own", 3)


def test_an_unknown_state_is_refused_and_not_repeated() -> None:
    said = sentence(consents(), {**ANSWER, "state": "PERHAPS"})
    assert said.startswith("`state` has to be one of GIVEN")
    assert "PERHAPS" not in said


def test_the_schema_may_know_no_customer_id() -> None:
    schema = json.dumps({"type": "record", "name": "R", "fields": [{"name": "email", "type": "string"}]})
    row = Encoder(CUSTOMERS, 1, schema, nothing_filled).encode(1, {"customer_id": "x", "email": "e"})
    assert isinstance(row, Encoded)
    assert row.key == b"x"
    assert record_of(row, schema) == {"email": "e"}


def test_nesting_without_end_is_refused() -> None:
    node = {
        "type": "record",
        "name": "Node",
        "fields": [
            {"name": "customer_id", "type": "string", "default": ""},
            {"name": "next", "type": ["null", "Node"]},
        ],
    }
    deep: dict[str, Json] = {"customer_id": "x"}
    for _ in range(5_000):
        deep = {"customer_id": "x", "next": deep}
    assert sentence(Encoder(CUSTOMERS, 1, json.dumps(node), nothing_filled), deep) == (
        "The row does not fit the registered schema."
    )


def test_refused_and_encoded_rows_keep_the_order_of_the_file() -> None:
    rows: list[Read | Refused] = [Read(1, ROW), Refused(2, "Bad."), Read(3, {"customer_id": "b"}), Read(4, ROW)]
    outcomes = list(encoded_json(rows, customers()))
    assert [(type(row), row.line) for row in outcomes] == [(Encoded, 1), (Refused, 2), (Refused, 3), (Encoded, 4)]


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1))
def test_uuid7_has_time_version_and_variant_where_rfc_9562_puts_them(millis: int, randomness: int) -> None:
    made = uuid.UUID(uuid7(millis, randomness))
    assert made.int >> 80 == millis
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert (made.int >> 64 & 0xFFF) << 62 | made.int & (1 << 62) - 1 == randomness


def test_uuid7_of_the_rfcs_example() -> None:
    # RFC 9562, A.6: 2022-02-22 14:22:22 GMT-05:00, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F
    randomness = 0xCC3 << 62 | 0x18C4DC0C0C07398F
    assert uuid7(0x017F22E279B0, randomness) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
