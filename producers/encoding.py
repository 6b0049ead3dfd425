"""The bytes of one row, as its topic takes them.

One row in, exactly one `Encoded` or `Refused` out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from sluice.avro import Unencodable, Writer
from sluice.files.feed import CONSENTS, CUSTOMERS, Feed
from sluice.files.filling import Filling, nothing_filled, record_filling, uuid7
from sluice.files.opening import RecordFile
from sluice.files.reading import Deleted, Given, RowReader, Told, read_csv, read_json
from sluice.files.rows import Cells, Read, Refused
from sluice.files.scalars import Json
from sluice.files.shape import Parts
from sluice.files.table import Table
from sluice.files.values import at, given

__all__ = [
    "CONSENTS",
    "CUSTOMERS",
    "Encoded",
    "Encoder",
    "Feed",
    "Row",
    "encoded_csv",
    "encoded_json",
    "encoded_mapped",
    "encoded_records",
    "nothing_filled",
    "record_filling",
    "uuid7",
]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A row as it goes to the topic. `value` None: the customer was deleted at the source."""

    line: int
    key: bytes
    value: bytes | None


Row: TypeAlias = Encoded | Refused


class Encoder:
    """Encodes rows for one topic, with the schema registered for it."""

    def __init__(self, feed: Feed, schema_id: int, schema: str, fill: Filling, source: str | None = None) -> None:
        """`source`: the CRM's name, put before every id that does not have it yet."""
        self.feed = feed
        self.reader = RowReader(feed, schema, fill, source)
        self._writer = Writer(schema, schema_id)

    @property
    def shape(self) -> Parts:
        return self.reader.shape

    def encode(self, line: int, row: Mapping[str, Json]) -> Row:
        return self.encoded(self.reader.read(line, row))

    def encoded(self, told: Told) -> Row:
        match told:
            case Given():
                return self._written(told)
            case Deleted(line=line, customer=customer):
                return Encoded(line, customer.encode(), None)
            case Refused():
                return told

    def _written(self, given: Given) -> Row:
        try:
            return Encoded(given.line, given.customer.encode(), self._writer.write(given.record))
        except (Unencodable, RecursionError):
            return Refused(given.line, "The row does not fit the registered schema.", given.customer)


def encoded_json(rows: Iterable[Read | Refused], encoder: Encoder) -> Iterator[Row]:
    return map(encoder.encoded, read_json(rows, encoder.reader))


def encoded_csv(rows: Iterable[Cells | Refused], table: Table, encoder: Encoder) -> Iterator[Row]:
    return map(encoder.encoded, read_csv(rows, table, encoder.reader))


def encoded_records(file: RecordFile, encoder: Encoder) -> Iterator[Row]:
    """Rows that are the records themselves."""
    return encoded_json((Read(row.line, given(encoder.shape, row.content)) for row in file), encoder)


def encoded_mapped(file: RecordFile, table: Table, encoder: Encoder) -> Iterator[Row]:
    """Rows whose columns are planned as a table's."""
    rows = (Cells(row.line, [at(row.content, path) for path in file.paths]) for row in file)
    return encoded_csv(rows, table, encoder)
