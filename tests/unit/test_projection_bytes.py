"""A partner's record has the source's values, each in the branch that it was in, encoded as libraries encode them.

Held against an encoder of the tests' own, which is told the branches: of a union of several numbers, a library that is
given a value takes the first that can hold it. fastavro and Apache Avro's library read both records.
"""

from __future__ import annotations

import json
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

from sluice.avro import FRAME_BYTES, Reader, Undecodable, Unencodable, Writer, frame
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
        self.avro, self.names = avro, named_types(avro)
        random = Random(seed)
        self.value = value_of(random, avro, self.names)
        self.payload = Encoder(random, self.names, strangeness).encode(avro, self.value)
        self.reader = Reader(self.text)
        self.checked = contract(self.source)

    def projected(self, payload: bytes) -> bytes | Cause | None:
        projector = Projector(self.checked, KEYS, 7, 1_000_000)
        snapshot = SourceReader(lambda _: self.reader, projector.paths).read(frame(1, payload))
        assert isinstance(snapshot, Scanned)
        return projector.project(snapshot, tuple(self.source), CUSTOMER)

    def by_the_book(self) -> bytes:
        """What every field's type and value come to in a union of null and its types."""
        usual = Encoder(Random(0), self.names, 0)
        return frame(7, b"".join(self._kept(usual, path) for path in self.source))

    def _kept(self, usual: Encoder, path: str) -> bytes:
        avro, value = self.avro, self.value
        for name in path.split("."):
            avro, value = self._only(avro, value)
            if value is None:
                return b"\x00"
            avro = next(one["type"] for one in avro["fields"] if one["name"] == name)
            value = value[name]
        if not isinstance(avro, list):
            return b"\x00" if avro == "null" else b"\x02" + usual.encode(avro, value)
        branch = avro[value.index]
        if branch == "null":
            return b"\x00"
        kept = [one for one in avro if one != "null"]
        return bytes(((kept.index(branch) + 1) * 2,)) + usual.encode(branch, value.value)

    def _only(self, avro: Avro, value: Any) -> tuple[Avro, Any]:  # noqa: ANN401
        """A record, or the only one of a union, and its value."""
        if isinstance(avro, list):
            avro, value = avro[value.index], value.value
        return self.names.get(avro, avro) if isinstance(avro, str) else avro, value


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
def test_a_partners_record_has_the_bytes_that_the_specification_gives_its_values(case: Case) -> None:
    assert case.projected(case.payload) == case.by_the_book()


@often
@given(CASES)
def test_apaches_library_reads_the_same_values(case: Case) -> None:
    found = case.projected(case.payload)
    assume(isinstance(found, bytes))
    assert isinstance(found, bytes)
    whole = _by_apache(case.text, case.payload)
    mine = _by_apache(partner_schema(case.checked), found[FRAME_BYTES:])
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
    """Equal, and of the same kind: `repr` tells 1 from 1.0 and from True, and takes one nan for another."""
    return repr(one) == repr(other)


@often
@given(CASES, st.data())
def test_damage_is_refused_or_leads_to_what_libraries_read(case: Case, data: st.DataObject) -> None:
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
    assert isinstance(found, bytes)
    whole, mine = case.reader.decode(bytes(payload)), Reader(partner_schema(case.checked)).read(found[FRAME_BYTES:])
    for path in case.source:
        assert _same(mine[partner_field(path)], _find(whole, path))


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
