"""Records of one partition, gathered in a temporary SQLite file, so that a million customers need little memory.

Records are only ever added: a later cut sees what an earlier one saw, and what compaction has removed since.
"""

from __future__ import annotations

import sqlite3
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from sluice import topics
from sluice.log import Record
from sluice.model import CustomerId, PartnerId, Pseudonym
from sluice.partitioning import partition_of
from stream_processors.review.evidence import Cut, Delivered, Testimony

_LOGS = (topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS, topics.DISCLOSURES)
_PAGE = 1_000
_ROWS_AT_ONCE = 5_000
_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -65536;
CREATE TABLE told (
    topic TEXT, customer TEXT, at INTEGER, timestamp INTEGER, value BLOB, PRIMARY KEY (topic, customer, at)
) WITHOUT ROWID;
CREATE TABLE delivered (
    partner TEXT, pseudonym TEXT, at INTEGER, value BLOB, PRIMARY KEY (partner, pseudonym)
) WITHOUT ROWID;
CREATE TABLE named (
    partner TEXT, pseudonym TEXT, customer TEXT, PRIMARY KEY (partner, pseudonym)
) WITHOUT ROWID;
CREATE TABLE customers (customer TEXT PRIMARY KEY, resolved INTEGER DEFAULT 0) WITHOUT ROWID;
CREATE TABLE misplaced (at INTEGER PRIMARY KEY, key BLOB, timestamp INTEGER, value BLOB);
"""


class Gathered:
    """See `Evidence`. For one thread. In memory where no file is named."""

    def __init__(self, partition: int, partitions: int, file: Path | None = None) -> None:
        self._partition = partition
        self._partitions = partitions
        self._database = sqlite3.connect(":memory:" if file is None else file, isolation_level=None)
        self._database.executescript(_TABLES)
        self._partners: dict[str, PartnerId] = {}
        self._gap_starts, self._gap_ends = array("q"), array("q")
        self._updates_to = 0
        self._cut: Cut | None = None

    def follow(self, partners: Iterable[PartnerId]) -> None:
        """Records of these partners' topics are expected."""
        self._partners |= {topics.customers(partner): partner for partner in partners}

    def add(self, records: Iterable[Record], on_records: Callable[[int], None] = lambda _: None) -> None:
        """Records of one partition number, in order within each topic. `on_records` is told how many now and then."""
        self._database.execute("BEGIN")
        for count, record in enumerate(records, 1):
            self._add(record)
            if count % _ROWS_AT_ONCE == 0:
                self._database.execute("COMMIT")
                self._database.execute("BEGIN")
                on_records(count)
        self._database.execute("COMMIT")

    def move(self, cut: Cut) -> None:
        """Look at the records from this cut on; everything below it was added, and what is visible after it."""
        self._cut = cut

    @property
    def cut(self) -> Cut:
        if self._cut is None:
            raise AssertionError("nothing was cut yet")
        return self._cut

    def customers(self) -> Iterator[CustomerId]:
        """Everybody who is not resolved."""
        last = ""
        sentence = "SELECT customer FROM customers WHERE customer > ? AND NOT resolved ORDER BY customer LIMIT ?"
        while page := self._database.execute(sentence, (last, _PAGE)).fetchall():
            yield from (CustomerId(customer) for (customer,) in page)
            last = page[-1][0]

    def count(self) -> int:
        """Of customers who are not resolved."""
        (count,) = self._database.execute("SELECT count(*) FROM customers WHERE NOT resolved").fetchone()
        return int(count)

    def everybody(self) -> int:
        (count,) = self._database.execute("SELECT count(*) FROM customers").fetchone()
        return int(count)

    def resolve(self, customer: CustomerId) -> None:
        """The customer need not be looked at again."""
        self._database.execute("UPDATE customers SET resolved = 1 WHERE customer = ?", (customer,))

    def testimony(self, customer: CustomerId) -> Testimony:
        cut = self.cut
        updates, consents, disclosures = (self._told(topic, customer) for topic in _LOGS)
        below = [record for record in updates if record.offset < cut.positions.driving]
        newest = below[-1] if below else None
        begin, end = cut.checkpoint.evidence_from, cut.checkpoint.disclosures
        disclosed = tuple(record for record in disclosures if begin <= record.offset < end)
        return Testimony(
            customer,
            newest,
            self._is_certain(newest, superseded=len(below) < len(updates), disclosed=bool(disclosed)),
            tuple(record for record in consents if record.offset < cut.positions.joined),
            disclosed,
            moved=any(record.offset >= end for record in disclosures),
        )

    def delivered(self, partner: PartnerId, pseudonym: Pseudonym) -> Delivered | None:
        sentence = "SELECT at, value FROM delivered WHERE partner = ? AND pseudonym = ?"
        found = self._database.execute(sentence, (partner, pseudonym)).fetchone()
        return None if found is None else Delivered(*found)

    def name(self, partner: PartnerId, pseudonym: Pseudonym, customer: CustomerId) -> None:
        self._database.execute("INSERT OR IGNORE INTO named VALUES (?, ?, ?)", (partner, pseudonym, customer))

    def strangers(self) -> Iterator[tuple[PartnerId, Pseudonym, Delivered]]:
        found = self._database.execute(
            "SELECT partner, pseudonym, at, value FROM delivered WHERE value IS NOT NULL "
            "AND NOT EXISTS (SELECT 1 FROM named WHERE named.partner = delivered.partner "
            "AND named.pseudonym = delivered.pseudonym) ORDER BY partner, at"
        )
        for partner, pseudonym, at, value in found:
            yield PartnerId(partner), Pseudonym(pseudonym), Delivered(at, value)

    def misplaced_disclosures(self) -> Iterator[Record]:
        span = self.cut.checkpoint.evidence_from, self.cut.checkpoint.disclosures
        for at, key, timestamp, value in self._database.execute(
            "SELECT at, key, timestamp, value FROM misplaced WHERE at >= ? AND at < ?", span
        ):
            yield Record(topics.DISCLOSURES, self._partition, at, key, value, timestamp)

    def close(self) -> None:
        self._database.close()

    def _add(self, record: Record) -> None:
        topic, _, at, key, value, timestamp = record
        if topic in self._partners:
            pseudonym = (key or b"").decode(errors="replace")
            row = (self._partners[topic], pseudonym, at, value)
            self._database.execute("INSERT OR REPLACE INTO delivered VALUES (?, ?, ?, ?)", row)
            return
        if topic == topics.CUSTOMER_UPDATES:
            self._note_gap(at)
        customer = self._named(key)
        if customer is not None:
            self._database.execute("INSERT OR IGNORE INTO customers (customer) VALUES (?)", (customer,))
            row_told = (topic, customer, at, timestamp, value)
            self._database.execute("INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?, ?)", row_told)
        elif topic == topics.DISCLOSURES:
            self._database.execute("INSERT OR REPLACE INTO misplaced VALUES (?, ?, ?, ?)", (at, key, timestamp, value))

    def _named(self, key: bytes | None) -> str | None:
        """The customer of this partition that a key names; None: nobody here (LOOP 15, 25)."""
        if not key or partition_of(key, self._partitions) != self._partition:
            return None
        try:
            return key.decode()
        except UnicodeDecodeError:
            return None

    def _told(self, topic: str, customer: CustomerId) -> list[Record]:
        sentence = "SELECT at, timestamp, value FROM told WHERE topic = ? AND customer = ? ORDER BY at"
        key = customer.encode()
        return [
            Record(topic, self._partition, at, key, value, timestamp)
            for at, timestamp, value in self._database.execute(sentence, (topic, customer))
        ]

    def _note_gap(self, at: int) -> None:
        if at > self._updates_to:
            self._gap_starts.append(self._updates_to)
            self._gap_ends.append(at - 1)
        self._updates_to = max(self._updates_to, at + 1)

    def _is_certain(self, newest: Record | None, *, superseded: bool, disclosed: bool) -> bool:
        """Compaction removes an update for the sake of a newer one, so who has none after the cut has the newest.

        For the others nothing may be missing between the newest that is seen and the cut. A newer one may itself be
        gone, if it deleted: then nothing at all is seen of a customer who was disclosed.
        """
        cut = self.cut.positions.driving
        vanished = newest is None and disclosed and self._updates_to > cut
        if not superseded and not vanished:
            return True
        before = bisect_left(self._gap_starts, cut)
        last_missing = self._gap_ends[before - 1] if before else -1
        return last_missing <= (-1 if newest is None else newest.offset)
