"""Avro object container files (Avro 1.12, "Object Container Files"), through fastavro, a block at a time."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple
from uuid import UUID

import fastavro
from fastavro.read import LOGICAL_READERS, block_reader

from sluice.avro import NotAvro, Reader
from sluice.errors import SluiceError
from sluice.files import shape, values
from sluice.files.rows import Read
from sluice.files.table import DELETED
from sluice.wire import Damaged, Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sluice.files.scalars import Json

DELETED_IN_AVRO: Final = "__deleted"
"""Stands for `$deleted`: no name in Avro holds a `$`."""

_OURS = "sluice-"
"""Before the logical types that are read here: the library's own round decimals, and stop at the first odd time."""


class AvroFile:
    """The records of a file. Implements opening.RecordFile."""

    def __init__(self, stream: BinaryIO) -> None:
        """Raises SluiceError when the file is none whose beginning can be read."""
        self._stream = stream
        self.bytes_read = 0
        try:
            text = block_reader(stream).metadata["avro.schema"]
            self._reader = Reader(text)
            self._schema = fastavro.parse_schema(_with_our_types(json.loads(text)))
        except (ValueError, LookupError, NotAvro):
            raise SluiceError(
                "This is no Avro file, or its beginning is damaged: it has to be written again."
            ) from None
        if not isinstance(self._reader.schema, dict) or self._reader.schema["type"] != "record":
            raise SluiceError("The Avro file holds no records.")
        fields = shape.read_shape(text)
        self.columns = [_renamed(name) for name in fields.fields]
        self.paths = [tuple(_renamed(path).split(".")) for path in shape.paths(fields)]

    def check(self) -> None:
        """Past every record. Raises SluiceError that names the block that is not whole."""
        for place, block in self._blocks():
            try:
                self._pass(block)
            except (Damaged, RecursionError):
                raise _damaged(place) from None

    def __iter__(self) -> Iterator[Read]:
        """The records of a file that was checked; `line` is the record's number, from 1."""
        for place, block in self._blocks():
            data = block.bytes_
            for number in range(place.row, place.row + block.num_records):
                record: Any = fastavro.schemaless_reader(data, self._schema, None)
                yield Read(number, {_renamed(name): value for name, value in record.items()})
            self.bytes_read = block.offset + block.size

    def _blocks(self) -> Iterator[tuple[_Place, Any]]:
        """Every block, whose bytes the library's types do not know. Raises SluiceError where the file breaks off."""
        self._stream.seek(0)
        blocks: Iterator[Any] = iter(block_reader(self._stream))
        place = _Place(1, 1)
        while True:
            try:
                block = next(blocks, None)
            except OSError as error:
                if error.errno is not None:  # the disk's; a codec's has no number
                    raise
                raise _damaged(place) from None
            except Exception as error:  # noqa: BLE001 - whatever a codec raises at damaged bytes
                raise _damaged(place, str(error)) from None
            if block is None:
                return
            yield place, block
            place = _Place(place.block + 1, place.row + block.num_records)

    def _pass(self, block: Any) -> None:  # noqa: ANN401
        """Raises Damaged: the library takes some damage for data (wire.py)."""
        walk = Walk(block.bytes_.getvalue())
        for _ in range(block.num_records):
            self._reader.skip(walk)
        if walk.at != walk.size:
            raise Damaged


class _Place(NamedTuple):
    """A block, and the row that it begins with, from 1."""

    block: int
    row: int


def _damaged(place: _Place, why: str = "") -> SluiceError:
    if "codec is supported but" in why:
        return SluiceError(f"The file is compressed in a way that is not installed here: {why}.")
    where = f"in block {place.block}, which begins with row {place.row}"
    return SluiceError(f"The Avro file is damaged or cut off {where}; it has to be written again.")


def _renamed(name: str) -> str:
    return DELETED if name == DELETED_IN_AVRO else name


def _with_our_types(avro: Json) -> Json:
    if isinstance(avro, list):
        return [_with_our_types(item) for item in avro]
    if not isinstance(avro, dict):
        return avro
    ours = {key: _with_our_types(value) for key, value in avro.items() if key != "logicalType"}
    return ours | {"logicalType": _OURS + str(avro["logicalType"])} if "logicalType" in avro else ours


def _ticks(read: Callable[[int, int], Json], per_second: int) -> Callable[..., Json]:
    return lambda ticks, *_: read(ticks, per_second)


def _decimal(digits: bytes, schema: Json, *_: Json) -> Decimal:
    """Exact, however many digits there are."""
    number = Decimal(int.from_bytes(digits, "big", signed=True)).as_tuple()
    return Decimal((number.sign, number.digits, -int(schema.get("scale", 0))))


_READERS: Final = {
    "int-date": lambda days, *_: values.day(days),
    "bytes-decimal": _decimal,
    "fixed-decimal": _decimal,
    "fixed-uuid": lambda digits, *_: str(UUID(bytes=digits)),
    **{
        f"long-{kind}{unit}": _ticks(read, per_second)
        for kind, read in (("timestamp-", values.instant), ("local-timestamp-", values.local_time))
        for unit, per_second in (("millis", 10**3), ("micros", 10**6), ("nanos", 10**9))
    },
}

for _name, _read in _READERS.items():
    _type, _, _logical = _name.partition("-")
    LOGICAL_READERS[f"{_type}-{_OURS}{_logical}"] = _read
