"""What has to hold for any bytes at all: refused, or read and passed on as a library reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from io import BytesIO
from random import Random
from typing import Any

import fastavro

from schemas import catalogue
from sluice import projection
from sluice.avro import FRAME_BYTES, Reader, Undecodable, frame
from sluice.contract import partner_field, partner_schema
from sluice.source_schema import leaves
from tests.bench import w1
from tests.unit.avro_records import Encoder, named_types, value_of
from tests.unit.test_projection_bytes import CUSTOMER, KEYS, contract

_SEEDS = 40
_EVERYTHING = {
    "type": "record",
    "name": "Everything",
    "namespace": "t",
    "fields": [
        {"name": "numbers", "type": ["null", "float", "int", "double", "long", "boolean"]},
        {"name": "lists", "type": {"type": "array", "items": ["null", "string", "long"]}},
        {"name": "maps", "type": {"type": "map", "values": {"type": "array", "items": "int"}}},
        {"name": "choice", "type": ["bytes", {"type": "enum", "name": "E", "symbols": ["A", "B"]}, "string"]},
        {"name": "mark", "type": {"type": "fixed", "name": "Mark", "size": 3}},
        {
            "name": "inner",
            "type": ["null", {"type": "record", "name": "Inner", "fields": [{"name": "x", "type": "double"}]}],
        },
        {"name": "again", "type": ["null", "t.Everything"]},
    ],
}


class Case:
    """One schema, and a contract that keeps all that can be kept."""

    def __init__(self, avro: Any) -> None:  # noqa: ANN401 - Avro is JSON
        self.avro, self.text = avro, json.dumps(avro)
        self.source = leaves(self.text)
        self.reader = Reader(self.text)
        checked = contract(self.source)
        self.projector = projection.Projector(checked, KEYS, 7, 1_000_000)
        self.partner = Reader(partner_schema(checked))
        self.snapshots = projection.SourceReader(lambda _: self.reader, self.projector.paths)

    def check(self, payload: bytes) -> None:
        """Raises AssertionError for what is passed on otherwise than a library reads it."""
        try:
            snapshot = self.snapshots.read(frame(1, payload))
        except Undecodable:
            return
        assert isinstance(snapshot, projection.Snapshot)
        stream = BytesIO(payload)
        whole = fastavro.schemaless_reader(stream, self.reader.schema, None)
        assert stream.tell() == len(payload), "something is left"
        assert isinstance(whole, Mapping)
        found = self.projector.project(snapshot, tuple(self.source), CUSTOMER)
        assert isinstance(found, bytes)
        mine = self.partner.read(found[FRAME_BYTES:])
        for path in self.source:
            wanted: Any = whole
            for name in path.split("."):
                wanted = None if wanted is None else wanted[name]
            assert repr(mine[partner_field(path)]) == repr(wanted) == repr(snapshot.value(path)), path


CASES = [Case(avro) for avro in (_EVERYTHING, json.loads(w1.schema()), json.loads(catalogue.text("disclosure")))]


def check(data: bytes) -> None:
    """The first byte chooses a schema, the rest is the record. Raises AssertionError."""
    if data:
        CASES[data[0] % len(CASES)].check(data[1:])


def whole_records() -> Iterator[bytes]:
    """Some of every schema, as `check` takes them."""
    for number, case in enumerate(CASES):
        names = named_types(case.avro)
        for seed in range(_SEEDS):
            random = Random(seed)
            record = Encoder(random, names, 0.1 * (seed % 3)).encode(case.avro, value_of(random, case.avro, names))
            yield bytes((number,)) + record
