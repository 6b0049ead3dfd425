"""Avro through fastavro: framed bytes in and out.

Values are Avro's own, without logical types, so that what is kept is exact.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, TypeAlias, cast

import fastavro
from fastavro.schema import SchemaParseException, UnknownType, expand_schema
from fastavro.types import Schema

from sluice import wire
from sluice.model import Cause
from sluice.wire import Damaged, Planner, Unsuited, Walk

_FRAME = struct.Struct(">bI")
FRAME_BYTES = _FRAME.size

Record = dict[str, Any]
Decode = Callable[[bytes | None], Record]
"""A framed value's record. Raises Undecodable, RegistryUnavailable."""
Json: TypeAlias = Any


class Undecodable(Exception):
    """These bytes are no record of the schema they claim. Holds a cause and no value."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.value)
        self.cause = cause


class Unencodable(Exception):
    """A value does not fit its field's type. Holds no value."""


class NotAvro(Exception):
    """A text is no Avro schema."""


def expanded(schema: str) -> Json:
    """The schema with full names, and each named type spelled out wherever it is used. Raises NotAvro."""
    with _parsing():
        return expand_schema(json.loads(schema))


def frame(schema_id: int, payload: bytes) -> bytes:
    """The registry's wire format: one zero byte, the schema id in 4 bytes, the payload."""
    return _FRAME.pack(0, schema_id) + payload


def unframe(value: bytes | None) -> tuple[int, bytes]:
    """Schema id and payload. Raises Undecodable."""
    if value is None or len(value) < FRAME_BYTES or value[0] != 0:
        raise Undecodable(Cause.NOT_FRAMED)
    _, schema_id = _FRAME.unpack_from(value)
    return schema_id, value[FRAME_BYTES:]


class Reader:
    """Reads the records of one writer schema."""

    def __init__(self, schema: str) -> None:
        """Raises NotAvro."""
        self.names: dict[str, Json] = {}
        """The named types, by full name."""
        self.schema: Json = _parse(schema, self.names)
        """In which named types are spelled out where they stand first."""
        self._shape = Planner(self.names).shape(self.schema)

    def read(self, payload: bytes) -> Record:
        """The record. Raises Undecodable."""
        try:
            wire.past(self._shape, payload)
        except Damaged:
            raise Undecodable(Cause.UNDECODABLE) from None
        return self.decode(payload)

    def skip(self, walk: Walk) -> None:
        """Past one record among others. Raises Damaged."""
        self._shape.skip(walk)

    def decode(self, payload: bytes) -> Record:
        """The record in bytes that are known to be whole. Raises Undecodable."""
        try:
            record = fastavro.schemaless_reader(BytesIO(payload), self.schema, None)
        except Exception:  # noqa: BLE001 - the library raises whatever a schema that it alone understands leads it into
            raise Undecodable(Cause.UNDECODABLE) from None
        if not isinstance(record, dict):
            raise Undecodable(Cause.UNDECODABLE)
        return cast("Record", record)


class Writer:
    """Writes framed records of one registered schema."""

    def __init__(self, schema: str, schema_id: int) -> None:
        names: dict[str, Json] = {}
        self._schema = _parse(schema, names)
        self._shape = Planner(names).shape(self._schema)
        self._frame = frame(schema_id, b"")

    def write(self, record: Record) -> bytes:
        """The framed record. Raises Unencodable."""
        out = bytearray(self._frame)
        try:
            self._shape.write(record, out)
        except Unsuited:
            return self._frame + _written(self._schema, record)
        return bytes(out)


class ValueWriter:
    """Writes values of one type, which may be a union, without a frame."""

    def __init__(self, avro: Json) -> None:
        names: dict[str, Json] = {}
        with _parsing():
            self._schema = fastavro.parse_schema(_without_logical_types(avro), names)
        self._shape = Planner(names).shape(self._schema)

    def write(self, value: object) -> bytes:
        """Raises Unencodable."""
        out = bytearray()
        try:
            self._shape.write(value, out)
        except Unsuited:
            return _written(self._schema, value)
        return bytes(out)


def _written(schema: Schema, value: object) -> bytes:
    """What has to be chosen or filled in, or does not fit, is the library's. Raises Unencodable."""
    target = BytesIO()
    try:
        fastavro.schemaless_writer(target, schema, value, strict_allow_default=True)
    except (ValueError, TypeError, KeyError, OverflowError, AttributeError, struct.error):
        raise Unencodable from None
    return target.getvalue()


def _parse(schema: str, names: dict[str, Json]) -> Schema:
    """`names` is filled with the named types, by full name."""
    with _parsing():
        return fastavro.parse_schema(_without_logical_types(json.loads(schema)), names)


@contextmanager
def _parsing() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, SchemaParseException, UnknownType) as error:
        raise NotAvro(str(error)) from None


def _without_logical_types(avro: Json) -> Json:
    if isinstance(avro, list):
        return [_without_logical_types(item) for item in avro]
    if isinstance(avro, dict):
        return {key: _without_logical_types(value) for key, value in avro.items() if key != "logicalType"}
    return avro
