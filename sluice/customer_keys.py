"""Customers' own keys in a SQLite file: destroying one makes unreadable what was sealed with it, wherever it went.

The file names customers by keyed digests only. It is no cache: with it goes what was sealed. A backup of it brings
destroyed keys back, so backups have to end no later than the law wants erasure done.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sluice.errors import SluiceError
from sluice.keys import MasterKey, keyed_digest
from sluice.model import CustomerId

KEY_BYTES = 32
_WAIT_SECONDS = 30.0

_TABLES = """
CREATE TABLE IF NOT EXISTS customer_keys (
    customer BLOB PRIMARY KEY,
    secret   BLOB CHECK (secret IS NULL OR length(secret) = 32)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS master_key (
    only        INTEGER PRIMARY KEY CHECK (only = 1),
    fingerprint TEXT NOT NULL
);
"""


class SqliteCustomerKeys:
    """A `CustomerKeys` that several processes may open at once. For one thread."""

    def __init__(self, path: Path, master: MasterKey) -> None:
        """Opens the file, or makes it, readable by its owner alone. Raises SluiceError."""
        self._path = path
        self._index = master.derive("customer_keys")
        with self._translated():
            self._database = _opened(path)
            self._database.executescript(_TABLES)
            self._claim(master.fingerprint)

    def key_of(self, customer: CustomerId) -> bytes | None:
        """The customer's key, made at the first time and durable before it is given; None: destroyed.

        Raises SluiceError when the file cannot be read or written.
        """
        name = self._name(customer)
        with self._translated():
            found = self._found(name)
            if found is None:
                # Of two processes that come first, one makes the key and both read it.
                fresh = (name, secrets.token_bytes(KEY_BYTES))
                self._database.execute("INSERT INTO customer_keys VALUES (?, ?) ON CONFLICT DO NOTHING", fresh)
                found = self._found(name)
        assert found is not None
        return found[0]

    def destroy(self, customer: CustomerId) -> None:
        """Forget the key for ever, and that a new one must never be made. Idempotent. Raises SluiceError."""
        sentence = "INSERT INTO customer_keys VALUES (?, NULL) ON CONFLICT DO UPDATE SET secret = NULL"
        with self._translated():
            self._database.execute(sentence, (self._name(customer),))
            busy, *_ = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise SluiceError(
                f"The key is destroyed, and its bytes are still in {self._path}-wal because another process is reading "
                "it: destroy it again."
            )

    def close(self) -> None:
        self._database.close()

    def _name(self, customer: CustomerId) -> bytes:
        return keyed_digest(self._index, customer.encode())

    def _found(self, name: bytes) -> tuple[bytes | None] | None:
        row: tuple[bytes | None] | None = self._database.execute(
            "SELECT secret FROM customer_keys WHERE customer = ?", (name,)
        ).fetchone()
        return row

    def _claim(self, fingerprint: str) -> None:
        """With another master key everybody would look new, those too whose key was destroyed."""
        self._database.execute("INSERT INTO master_key VALUES (1, ?) ON CONFLICT DO NOTHING", (fingerprint,))
        (found,) = self._database.execute("SELECT fingerprint FROM master_key").fetchone()
        if found != fingerprint:
            self.close()
            raise SluiceError(f"The customers' keys at {self._path} belong to another master key: restore that one.")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SluiceError(f"The customers' keys at {self._path} cannot be opened: {error.strerror}.") from None
        except sqlite3.Error as error:
            raise SluiceError(f"The customers' keys at {self._path} cannot be used: {error}.") from None


def _opened(path: Path) -> sqlite3.Connection:
    """Each statement is a transaction of its own, on disk when it returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its other files the same rights
    database = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
        database.execute(f"PRAGMA {pragma}")
    return database
