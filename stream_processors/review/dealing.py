"""The first pass over a file: each row to the shard of its customer, after no more of it was read than the id."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sluice.document import DocumentError
from sluice.errors import SluiceError
from sluice.files import opening
from sluice.files.opening import Format
from sluice.files.reading import RowReader, Told
from sluice.files.rows import CsvFile, Lines, LineTooLong, Read, Refused, json_row, too_long
from sluice.files.table import Table
from stream_processors.review.shards import Dealer
from stream_processors.review.subject import Problem

_ROWS_BETWEEN_UPDATES = 2_000


class Entry(msgspec.Struct, array_like=True, gc=False):
    """A row on its way to its shard."""

    line: int
    customer: str
    row: bytes | list[str]
    """A line of JSON, or the cells of a CSV row."""


@dataclass(frozen=True, slots=True)
class Dealing:
    """What the first pass needs, beside the file."""

    reader: RowReader
    mapping: Path | None
    dealer: Dealer
    on_problem: Callable[[Problem], None]
    on_bytes: Callable[[int], None]
    """Told now and then how far the file was read."""


def deal(file: Path, form: Format, dealing: Dealing) -> list[str] | None:
    """The header, if it is a CSV file. Raises SluiceError when nothing of the file can be read."""
    with opening.opened(str(file)) as stream:
        lines = Lines(stream)
        if form == "csv":
            table, planned = _opened_csv(lines, file, dealing)
            _deal_all(_cells(table, planned, dealing.reader), lines, file, dealing)
            return table.header
        _deal_all(_json(lines, dealing.reader), lines, file, dealing)
    return None


def _opened_csv(lines: Lines, file: Path, dealing: Dealing) -> tuple[CsvFile, Table]:
    """Raises SluiceError that names the file, for there are two of them; of a mapping, its own."""
    try:
        table = CsvFile(lines)
        return table, opening.planned(dealing.mapping, table.header, dealing.reader)
    except DocumentError:
        raise
    except SluiceError as error:
        raise SluiceError(f"{file}: {error}") from None


def _deal_all(entries: Iterator[Entry | Refused], lines: Lines, file: Path, dealing: Dealing) -> None:
    for count, entry in enumerate(entries):
        if isinstance(entry, Refused):
            dealing.on_problem(Problem(str(file), entry.line, entry.sentence, nameless=True))
        else:
            dealing.dealer.deal(entry.customer, entry)
        if count % _ROWS_BETWEEN_UPDATES == 0:
            dealing.on_bytes(lines.bytes_read)
    dealing.on_bytes(lines.bytes_read)


def _cells(file: CsvFile, table: Table, reader: RowReader) -> Iterator[Entry | Refused]:
    for row in file:
        if isinstance(row, Refused):
            yield row
            continue
        customer = reader.named(row.cells[table.id_column])
        if customer is None:
            yield _refusal(reader.read_cells(row, table), row.line)
        else:
            yield Entry(row.line, customer, list(row.cells))


def _json(lines: Lines, reader: RowReader) -> Iterator[Entry | Refused]:
    quick = _quick_id(reader.feed.fields.id_field)
    while True:
        try:
            line = next(lines)
        except StopIteration:
            return
        except LineTooLong:
            yield too_long(lines.number)
            continue
        customer = reader.named(quick(line))
        if customer is not None:
            yield Entry(lines.number, customer, line)
        elif line.strip():
            yield _slowly(lines.number, line, reader)


def _slowly(number: int, line: bytes, reader: RowReader) -> Entry | Refused:
    """A row that the quick way could not name: publishing's own reading has the last word."""
    match json_row(number, line):
        case Refused() as refused:
            return refused
        case Read(content=content):
            customer = reader.named(content.get(reader.feed.fields.id_field))
            if customer is not None:
                return Entry(number, customer, line)
            return _refusal(reader.read(number, content), number)


def _refusal(told: Told, line: int) -> Refused:
    return told if isinstance(told, Refused) else Refused(line, "The row names no customer.")


def _quick_id(id_field: str) -> Callable[[bytes], str | None]:
    """Reads one field of a JSON object and skips the rest, many times as fast as reading all of it."""
    decoder = msgspec.json.Decoder(msgspec.defstruct("Named", [(id_field, str | None, None)], gc=False))

    def quick(line: bytes) -> str | None:
        try:
            found: str | None = getattr(decoder.decode(line), id_field)
        except msgspec.DecodeError:
            return None
        return found

    return quick
