"""What the processor knows of one partition's customers: a cache of what the logs say, and only a cache.

Written once a batch, after the commit is confirmed, in one atomic write; discarded when in doubt. `Database` is the
seam to what keeps the bytes: RocksDB (`sluice.rocks`), or memory in the simulation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

import msgspec

from sluice.consent import ConsentRecord
from sluice.errors import SluiceError
from sluice.model import CustomerId, Held, Millis, PartnerId
from sluice.stored import Stored, parts

FORMAT = 8
_META = b"meta"
_BEHIND_ALL = b"\xff" * 9
"""Behind every key of an index."""


class Row(msgspec.Struct, frozen=True, array_like=True):
    """All that is known of one customer (LOOP 17)."""

    profile: bytes | None = None
    """The newest update's value as it came, framed; None: no update was read, or the newest one deletes."""
    deleted: bool = False
    """The newest update deletes the customer."""
    consents: ConsentRecord = ConsentRecord()
    widen_at: int | None = None
    """Offset that the partition's updates must have been read to before anything is added anywhere (LOOP 12)."""
    held: dict[PartnerId, Held] = {}
    due_at: Millis | None = None
    """The first instant at which time alone may change an answer; None: there is none."""

    @property
    def is_empty(self) -> bool:
        return self.profile is None and not self.held and self.consents == ConsentRecord()


class Meta(msgspec.Struct, frozen=True):
    """What the store as a whole holds. The three offsets are the next ones not folded yet."""

    identity: str
    """Cluster and topics that the rows were made of."""
    updates: int
    consents: int
    disclosures: int
    as_of: int
    """Every update from before this instant is folded (milliseconds since the epoch)."""
    customers: int = 0
    """How many rows there are."""
    rules: str = ""
    """The contract set, and what made decisions of it, that the customers are or are being reconciled under."""
    catching_up: bool = False
    """Customers are still to be reconciled: after a gap or rebuild (LOOP 22), or under another contract set."""
    scanned_to: CustomerId | None = None
    """While catching up: the last customer that has been reconciled."""
    blockers: tuple[str, ...] = ()
    """Consent events that name nobody: widening stops until an operator acknowledges them (LOOP 25)."""
    acknowledged: tuple[str, ...] = ()
    format: int = FORMAT


class Unusable(SluiceError):
    """The store is damaged or foreign; it is to be discarded and rebuilt."""


class StoreTrouble(SluiceError):
    """The place of the store is not what is needed: full, forbidden, or in use. Nothing is lost by it."""


class Family(StrEnum):
    """Parts of a database, each with its own order of keys."""

    ROWS = "rows"
    WAITING = "waiting"
    DUE = "due"
    META = "default"


Change = tuple[Family, bytes, bytes | None]
"""Put a value under a key, or remove the key."""


class Size(NamedTuple):
    """Of a family, as the database estimates it: what was removed may still count."""

    keys: int
    bytes: int


class Database(Protocol):
    """Ordered keys and values, written atomically. Raises Unusable for damage, StoreTrouble for its place."""

    def get(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]: ...

    def write(self, changes: Sequence[Change]) -> None:
        """All of it or nothing."""

    def keys(self, family: Family, start: bytes | None = None) -> Iterator[bytes]:
        """In their order, from `start` on."""

    def sizes(self) -> Mapping[Family, Size]:
        """Asked without reading anything."""

    def copy_to(self, folder: Path) -> None:
        """A consistent copy, as a database in a new folder."""

    def close(self) -> None:
        """May be called again."""


class Stores(Protocol):
    """Where the stores of an instance's partitions are kept."""

    def open(self, number: int) -> Store:
        """Open or create. Raises Unusable for what cannot be read there, StoreTrouble when its place is at fault."""

    def discard(self, number: int, *, copies: bool = False) -> None:
        """Remove a store that is not to be trusted, and its copies, when they may have the same fault."""

    def snapshot(self, number: int, store: Store) -> None:
        """Keep a copy of an open store as it is now, where it outlives the store. Raises StoreTrouble."""

    def restore(self, number: int) -> bool:
        """Put the newest copy in the place of a store that is gone; whether there is one."""

    def memory_bytes(self) -> int:
        """What all open stores use together."""


class Store:
    """One partition's rows, the indexes of customers who wait for updates or for a time, and the meta record."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._decode_row = msgspec.msgpack.Decoder(Row).decode
        self._encode = msgspec.msgpack.Encoder().encode
        self._first = {Family.WAITING: b"", Family.DUE: b""}
        """No index has a key below this one: a database steps over every key that was removed before the first."""

    def meta(self) -> Meta | None:
        """None: the store is new. Raises Unusable."""
        found = self._database.get(Family.META, [_META])[0]
        if found is None:
            return None
        try:
            meta = msgspec.msgpack.decode(found, type=Meta)
        except msgspec.MsgspecError:
            raise Unusable("The store is damaged, or of another format.") from None
        if meta.format != FORMAT:
            raise Unusable(f"The store has format {meta.format}, not {FORMAT}.")
        return meta

    def get(self, customers: Collection[CustomerId]) -> dict[CustomerId, Row]:
        """A row for every customer asked for; an empty one for who is not known. Raises Unusable."""
        return {customer: self.row(found) for customer, found in self.stored(customers).items()}

    def stored(self, customers: Collection[CustomerId]) -> dict[CustomerId, bytes | None]:
        """As `sluice.stored` has them; None for who is not known. Raises Unusable."""
        found = self._database.get(Family.ROWS, [customer.encode() for customer in customers])
        return dict(zip(customers, found, strict=True))

    def row(self, encoded: bytes | None) -> Row:
        """One of those. Raises Unusable: what cannot be read is damaged; what is stored is never quoted."""
        if encoded is None:
            return Row()
        try:
            stored = parts(encoded)
            row = self._decode_row(stored.rest)
        except (msgspec.MsgspecError, ValueError):
            raise Unusable("The store is damaged.") from None
        held = row.held
        if stored.standing:
            newest = stored.digests()
            if len(newest) != len(held):
                raise Unusable("The store is damaged.")
            held = {
                partner: msgspec.structs.replace(mine, digest=digest)
                for (partner, mine), digest in zip(held.items(), newest, strict=True)
            }
        return Row(stored.profile, row.deleted, row.consents, row.widen_at, held, row.due_at)

    def _encoded(self, row: Row, standing: bytes) -> bytes:
        rest = Row(None, row.deleted, row.consents, row.widen_at, row.held, row.due_at)
        return Stored(standing, row.profile, self._encode(rest)).encoded()

    def write(
        self,
        rows: Mapping[CustomerId, tuple[Row, Row]],
        meta: Meta,
        standing: Mapping[CustomerId, bytes] = MappingProxyType({}),
        repeated: Mapping[CustomerId, bytes] = MappingProxyType({}),
    ) -> None:
        """Rows as (before, after) with their indexes, and the meta record, atomically. Raises StoreTrouble.

        `standing`: what stands for who has a row here. `repeated`: rows of others, as `stored` has them, of which
        nothing is indexed otherwise than before.
        """
        changes: list[Change] = [(Family.ROWS, customer.encode(), value) for customer, value in repeated.items()]
        for customer, (before, after) in rows.items():
            key, gone = customer.encode(), after.is_empty
            changes.append((Family.ROWS, key, None if gone else self._encoded(after, standing.get(customer, b""))))
            if before.widen_at != after.widen_at or gone:
                changes += self._moved(Family.WAITING, key, before.widen_at, None if gone else after.widen_at)
            if before.due_at != after.due_at or gone:
                changes += self._moved(Family.DUE, key, before.due_at, None if gone else after.due_at)
        changes.append((Family.META, _META, self._encode(meta)))
        self._database.write(changes)

    def _moved(self, family: Family, key: bytes, old: int | None, new: int | None) -> Iterator[Change]:
        """From one place of an index to another."""
        if old is not None:
            yield family, _indexed(old, key), None
        if new is not None:
            entry = _indexed(new, key)
            self._first[family] = min(self._first[family], entry)
            yield family, entry, b""

    def waiting(self, position: int, limit: int, after: bytes | None = None) -> tuple[list[CustomerId], bytes | None]:
        """Customers whose `widen_at` the updates' position has reached, longest waiting first.

        With where to go on next time, or None when all were seen: some may have to wait longer, and must not keep
        others from their turn.
        """
        return self._indexed_to(Family.WAITING, position, limit, after)

    def due(self, now: Millis, limit: int) -> list[CustomerId]:
        """Customers whose `due_at` has come, longest due first."""
        return self._indexed_to(Family.DUE, now, limit, None)[0]

    def _indexed_to(
        self, family: Family, bound: int, limit: int, after: bytes | None
    ) -> tuple[list[CustomerId], bytes | None]:
        found: list[CustomerId] = []
        for key in self._index(family, after):
            if int.from_bytes(key[:8], "big") > bound:
                break
            if len(found) >= limit:
                return found, after
            found.append(CustomerId(key[8:].decode()))
            after = key
        return found, None

    def _index(self, family: Family, after: bytes | None) -> Iterator[bytes]:
        """The keys of an index, all of them or those behind one."""
        if after is not None:
            yield from self._database.keys(family, after + b"\x00")
            return
        keys = self._database.keys(family, self._first[family])
        first = next(keys, None)
        self._first[family] = _BEHIND_ALL if first is None else first
        if first is not None:
            yield first
            yield from keys

    def customers(self, after: CustomerId | None, limit: int) -> list[CustomerId]:
        """The next customers in the store's order, to go through all of them in pieces."""
        start = None if after is None else after.encode() + b"\x00"
        return [CustomerId(key.decode()) for key in islice(self._database.keys(Family.ROWS, start), limit)]

    def __iter__(self) -> Iterator[tuple[CustomerId, Row]]:
        for customer in self.customers(None, 1 << 62):
            yield customer, self.get([customer])[customer]

    def sizes(self) -> Mapping[Family, Size]:
        return self._database.sizes()

    def copy_to(self, folder: Path) -> None:
        """Raises StoreTrouble."""
        self._database.copy_to(folder)

    def close(self) -> None:
        """Release what keeps the bytes. May be called again."""
        self._database.close()


def distrusted(stores: Stores, number: int, store: Store, why: Unusable) -> SluiceError:
    """A store turned out to be of no use after it was opened: it goes, with its copies. What to end with."""
    store.close()
    stores.discard(number, copies=True)
    return SluiceError(f"{why} It has been discarded; start again, and it is rebuilt.")


def added(rows: Mapping[CustomerId, tuple[Row, Row]]) -> int:
    """How many more rows there are once these are written."""
    return sum(before.is_empty - after.is_empty for before, after in rows.values())


def _indexed(at: int, key: bytes) -> bytes:
    return at.to_bytes(8, "big") + key
