"""How the rows of a file are read: by its format, as customers or consents, or as signals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from producers.encoding import Encoder, Row, encoded_csv, encoded_json, encoded_mapped, encoded_records
from producers.live import Source
from producers.signals.mapping import SignalMapping, load_mapping
from producers.signals.rows import Terms, encoded_signals
from sluice.contract import load_contracts
from sluice.errors import SluiceError
from sluice.files import opening
from sluice.files.opening import Format
from sluice.files.rows import CsvFile, Lines, json_rows
from sluice.files.table import check_columns


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of a file beside its bytes."""

    form: Format | None
    mapping: Path | None
    contracts: Path
    """The folder of the contracts, whose partners signals are about."""


Rows: TypeAlias = tuple[Source, Iterator[Row]]
"""What tells how far was read, and the rows."""

RowsOf: TypeAlias = Callable[[Reading, BinaryIO, Encoder], Rows]
"""Raises SluiceError when nothing of the file can be read."""


def records(reading: Reading, stream: BinaryIO, encoder: Encoder) -> Rows:
    match reading.form:
        case "csv":
            lines = Lines(stream)
            file = CsvFile(lines)
            return lines, encoded_csv(file, opening.planned(reading.mapping, file.header, encoder.reader), encoder)
        case "jsonl" if reading.mapping is None:
            lines = Lines(stream)
            return lines, encoded_json(json_rows(lines), encoder)
        case "jsonl":
            raise SluiceError("A mapping is for columns; rows of JSON Lines are the records themselves.")
        case "avro" | "parquet" as form:
            return _typed(form, reading.mapping, stream, encoder)
        case _:
            raise SluiceError("None of .csv, .jsonl, .avro and .parquet: say with --format what the file is.")


def _typed(form: Literal["avro", "parquet"], mapping: Path | None, stream: BinaryIO, encoder: Encoder) -> Rows:
    file = opening.checked_records(form, stream)
    if mapping is None and not any("." in name for name in file.columns):
        check_columns(file.columns, encoder.shape, encoder.feed.fields)
        return file, encoded_records(file, encoder)
    header = [".".join(path) for path in file.paths]
    return file, encoded_mapped(file, opening.planned(mapping, header, encoder.reader), encoder)


def signals(reading: Reading, stream: BinaryIO, encoder: Encoder) -> Rows:
    if reading.form != "jsonl":
        raise SluiceError("Signals are rows of JSON Lines; of a file with another ending, say --format jsonl.")
    lines = Lines(stream)
    return lines, encoded_signals(json_rows(lines), _terms(reading, encoder), encoder)


def _terms(reading: Reading, encoder: Encoder) -> Terms:
    if reading.mapping is None:
        return Terms(SignalMapping(), {}, encoder.reader.customer)
    contracts = load_contracts(reading.contracts)
    kinds = {str(partner): contract.kind for partner, (contract, _) in contracts.items()}
    return Terms(load_mapping(reading.mapping, kinds), kinds, encoder.reader.customer)
