"""Avro through Apache's own library, the one that the processor does not use: the second opinion.

It decodes whole records, strictly, into Avro's own values without logical types. It is slow.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Any, Final, TypeAlias, cast

import avro.schema
from avro.io import BinaryDecoder, BinaryEncoder, DatumReader, DatumWriter

from sluice.registry import SchemaNotFound

Value: TypeAlias = Mapping[str, Any]
"""A decoded record."""

_FRAME_BYTES: Final = 5
_MAGIC: Final = 0
_INTS = range(-(1 << 31), 1 << 31)


class Unreadable(Exception):
    """These bytes are no record of the schema that they name. Holds no value."""


class Unwritable(Exception):
    """A value does not fit its field's type. Holds no value."""


class Codec:
    """Reads framed records of every schema that is known, and writes them."""

    def __init__(self, text_of: Callable[[int], str]) -> None:
        """`text_of`: a schema by its id. It raises SchemaNotFound, or SluiceError when it does not know for now."""
        self._text_of = text_of
        self._schemas: dict[int, avro.schema.Schema] = {}

    def read(self, value: bytes | None) -> Value:
        """The whole record. Raises Unreadable, and what `text_of` raises when it does not know for now."""
        if value is None or len(value) < _FRAME_BYTES or value[0] != _MAGIC:
            raise Unreadable
        schema = self._schema(schema_id_in(value))
        stream = BytesIO(value)
        stream.seek(_FRAME_BYTES)
        try:
            record = _StrictReader(schema).read(_StrictDecoder(stream))
        except Exception:  # noqa: BLE001 - the library raises whatever bytes that are no text, say, lead it into
            raise Unreadable from None
        if not isinstance(record, dict) or stream.tell() != len(value):
            raise Unreadable
        return record

    def _schema(self, schema_id: int) -> avro.schema.Schema:
        if schema_id not in self._schemas:
            try:
                self._schemas[schema_id] = _parsed(self._text_of(schema_id))
            except (SchemaNotFound, avro.errors.AvroException, ValueError):
                raise Unreadable from None
        return self._schemas[schema_id]


class Encoder:
    """Writes framed records of one registered schema."""

    def __init__(self, schema: str, schema_id: int) -> None:
        self._writer = DatumWriter(_parsed(schema))
        self._frame = bytes([_MAGIC]) + schema_id.to_bytes(4, "big")

    def write(self, record: Value) -> bytes:
        """Raises Unwritable."""
        target = BytesIO()
        target.write(self._frame)
        try:
            self._writer.write(record, BinaryEncoder(target))
        except (avro.errors.AvroException, ValueError, TypeError):
            raise Unwritable from None
        return target.getvalue()


def schema_id_in(value: bytes) -> int:
    """Of a framed record, whatever else is in it."""
    return int.from_bytes(value[1:_FRAME_BYTES], "big")


class _StrictDecoder(BinaryDecoder):
    """Takes no damage for data (Avro 1.12, "Binary Encoding")."""

    def read_boolean(self) -> bool:
        byte = self.read(1)
        if byte not in (b"\x00", b"\x01"):
            raise Unreadable
        return byte == b"\x01"

    def read_int(self) -> int:
        number = self.read_long()
        if number not in _INTS:
            raise Unreadable
        return number


class _StrictReader(DatumReader):
    """Takes no damage for data, likewise."""

    def read_array(
        self,
        writers_schema: avro.schema.ArraySchema,
        readers_schema: avro.schema.ArraySchema,  # noqa: ARG002 - the library's; the same here
        decoder: BinaryDecoder,
    ) -> list[object]:
        items = writers_schema.items
        return [self.read_data(items, items, decoder) for _ in _items(decoder)]

    def read_map(
        self,
        writers_schema: avro.schema.MapSchema,
        readers_schema: avro.schema.MapSchema,  # noqa: ARG002 - likewise
        decoder: BinaryDecoder,
    ) -> Mapping[str, object]:
        values = writers_schema.values
        return {decoder.read_utf8(): self.read_data(values, values, decoder) for _ in _items(decoder)}

    def read_enum(
        self,
        writers_schema: avro.schema.EnumSchema,
        readers_schema: avro.schema.EnumSchema,  # noqa: ARG002 - likewise
        decoder: BinaryDecoder,
    ) -> str:
        """The library takes a number beyond the symbols for the schema's default."""
        number = decoder.read_int()
        if number not in range(len(writers_schema.symbols)):
            raise Unreadable
        return str(writers_schema.symbols[number])

    def read_union(
        self,
        writers_schema: avro.schema.UnionSchema,
        readers_schema: avro.schema.UnionSchema,  # noqa: ARG002 - likewise
        decoder: BinaryDecoder,
    ) -> object:
        number = decoder.read_long()
        if number not in range(len(writers_schema.schemas)):
            raise Unreadable
        branch = writers_schema.schemas[number]
        return self.read_data(branch, branch, decoder)


def _items(decoder: BinaryDecoder) -> Iterator[None]:
    """Once for each item, which is then to be read: a block is as long as it says, and no item has no bytes."""
    tell = decoder.reader.tell
    while count := decoder.read_long():
        end = decoder.read_long() + tell() if count < 0 else None
        for _ in range(abs(count)):
            before = tell()
            yield
            if tell() == before:
                raise Unreadable
        if end is not None and tell() != end:
            raise Unreadable


def _parsed(text: str) -> avro.schema.Schema:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of attributes that are ours, such as data_category
        return avro.schema.parse(json.dumps(_plain(json.loads(text))))


def _plain(schema: object) -> object:
    """Without logical types: the library would make dates of days, and round what does not fit."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if isinstance(schema, dict):
        return {name: _plain(one) for name, one in cast("dict[str, object]", schema).items() if name != "logicalType"}
    return schema
