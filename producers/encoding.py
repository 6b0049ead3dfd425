"""The way of one row: id, deletion, what publishing fills in, conversion, bytes.

One row in, exactly one `Encoded` or `Refused` out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from producers.conversion import Unfit, convert
from producers.rows import Cells, Encoded, Read, Refused, Row
from producers.scalars import Json
from producers.shape import read_shape
from producers.table import DELETED, Table, TopicFields
from sluice import topics, vocabulary
from sluice.avro import Unencodable, Writer
from sluice.document import nearest

_UUID_VERSION: Final = 0x7
_UUID_VARIANT: Final = 0b10


@dataclass(frozen=True, slots=True)
class Feed:
    """A topic that CRMs write to."""

    topic: str
    fields: TopicFields
    deletions: bool
    """Whether a row may say that the customer was deleted at the source."""
    check: Callable[[Mapping[str, Json]], None] = lambda _: None
    """Raises Unfit for what the schema allows and the processor would not understand."""


def _known_words(record: Mapping[str, Json]) -> None:
    """A refusal in words that nobody understands would be one that nobody heeds."""
    _known("purpose", [record.get("purpose")], vocabulary.purposes())
    _known("data_scope", record.get("data_scope") or [], vocabulary.data_categories())


def _known(field: str, words: Json, valid: frozenset[str]) -> None:
    for word in words:
        if word not in valid and word != vocabulary.EVERYTHING:
            raise Unfit(f"`{field}` is not known{nearest(str(word), sorted(valid))}")


CUSTOMERS: Final = Feed(topics.CUSTOMER_UPDATES, TopicFields("customer_id"), deletions=True)
CONSENTS: Final = Feed(
    topics.CONSENT_EVENTS,
    TopicFields("subject_id", frozenset({"record_id", "recorded_at"})),
    deletions=False,
    check=_known_words,
)

Filling = Callable[[], Mapping[str, Json]]
"""Fresh values for the fields that publishing fills in."""


def nothing_filled() -> Mapping[str, Json]:
    return {}


def record_filling(now_ms: Callable[[], int], randomness: Callable[[int], int]) -> Filling:
    """Id and time of a consent event that came without. `randomness` gives that many random bits."""

    def fill() -> Mapping[str, Json]:
        now = now_ms()
        return {"record_id": uuid7(now, randomness(74)), "recorded_at": now}

    return fill


def uuid7(millis: int, randomness: int) -> str:
    """A UUID of version 7 (RFC 9562, 5.7): 48 bits of time, and 74 bits of `randomness` round version and variant."""
    bits = (millis & (1 << 48) - 1) << 80 | _UUID_VERSION << 76
    bits |= (randomness >> 62 & (1 << 12) - 1) << 64 | _UUID_VARIANT << 62 | randomness & (1 << 62) - 1
    digits = f"{bits:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


class Encoder:
    """Encodes rows for one topic, with the schema registered for it."""

    def __init__(self, feed: Feed, schema_id: int, schema: str, fill: Filling, source: str | None = None) -> None:
        """`source`: the CRM's name, put before every id that does not have it yet."""
        self.feed = feed
        self._id_field = feed.fields.id_field
        self._fill = fill
        self._prefix = f"{source}:" if source else ""
        self.shape = read_shape(schema)
        self._writer = Writer(schema, schema_id)

    def encode(self, line: int, row: Mapping[str, Json]) -> Row:
        """1. The id is there. 2. A deletion is only its id. 3. The record is whole. 4. Its bytes are made."""
        try:
            customer = self._customer(row)
            if self._is_deletion(row):
                return Encoded(line, customer.encode(), None)
            record = convert(self.shape, self._completed(row, customer))
            self.feed.check(record)
            return Encoded(line, customer.encode(), self._writer.write(record))
        except Unfit as unfit:
            return Refused(line, str(unfit))
        except (Unencodable, RecursionError):
            return Refused(line, "The row does not fit the registered schema.")

    def _customer(self, row: Mapping[str, Json]) -> str:
        written = row.get(self._id_field)
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


def encoded_json(rows: Iterable[Read | Refused], encoder: Encoder) -> Iterator[Row]:
    for row in rows:
        yield row if isinstance(row, Refused) else encoder.encode(row.line, row.content)


def encoded_csv(rows: Iterable[Cells | Refused], table: Table, encoder: Encoder) -> Iterator[Row]:
    for row in rows:
        yield row if isinstance(row, Refused) else _encoded_cells(row, table, encoder)


def _encoded_cells(row: Cells, table: Table, encoder: Encoder) -> Row:
    try:
        content = table.row(row.cells)
    except Unfit as unfit:
        return Refused(row.line, str(unfit))
    return encoder.encode(row.line, content)
