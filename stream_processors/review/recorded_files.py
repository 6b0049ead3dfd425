"""Customers and consents from files: rows as `sluice publish` reads them, folded as the processor folds records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from schemas import catalogue
from sluice.consent import ConsentRecord, Contradiction, parse_event
from sluice.errors import SluiceError
from sluice.files import opening
from sluice.files.feed import CONSENTS, CUSTOMERS
from sluice.files.filling import Filling, nothing_filled, uuid7
from sluice.files.opening import Format
from sluice.files.reading import Deleted, Given, RowReader, Told
from sluice.files.rows import Cells, Refused, json_row
from sluice.model import Cause, CustomerId, Millis
from sluice.projection import Snapshot
from sluice.store import Row
from stream_processors.review import shards
from stream_processors.review.dealing import Dealing, Entry, deal
from stream_processors.review.shards import Dealer
from stream_processors.review.subject import Dealt, Problem, Subject
from stream_processors.sharing.pipeline import DELETED, NO_PROFILE, UNREADABLE, Profile

_CUSTOMERS = "customers"
_CONSENTS = "consents"
_AFTER_ALL_CUSTOMERS = 1 << 60


@dataclass(frozen=True, slots=True)
class Files:
    """What is read, and as what."""

    customers: Path
    consents: Path
    schema: str
    """Of customers, JSON text."""
    at: Millis
    """Stands for the time that a row does not tell: when a consent event was recorded."""
    mapping: Path | None = None
    """Of the columns of customers."""
    source: str | None = None

    def reader_of_customers(self) -> RowReader:
        return RowReader(CUSTOMERS, self.schema, nothing_filled, self.source)

    def reader_of_consents(self, fill: Filling = nothing_filled) -> RowReader:
        return RowReader(CONSENTS, catalogue.text("consent_event"), fill, self.source)


@dataclass(frozen=True, slots=True)
class FileInputs:
    """Both files, dealt out to shards in a folder."""

    files: Files
    folder: Path
    customers_header: list[str] | None = None
    consents_header: list[str] | None = None

    def subjects(self, shard: int) -> Iterator[Subject | Problem]:
        updates = self._entries(_CUSTOMERS, shard)
        answers = self._entries(_CONSENTS, shard)
        fold = _Fold(self)
        for customer, entries in updates.items():
            yield from fold.subject(entries[0].line, CustomerId(customer), entries, answers.pop(customer, []))
        for customer, entries in answers.items():
            yield from fold.subject(_AFTER_ALL_CUSTOMERS + entries[0].line, CustomerId(customer), [], entries)

    def _entries(self, name: str, shard: int) -> dict[str, list[Entry]]:
        file = shards.path(self.folder, name, shard)
        return shards.grouped((entry.customer, entry) for entry in shards.dealt(file, Entry))


def deal_files(files: Files, folder: Path, on_bytes: Callable[[int], None]) -> Dealt:
    """Both files dealt out. Raises SluiceError when one cannot be read at all."""
    count = shards.count(total_bytes(files))
    problems: list[Problem] = []
    inputs = FileInputs(files, folder)
    with Dealer(folder, _CUSTOMERS, count) as dealer:
        dealing = Dealing(files.reader_of_customers(), files.mapping, dealer, problems.append, on_bytes)
        inputs = replace(inputs, customers_header=deal(files.customers, _form(files.customers, files.mapping), dealing))
    before = _size(files.customers)
    with Dealer(folder, _CONSENTS, count) as dealer:
        dealing = Dealing(
            files.reader_of_consents(), None, dealer, problems.append, lambda read: on_bytes(before + read)
        )
        inputs = replace(inputs, consents_header=deal(files.consents, _form(files.consents, None), dealing))
    return Dealt(inputs, count, tuple(problems))


def total_bytes(files: Files) -> int:
    return _size(files.customers) + _size(files.consents)


def _size(file: Path) -> int:
    with opening.opened(str(file)) as stream:
        return opening.size(stream) or 0


def _form(file: Path, mapping: Path | None) -> Format:
    form = opening.format_of(str(file))
    if form not in ("csv", "jsonl"):
        raise SluiceError(f"{file} is neither .csv nor .jsonl: give it the ending that says what it is.")
    if form == "jsonl" and mapping is not None:
        raise SluiceError("A mapping is for CSV; rows of JSON Lines are the records themselves.")
    return form


class _Fold:
    """Rows to customers."""

    def __init__(self, inputs: FileInputs) -> None:
        files = inputs.files
        self._files = files
        self._line = 0
        self._customers = _Rows(files.reader_of_customers(), inputs.customers_header, files.mapping)
        self._consents = _Rows(files.reader_of_consents(self._fill), inputs.consents_header, None)

    def subject(
        self, order: int, customer: CustomerId, updates: list[Entry], answers: list[Entry]
    ) -> Iterator[Subject | Problem]:
        profile: Profile = NO_PROFILE
        for entry in updates:
            told = self._customers.read(entry)
            if isinstance(told, Refused):
                yield Problem(str(self._files.customers), told.line, told.sentence, nameless=False)
            profile = _profile(told)
        consents = ConsentRecord()
        for entry in answers:
            consents, sentence = self._with_answer(consents, customer, entry)
            if sentence is not None:
                yield Problem(str(self._files.consents), entry.line, sentence, nameless=False)
        yield Subject(order, customer, Row(deleted=profile is DELETED, consents=consents), profile)

    def _with_answer(
        self, consents: ConsentRecord, customer: CustomerId, entry: Entry
    ) -> tuple[ConsentRecord, str | None]:
        """With the event, or with the place where one stands that cannot be read, and why."""
        self._line = entry.line
        told = self._consents.read(entry)
        if not isinstance(told, Given):
            sentence = told.sentence if isinstance(told, Refused) else "The row is no consent event."
            return consents.with_unreadable(self._place(entry)), sentence
        try:
            # a file does not tell when an event was logged; its record's own time stands for it
            return consents.with_event(parse_event(told.record, customer, Millis(told.record["recorded_at"]))), None
        except Contradiction as error:
            return consents.with_unreadable(self._place(entry)), _CONTRADICTIONS[error.cause]

    def _place(self, entry: Entry) -> str:
        return f"{self._files.consents}:{entry.line}"

    def _fill(self) -> Mapping[str, object]:
        """As publishing at that time would; but the same file always gives the same events."""
        return {"record_id": uuid7(self._files.at, self._line), "recorded_at": self._files.at}


class _Rows:
    """One file's rows, read whole."""

    def __init__(self, reader: RowReader, header: list[str] | None, mapping: Path | None) -> None:
        self._reader = reader
        self._table = None if header is None else opening.planned(mapping, header, reader)

    def read(self, entry: Entry) -> Told:
        if self._table is not None and isinstance(entry.row, list):
            return self._reader.read_cells(Cells(entry.line, entry.row), self._table)
        read = json_row(entry.line, bytes(entry.row) if isinstance(entry.row, bytes) else b"")
        return read if isinstance(read, Refused) else self._reader.read(read.line, read.content)


def _profile(told: Told) -> Profile:
    match told:
        case Given(record=record):
            return Snapshot(record)
        case Deleted():
            return DELETED
        case Refused():
            return UNREADABLE


_CONTRADICTIONS = {
    Cause.NOT_UNDERSTOOD: "The event is in words that nobody understands.",
    Cause.KEY_CONTRADICTS_VALUE: "The event is about somebody else.",
    Cause.DATED_IN_THE_FUTURE: "The event is dated after it was recorded.",
}
