"""What the processor knows of one partition's customers, in RocksDB: a cache of what the logs say, and only a cache.

Written once a batch, after the commit is confirmed, in one atomic write batch; discarded when in doubt.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import cast

import msgspec
from rocksdict import AccessType, Options, Rdict, WriteBatch

from sluice.consent import ConsentRecord
from sluice.errors import SluiceError
from sluice.model import CustomerId, Held, PartnerId
from sluice.ruling import Ruling

FORMAT = 2
_META = b"meta"
_ROWS = "rows"
_WAITING = "waiting"


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
    ruling: Ruling | None = None
    """The newest decision, for as long as it holds: made of what stands above, the profile's facts and the time."""

    @property
    def is_empty(self) -> bool:
        return self.profile is None and not self.held and self.consents == ConsentRecord()


class Meta(msgspec.Struct, frozen=True):
    """What the store as a whole holds. The three offsets are the next ones not folded yet."""

    identity: str
    """Cluster, topics and contract set that the rows were made under."""
    updates: int
    consents: int
    disclosures: int
    written_at: int
    """Milliseconds since the epoch."""
    catching_up: bool = False
    """Customers are still to be reconciled after a gap or rebuild (LOOP 22)."""
    blockers: tuple[str, ...] = ()
    """Consent events that name nobody: widening stops until an operator acknowledges them (LOOP 25)."""
    acknowledged: tuple[str, ...] = ()
    format: int = FORMAT


class Unusable(SluiceError):
    """The store is damaged or foreign; it is to be discarded and rebuilt."""


class Store:
    """One partition's rows, the index of customers who wait for updates, and the meta record."""

    def __init__(self, folder: Path) -> None:
        """Open or create. Raises Unusable when what is there cannot be read."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.create_missing_column_families(True)
        try:
            self._db = Rdict(
                str(folder),
                options,
                {_ROWS: Options(raw_mode=True), _WAITING: Options(raw_mode=True)},
                AccessType.read_write(),
            )
            self._rows = self._db.get_column_family(_ROWS)
            self._waiting = self._db.get_column_family(_WAITING)
        except Exception as error:  # the binding raises plain Exception
            if "/LOCK:" in str(error).replace(str(folder), ""):
                raise SluiceError(f"Another process uses the store in {folder}: give each instance its own.") from error
            raise Unusable(f"The store in {folder} cannot be opened: {error}.") from error
        self._parts: tuple[Rdict, ...] = (self._rows, self._waiting, self._db)
        self._decode_row = msgspec.msgpack.Decoder(Row).decode
        self._encode = msgspec.msgpack.Encoder().encode

    @property
    def folder(self) -> Path:
        return self._folder

    @contextmanager
    def _judged(self) -> Iterator[None]:
        """What cannot be read is damaged. The cause may quote what is stored, and is not told."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the binding raises plain Exception
            raise Unusable(f"The store in {self._folder} is damaged ({type(error).__name__}).") from None

    def meta(self) -> Meta | None:
        """None: the store is new. Raises Unusable."""
        with self._judged():
            found = self._db.get(_META)
            meta = None if found is None else msgspec.msgpack.decode(cast("bytes", found), type=Meta)
        if meta is None:
            return None
        if meta.format != FORMAT:
            raise Unusable(f"The store in {self._folder} has format {meta.format}, not {FORMAT}.")
        return meta

    def get(self, customers: list[CustomerId]) -> dict[CustomerId, Row]:
        """A row for every customer asked for; an empty one for who is not known. Raises Unusable."""
        with self._judged():
            found = cast("list[bytes | None]", self._rows.get([customer.encode() for customer in customers]))
            return {c: Row() if row is None else self._decode_row(row) for c, row in zip(customers, found, strict=True)}

    def write(self, rows: Mapping[CustomerId, tuple[Row, Row]], meta: Meta | None) -> None:
        """Rows as (before, after) with their waiting index, and the meta record, atomically.

        Without a meta record what is written is not to be trusted yet: a store without one is discarded when opened.
        """
        batch = WriteBatch(raw_mode=True)
        rows_handle = self._db.get_column_family_handle(_ROWS)
        waiting_handle = self._db.get_column_family_handle(_WAITING)
        for customer, (before, after) in rows.items():
            key = customer.encode()
            if after.is_empty:
                batch.delete(key, rows_handle)
            else:
                batch.put(key, self._encode(after), rows_handle)
            if before.widen_at is not None:
                batch.delete(before.widen_at.to_bytes(8, "big") + key, waiting_handle)
            if after.widen_at is not None and not after.is_empty:
                batch.put(after.widen_at.to_bytes(8, "big") + key, b"", waiting_handle)
        if meta is not None:
            batch.put(_META, self._encode(meta))
        self._db.write(batch)

    def waiting(self, position: int, limit: int, after: bytes | None = None) -> tuple[list[CustomerId], bytes | None]:
        """Customers whose `widen_at` the updates' position has reached, longest waiting first.

        With where to go on next time, or None when all were seen: some may have to wait longer, and must not keep
        others from their turn.
        """
        due: list[CustomerId] = []
        with self._judged():
            for key in _keys(self._waiting, None if after is None else after + b"\x00"):
                if int.from_bytes(key[:8], "big") > position:
                    break
                due.append(CustomerId(key[8:].decode()))
                if len(due) >= limit:
                    return due, key
        return due, None

    def customers(self, after: CustomerId | None, limit: int) -> list[CustomerId]:
        """The next customers in the store's order, to go through all of them in pieces."""
        start = None if after is None else after.encode() + b"\x00"
        with self._judged():
            return [CustomerId(key.decode()) for key in islice(_keys(self._rows, start), limit)]

    def __iter__(self) -> Iterator[tuple[CustomerId, Row]]:
        for key, value in self._rows.items():
            yield CustomerId(cast("bytes", key).decode()), self._decode_row(value)

    def close(self) -> None:
        """Release the folder. May be called again."""
        parts, self._parts = self._parts, ()
        for part in parts:
            part.close()


def _keys(family: Rdict, start: bytes | None = None) -> Iterator[bytes]:
    """Keys in their order; raw mode gives bytes, which the binding's types do not say."""
    return cast("Iterator[bytes]", family.keys(from_key=start))


def discard(folder: Path) -> None:
    """Remove a store that is not to be trusted."""
    shutil.rmtree(folder, ignore_errors=True)
