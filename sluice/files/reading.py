"""What a row of a file says: id, deletion, what is filled in, conversion.

One row in, exactly one `Given`, `Deleted` or `Refused` out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sluice.avro import Record
from sluice.files.conversion import Unfit, convert
from sluice.files.feed import Feed
from sluice.files.filling import Filling
from sluice.files.rows import Cells, Read, Refused
from sluice.files.scalars import Json
from sluice.files.shape import read_shape
from sluice.files.table import DELETED, Table


@dataclass(frozen=True, slots=True)
class Given:
    """A whole record of the schema, as Avro reads it back."""

    line: int
    customer: str = field(repr=False)
    record: Record = field(repr=False)


@dataclass(frozen=True, slots=True)
class Deleted:
    """The customer was deleted at the source."""

    line: int
    customer: str = field(repr=False)


Told = Given | Deleted | Refused


class RowReader:
    """Reads rows for one topic, as records of its schema."""

    def __init__(self, feed: Feed, schema: str, fill: Filling, source: str | None = None) -> None:
        """`source`: the CRM's name, put before every id that does not have it yet."""
        self.feed = feed
        self._id_field = feed.fields.id_field
        self._fill = fill
        self._prefix = f"{source}:" if source else ""
        self.shape = read_shape(schema)

    def read(self, line: int, row: Mapping[str, Json]) -> Told:
        """1. The id is there. 2. A deletion is only its id. 3. The record is whole, in words that are understood."""
        customer = None
        try:
            customer = self.customer(row.get(self._id_field))
            if self._is_deletion(row):
                return Deleted(line, customer)
            record = convert(self.shape, self._completed(row, customer))
            self.feed.check(record)
        except Unfit as unfit:
            return Refused(line, str(unfit), customer)
        except RecursionError:
            return Refused(line, "The row does not fit the registered schema.", customer)
        return Given(line, customer, record)

    def read_cells(self, row: Cells, table: Table) -> Told:
        try:
            content = table.row(row.cells)
        except Unfit as unfit:
            return Refused(row.line, str(unfit), self.named(row.cells[table.id_column]))
        return self.read(row.line, content)

    def customer(self, written: Json) -> str:
        """The customer's id with its source. Raises Unfit."""
        if not isinstance(written, str):
            raise Unfit(f"`{self._id_field}` is missing, or is no text.")
        if not written.strip():
            raise Unfit(f"`{self._id_field}` is empty.")
        try:
            written.encode()
        except UnicodeEncodeError:
            raise Unfit(f"`{self._id_field}` has to be text.") from None
        if not self._prefix or written.startswith(self._prefix):
            return written
        if ":" in written:
            raise Unfit(f"`{self._id_field}` already has the prefix of another source.")
        return self._prefix + written

    def named(self, written: Json) -> str | None:
        """The customer whom an id names, if it names one."""
        try:
            return self.customer(written)
        except Unfit:
            return None

    def _is_deletion(self, row: Mapping[str, Json]) -> bool:
        deleted = row.get(DELETED)
        if deleted is not None and not isinstance(deleted, bool):
            raise Unfit(f"`{DELETED}` has to be true or false.")
        if deleted and not self.feed.deletions:
            raise Unfit("A consent event is never deleted; publish the event that ends it.")
        return bool(deleted)

    def _completed(self, row: Mapping[str, Json], customer: str) -> dict[str, Json]:
        given = {name: value for name, value in row.items() if name != DELETED}
        if self._id_field in self.shape.fields:
            given[self._id_field] = customer
        else:
            del given[self._id_field]
        for name, value in self._fill().items():
            if given.get(name) is None and name in self.shape.fields:
                given[name] = value
        return given


def read_json(rows: Iterable[Read | Refused], reader: RowReader) -> Iterator[Told]:
    for row in rows:
        yield row if isinstance(row, Refused) else reader.read(row.line, row.content)


def read_csv(rows: Iterable[Cells | Refused], table: Table, reader: RowReader) -> Iterator[Told]:
    for row in rows:
        yield row if isinstance(row, Refused) else reader.read_cells(row, table)
