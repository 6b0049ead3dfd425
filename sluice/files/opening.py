"""From a file that somebody names to its rows: the file opened, its format known, its columns planned."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from sluice.document import Source, load
from sluice.errors import SluiceError
from sluice.files.avro_file import AvroFile
from sluice.files.mapping import ColumnMapping
from sluice.files.reading import RowReader
from sluice.files.rows import Read
from sluice.files.table import Table, plan, plan_by_header

Format = Literal["csv", "jsonl", "avro", "parquet"]

STANDARD_INPUT = "-"
_FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".avro": "avro",
    ".parquet": "parquet",
}


class RecordFile(Protocol):
    """A file with a schema of its own, whose rows are records with types."""

    columns: list[str]
    """The fields of its records."""
    paths: list[tuple[str, ...]]
    """The columns as a mapping sees them: of records within records, each field."""
    bytes_read: int

    def check(self) -> None:
        """Through the whole file. Raises SluiceError that says where it is damaged."""

    def __iter__(self) -> Iterator[Read]: ...


@contextlib.contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """The file's bytes; `-` is standard input. Raises SluiceError."""
    if file == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    with contextlib.ExitStack() as stack:
        try:
            stream = stack.enter_context(Path(file).open("rb"))
        except OSError as error:
            raise SluiceError(f"{file} cannot be read: {error.strerror}.") from None
        yield stream


def size(stream: BinaryIO) -> int | None:
    """Bytes to read, where the stream can tell."""
    if not stream.seekable():
        return None
    length = stream.seek(0, 2)
    stream.seek(0)
    return length


def shown(file: str) -> str:
    """The file's name, as problems in it are told."""
    return "<stdin>" if file == STANDARD_INPUT else file


def format_of(file: str) -> Format | None:
    """What the file's ending tells."""
    return _FORMATS.get(Path(file).suffix.lower())


def checked_records(form: Literal["avro", "parquet"], stream: BinaryIO) -> RecordFile:
    """A file of which every part can be read, so that no damage is found when half of it is published.

    Raises SluiceError.
    """
    file = _avro(stream) if form == "avro" else _parquet(stream)
    file.check()
    return file


def _avro(stream: BinaryIO) -> RecordFile:
    _length(stream)
    return AvroFile(stream)


def _parquet(stream: BinaryIO) -> RecordFile:
    try:
        from sluice.files.parquet_file import ParquetFile  # noqa: PLC0415 - pyarrow is an extra, and large
    except ModuleNotFoundError:
        raise SluiceError("Parquet needs pyarrow, which is not installed: pip install 'sluice[parquet]'.") from None
    return ParquetFile(stream, _length(stream))


def _length(stream: BinaryIO) -> int:
    length = size(stream)
    if length is None:
        raise SluiceError("Avro and Parquet are checked before they are read, so they have to be files, and no pipe.")
    return length


def planned(mapping: Path | None, header: list[str], reader: RowReader) -> Table:
    """The columns as fields. Raises DocumentError, SluiceError."""
    if mapping is None:
        return plan_by_header(header, reader.shape, reader.feed.fields)
    return plan(*column_mapping(mapping), header, reader.shape, reader.feed.fields)


def column_mapping(mapping: Path) -> tuple[ColumnMapping, Source]:
    """Raises DocumentError, SluiceError."""
    return load(mapping, ColumnMapping)


def checked_source(source: str | None) -> str | None:
    """The CRM's name, which becomes the prefix of ids. Raises SluiceError."""
    if source is not None and (not source or ":" in source or not source.isprintable() or " " in source):
        raise SluiceError("--source is a name without spaces and colons, such as dell-crm.")
    return source
