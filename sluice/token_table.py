"""Token tables: random tokens for values, as a file of the contract set that holds no value.

A line is `digest,token` in hexadecimal: a keyed digest of the value (BLAKE2b-128) and 128 random bits. The table is an
input like any other: what is not in it has no token, and its version is part of the contracts' digest.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from sluice.errors import SluiceError
from sluice.keys import keyed_digest

FOLDER = "tokens"
"""Beside the contracts."""

_TOKEN_BYTES = 16
_LINE = re.compile(r"([0-9a-f]{32}),([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class TokenTable:
    """Tokens by digest."""

    tokens: Mapping[str, str]
    version: str
    """A digest of the content, whatever the order of its lines."""

    @classmethod
    def of(cls, tokens: Mapping[str, str]) -> TokenTable:
        content = "".join(f"{digest},{token}\n" for digest, token in sorted(tokens.items()))
        return cls(tokens, blake2b(content.encode(), digest_size=16).hexdigest())

    def token_of(self, key: bytes, value: str) -> str | None:
        return self.tokens.get(digest_of(key, value))

    def __repr__(self) -> str:
        return f"TokenTable({len(self.tokens)} tokens, version={self.version!r})"


def digest_of(key: bytes, value: str) -> str:
    """Under what a value is filed: equal texts are equal however they are composed (NFC)."""
    return keyed_digest(key, unicodedata.normalize("NFC", value).encode()).hex()


def table_path(contracts: Path, name: str) -> Path:
    return contracts / FOLDER / f"{name}.csv"


def load_table(path: Path) -> TokenTable:
    """Raises SluiceError with file and line."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        raise SluiceError(f"There is no token table at {path}: make one with `sluice tokens issue`.") from None
    except OSError as error:
        raise SluiceError(f"The token table at {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SluiceError(f"{path} is no token table: its lines are `digest,token` in hexadecimal.") from None
    return TokenTable.of(_read(path, lines))


def issue(path: Path, key: bytes, values: Iterable[str]) -> int:
    """A random token for each value that has none; how many those were. The file is replaced whole, or not at all.

    Raises SluiceError.
    """
    with _rewriting(path) as tokens:
        before = len(tokens)
        for value in values:
            tokens.setdefault(digest_of(key, value), secrets.token_hex(_TOKEN_BYTES))
        return len(tokens) - before


def revoke(path: Path, key: bytes, values: Iterable[str]) -> int:
    """Forget these values' tokens; one that is issued again gets another. How many there were.

    Raises SluiceError, also when there is no such table: a slip in its name must not look like an erasure.
    """
    load_table(path)
    with _rewriting(path) as tokens:
        return sum(tokens.pop(digest_of(key, value), None) is not None for value in values)


def _read(path: Path, lines: Iterable[str]) -> dict[str, str]:
    tokens: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise SluiceError(f"{path}:{number}: this is no line of a token table, which is `digest,token`.")
        if match[1] in tokens:
            raise SluiceError(f"{path}:{number}: this digest stands here twice; restore the file.")
        tokens[match[1]] = match[2]
    return tokens


@contextmanager
def _rewriting(path: Path) -> Iterator[dict[str, str]]:
    """The table to be changed in place; one process at a time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            tokens = dict(load_table(path).tokens) if path.exists() else {}
            yield tokens
            _replace(path, "".join(f"{digest},{token}\n" for digest, token in sorted(tokens.items())))
    except OSError as error:
        raise SluiceError(f"The token table at {path} cannot be written: {error.strerror}.") from None


def _replace(path: Path, text: str) -> None:
    """Durable before it is visible: a token that a partner saw must not be forgotten."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
