"""Bytes that are copied are the bytes that a library would write of the values: fastavro, and Apache Avro's own."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date
from io import BytesIO
from random import Random
from typing import Any

import avro.io
import avro.schema
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sluice.avro import Reader, Undecodable, Unencodable, Writer, frame
from sluice.contract import CheckedContract, Contract, partner_field, partner_schema
from sluice.keys import MasterKey, NoKey, PartnerKeys
from sluice.model import Cause, CustomerId, PartnerId
from sluice.projection import Projector, Scanned, SourceReader
from sluice.redaction import Customer
from sluice.source_schema import SourceSchema, leaves
from tests.unit.avro_records import Avro, Encoder, named_types, schemas, value_of

KEYS = PartnerKeys.of(MasterKey(bytes(range(32))), PartnerId("hoshi-card"), 1)
CUSTOMER = Customer(CustomerId("c"), "k" * 22, NoKey.NOT_ISSUED)
often = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def contract(source: SourceSchema) -> CheckedContract:
    """Everything that can be kept is."""
    written = {
        "partner": "hoshi-card",
        "name": "Hoshi",
        "recipient": "corporate_partner",
        "purpose": "marketing.communications.email",
        "country": "JP",
        "valid": {"from": date(2026, 1, 1)},
        "fields": dict.fromkeys(source, "keep"),
    }
    model = Contract.model_validate(written)
    return CheckedContract(model, {path: source[path] for path in model.shared_fields})


class Case:
    """A schema, a contract about all of it, and one record, encoded in some legal way."""

    def __init__(self, avro: Avro, seed: int, strangeness: float) -> None:
        self.text = json.dumps(avro)
        self.source = leaves(self.text)
        random, names = Random(seed), named_types(avro)
        value = value_of(random, avro, names)
        self.payload = Encoder(random, names, strangeness).encode(avro, value)
        self.reader = Reader(self.text)
        self.checked = contract(self.source)

    def projected(self, payload: bytes) -> bytes | Cause | None:
        projector = Projector(self.checked, KEYS, 7, 1_000_000)
        snapshot = SourceReader(lambda _: self.reader, projector.paths).read(frame(1, payload))
        assert isinstance(snapshot, Scanned)
        return projector.project(snapshot, tuple(self.source), CUSTOMER)

    def by_the_library(self, payload: bytes) -> bytes | Cause:
        """Decoded as a whole, and what the contract lists encoded again."""
        record = self.reader.decode(payload)
        found = {partner_field(path): _find(record, path) for path in self.source}
        try:
            return Writer(partner_schema(self.checked), 7).write(found)
        except Unencodable:
            return Cause.UNENCODABLE


def _find(record: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401
    value: Any = record
    for name in path.split("."):
        value = None if value is None else value[name]
    return value


CASES = st.builds(
    Case,
    schemas().filter(lambda avro: len(list(leaves(json.dumps(avro)))) > 0),
    st.integers(0, 1 << 32),
    st.sampled_from([0.0, 0.0, 0.3]),
)


@often
@given(CASES)
def test_a_partners_record_is_what_the_library_would_write(case: Case) -> None:
    assert case.projected(case.payload) == case.by_the_library(case.payload)


@often
@given(CASES)
def test_apaches_library_reads_the_same_values(case: Case) -> None:
    found = case.projected(case.payload)
    assume(isinstance(found, bytes))
    assert isinstance(found, bytes)
    whole = _by_apache(case.text, case.payload)
    mine = _by_apache(partner_schema(case.checked), found[5:])
    for path in case.source:
        assert _same(mine[partner_field(path)], _find(whole, path))


def _by_apache(schema: str, payload: bytes) -> Any:  # noqa: ANN401
    plain = avro.schema.parse(json.dumps(_without_logical_types(json.loads(schema))))
    return avro.io.DatumReader(plain).read(avro.io.BinaryDecoder(BytesIO(payload)))


def _without_logical_types(written: Any) -> Any:  # noqa: ANN401
    if isinstance(written, list):
        return [_without_logical_types(one) for one in written]
    if isinstance(written, dict):
        return {key: _without_logical_types(one) for key, one in written.items() if key != "logicalType"}
    return written


def _same(one: Any, other: Any) -> bool:  # noqa: ANN401
    return bool(one == other) or (isinstance(one, float) and math.isclose(one, other, rel_tol=1e-6))


@often
@given(CASES, st.data())
def test_damage_is_refused_or_leads_to_what_the_library_makes_of_it(case: Case, data: st.DataObject) -> None:
    payload = bytearray(case.payload)
    assume(payload)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(payload) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "add"])):
            case "flip":
                payload[at] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del payload[at:]
                assume(payload)
            case _:
                payload[at:at] = data.draw(st.binary(min_size=1, max_size=2))
    try:
        found = case.projected(bytes(payload))
    except Undecodable:
        return
    assert found == case.by_the_library(bytes(payload))


@pytest.mark.parametrize(
    ("writer", "kept"), [("int", "long"), ("long", "int"), ("string", "bytes"), ("float", "double")]
)
def test_a_writer_of_another_type_than_the_contract_was_checked_against(writer: str, kept: str) -> None:
    """As the library writes its value for the contract's type, or not at all."""
    for value in (1 << 40, 5, 1.5, "a"):
        checked = contract(leaves(_flat(["null", kept])))
        text = _flat(["null", writer])
        try:
            framed = Writer(text, 1).write({"x": value})
        except Unencodable:
            continue
        projector = Projector(checked, KEYS, 7, 1_000_000)
        snapshot = SourceReader(lambda _: Reader(text), projector.paths).read(framed)  # noqa: B023 - called at once
        assert isinstance(snapshot, Scanned)
        try:
            expected: bytes | Cause = Writer(partner_schema(checked), 7).write({"x": snapshot.value("x")})
        except Unencodable:
            expected = Cause.UNENCODABLE
        assert projector.project(snapshot, ("x",), CUSTOMER) == expected


def _flat(avro: Avro) -> str:
    return json.dumps({"type": "record", "name": "R", "fields": [{"name": "x", "type": avro}]})
