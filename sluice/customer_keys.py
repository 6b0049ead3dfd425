"""Customers' own keys in a SQLite file: destroying one makes unreadable what was sealed with it, wherever it went.

The file names customers by keyed digests only. It is no cache: with it goes what was sealed. A backup of it brings
destroyed keys back, so backups have to end no later than the law wants erasure done.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sluice.errors import SluiceError
from sluice.keys import CustomerKey, MasterKey, NoKey, keyed_digest
from sluice.model import CustomerId
from sluice.private_file import refuse_exposed

KEY_BYTES = 32
_WAIT_SECONDS = 30.0
_RETRY_SECONDS = 0.01

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
        self._index = _index(master)
        with _translated(path):
            self._database = _opened(path)
            self._database.executescript(_TABLES)
            self._claim(master)

    def key_of(self, customer: CustomerId) -> CustomerKey:
        """The customer's key, made at the first time and durable before it is given, or that it was destroyed.

        Raises SluiceError when the file cannot be read or written.
        """
        name = keyed_digest(self._index, customer.encode())
        with _translated(self._path):
            found = self._found(name)
            if found is NoKey.NOT_ISSUED:
                # Of two processes that come first, one makes the key and both read it.
                fresh = (name, secrets.token_bytes(KEY_BYTES))
                self._database.execute("INSERT INTO customer_keys VALUES (?, ?) ON CONFLICT DO NOTHING", fresh)
                found = self._found(name)
        if found is NoKey.NOT_ISSUED:
            raise SluiceError(
                f"A key that was just written to {self._path} is not there: nothing but Sluice may change that file."
            )
        return found

    def destroy(self, customer: CustomerId) -> None:
        """Forget the key for ever, and that a new one must never be made. Idempotent. Raises SluiceError."""
        sentence = "INSERT INTO customer_keys VALUES (?, NULL) ON CONFLICT DO UPDATE SET secret = NULL"
        with _translated(self._path):
            self._database.execute(sentence, (keyed_digest(self._index, customer.encode()),))
            busy, *_ = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise SluiceError(
                f"The key is destroyed, and its bytes are still in {self._path}-wal because another process is reading "
                "it: destroy it again."
            )

    def close(self) -> None:
        self._database.close()

    def _found(self, name: bytes) -> CustomerKey:
        return _found(self._database, name)

    def _claim(self, master: MasterKey) -> None:
        self._database.execute("INSERT INTO master_key VALUES (1, ?) ON CONFLICT DO NOTHING", (master.fingerprint,))
        try:
            _check_master(self._database, self._path, master)
        except SluiceError:
            self.close()
            raise


def issued_key(path: Path, master: MasterKey, customer: CustomerId) -> CustomerKey:
    """The customer's key as far as one was issued, for who only asks: makes no key, and no file where there is none.

    Raises SluiceError when the file cannot be read.
    """
    with _translated(path):
        if not path.exists():
            return NoKey.NOT_ISSUED
        with closing(_opened_to_ask(path)) as database:
            _check_master(database, path, master)
            return _found(database, keyed_digest(_index(master), customer.encode()))


def _index(master: MasterKey) -> bytes:
    """Key of the digests that stand for customers in the file."""
    return master.derive("customer_keys")


def _found(database: sqlite3.Connection, name: bytes) -> CustomerKey:
    row: tuple[bytes | None] | None = database.execute(
        "SELECT secret FROM customer_keys WHERE customer = ?", (name,)
    ).fetchone()
    if row is None:
        return NoKey.NOT_ISSUED
    return NoKey.DESTROYED if row[0] is None else row[0]


def _check_master(database: sqlite3.Connection, path: Path, master: MasterKey) -> None:
    """With another master key everybody would look new, those too whose key was destroyed. Raises SluiceError."""
    row = database.execute("SELECT fingerprint FROM master_key").fetchone()
    if row is not None and row[0] != master.fingerprint:
        raise SluiceError(f"The customers' keys at {path} belong to another master key: restore that one.")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SluiceError(f"The customers' keys at {path} cannot be opened: {error.strerror}.") from None
    except sqlite3.Error as error:
        raise SluiceError(f"The customers' keys at {path} cannot be used: {error}.") from None


def _opened(path: Path) -> sqlite3.Connection:
    """Each statement is a transaction of its own, on disk when it returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its other files the same rights
    refuse_exposed(path)
    database = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
    _write_ahead(database)
    for pragma in ("synchronous = FULL", "secure_delete = ON"):
        database.execute(f"PRAGMA {pragma}")
    return database


def _write_ahead(database: sqlite3.Connection) -> None:
    """Of processes that begin together all but one are refused, and SQLite does not make them wait of itself here."""
    latest = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > latest:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


def _opened_to_ask(path: Path) -> sqlite3.Connection:
    """`query_only` and not the mode `ro`, with which SQLite would leave its own two files behind."""
    refuse_exposed(path)
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_WAIT_SECONDS)
    database.execute("PRAGMA query_only = ON")
    return database
