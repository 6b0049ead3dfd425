"""From a file that somebody names to its rows: the file opened, its format known, its columns planned."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from sluice.document import load
from sluice.errors import SluiceError
from sluice.files.mapping import ColumnMapping
from sluice.files.reading import RowReader
from sluice.files.table import Table, plan, plan_by_header

Format = Literal["csv", "jsonl"]

STANDARD_INPUT = "-"
_FORMATS: dict[str, Format] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}


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


def planned(mapping: Path | None, header: list[str], reader: RowReader) -> Table:
    """The columns as fields. Raises DocumentError, SluiceError."""
    if mapping is None:
        return plan_by_header(header, reader.shape, reader.feed.fields)
    document, source = load(mapping, ColumnMapping)
    return plan(document, source, header, reader.shape, reader.feed.fields)


def checked_source(source: str | None) -> str | None:
    """The CRM's name, which becomes the prefix of ids. Raises SluiceError."""
    if source is not None and (not source or ":" in source or not source.isprintable() or " " in source):
        raise SluiceError("--source is a name without spaces and colons, such as dell-crm.")
    return source
