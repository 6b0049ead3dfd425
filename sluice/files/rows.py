"""Rows of a file, read one at a time, and what comes of each: it can be read, or is `Refused`."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from sluice.errors import SluiceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sluice.files.scalars import Json

LONGEST_LINE = 8 * 1024 * 1024
"""Bytes. Far beyond what a topic takes, and what keeps a file without line ends from filling the memory."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that cannot be taken, and why: one sentence that holds no value."""

    line: int
    sentence: str
    customer: str | None = field(default=None, repr=False, compare=False)
    """Whom it is about, as far as its id could be read."""


class Read(NamedTuple):
    """A row that could be read. `line`, from 1, is its first."""

    line: int
    content: Json


class Cells(NamedTuple):
    """A row as its columns have it: of a CSV file, text stripped of white space; of a file with types, its values."""

    line: int
    cells: Sequence[Json]


class LineTooLong(Exception):
    """A line of more than LONGEST_LINE bytes."""


class Lines:
    """The lines of a byte stream. After LineTooLong the next call gives the line behind."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.number = 0
        """Of the line that was read last."""
        self.bytes_read = 0

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> bytes:
        line = self._read()
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > LONGEST_LINE:
            while line and not line.endswith(b"\n"):
                line = self._read()
            raise LineTooLong
        return line.removeprefix(_BYTE_ORDER_MARK) if self.number == 1 else line

    def _read(self) -> bytes:
        line = self._stream.readline(LONGEST_LINE + 1)
        self.bytes_read += len(line)
        return line


def json_rows(lines: Lines) -> Iterator[Read | Refused]:
    """JSON Lines: an object a line. Empty lines are passed over."""
    while True:
        try:
            line = next(lines)
        except StopIteration:
            return
        except LineTooLong:
            yield too_long(lines.number)
            continue
        if line.strip():
            yield json_row(lines.number, line)


def too_long(number: int) -> Refused:
    return Refused(number, f"The line is longer than {LONGEST_LINE // 1024**2} MiB.")


def json_row(number: int, line: bytes) -> Read | Refused:
    """One line of JSON Lines."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return Refused(number, "The line is not valid UTF-8.")
    try:
        content = json.loads(text, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_no_doublets)
    except _Doublet:
        return Refused(number, "A field stands in the object twice.")
    except (ValueError, ArithmeticError, RecursionError):
        return Refused(number, "The line is not valid JSON.")
    if not isinstance(content, dict):
        return Refused(number, "The line is not a JSON object.")
    return Read(number, content)


class _Doublet(ValueError):
    pass


def _no_doublets(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise _Doublet
    return content


def _no_constant(_: str) -> Json:
    raise ValueError


class CsvFile:
    """A CSV file with a header, which is read at once. Raises SluiceError when it has none that can be used."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._reader = csv.reader((line.decode(errors="surrogateescape") for line in lines), strict=True)
        try:
            self.header = [name.strip() for name in next(self._reader, [])]
        except (csv.Error, LineTooLong):
            raise SluiceError("The first line is no CSV header: it has to name the columns.") from None
        if not self.header or not _is_text(self.header):
            raise SluiceError("The first line is no CSV header in UTF-8: it has to name the columns.")
        check_distinct(self.header)

    def __iter__(self) -> Iterator[Cells | Refused]:
        """The rows. Where a quote breaks, reading ends: nothing says where the next row begins."""
        while True:
            line = self._lines.number + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except (csv.Error, LineTooLong):
                yield Refused(
                    line,
                    "A quote is not closed or stands inside a cell, or a cell is too long; nothing is read after it.",
                )
                return
            if cells:
                yield self._row(line, cells)

    def _row(self, line: int, cells: list[str]) -> Cells | Refused:
        if len(cells) != len(self.header):
            return Refused(line, f"The row has {len(cells)} cells and the header {len(self.header)}.")
        if not _is_text(cells):
            return Refused(line, "The row is not valid UTF-8.")
        return Cells(line, [cell.strip() for cell in cells])


def check_distinct(columns: list[str]) -> None:
    """Raises SluiceError when two have the same name."""
    if len(set(columns)) != len(columns):
        twice = next(index for index, name in enumerate(columns) if name in columns[:index])
        raise SluiceError(f"Column {twice + 1} has the name of an earlier one; rename it.")


def _is_text(cells: Sequence[str]) -> bool:
    """Whether no byte had to be escaped in reading."""
    joined = "".join(cells)
    if joined.isascii():
        return True
    try:
        joined.encode()
    except UnicodeEncodeError:
        return False
    return True
