"""Temporary files that hold the inputs by a hash of the customer: what is in memory at once is one of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self, TypeVar
from zlib import crc32

import msgspec

SHARD_BYTES = 16 * 1024 * 1024
"""Of the inputs that one shard is meant to hold."""
MOST_SHARDS = 256
"""Each is an open file while the inputs are dealt out, and an operating system allows about a thousand."""

_LENGTH = struct.Struct(">I")
_BUFFER_BYTES = 64 * 1024

T = TypeVar("T")


def count(input_bytes: int) -> int:
    """How many shards inputs of this size need."""
    return max(1, min(MOST_SHARDS, -(-input_bytes // SHARD_BYTES)))


class Dealer:
    """Writes each entry to the shard of its customer. A context manager; the files stay behind it."""

    def __init__(self, folder: Path, name: str, shards: int) -> None:
        self._paths = [path(folder, name, shard) for shard in range(shards)]
        self._stack = ExitStack()
        self._files = [self._stack.enter_context(one.open("wb", buffering=_BUFFER_BYTES)) for one in self._paths]
        self._encoder = msgspec.msgpack.Encoder()

    def deal(self, customer: str, entry: msgspec.Struct) -> None:
        data = self._encoder.encode(entry)
        file = self._files[shard_of(customer, len(self._files))]
        file.write(_LENGTH.pack(len(data)))
        file.write(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def shard_of(customer: str, shards: int) -> int:
    return crc32(customer.encode()) % shards


def path(folder: Path, name: str, shard: int) -> Path:
    return folder / f"{name}-{shard:03d}"


def dealt(file: Path, kind: type[T]) -> Iterator[T]:
    """The entries of one shard, in the order they were dealt in."""
    decoder = msgspec.msgpack.Decoder(kind)
    with file.open("rb", buffering=_BUFFER_BYTES) as stream:
        while length := stream.read(_LENGTH.size):
            yield decoder.decode(stream.read(_LENGTH.unpack(length)[0]))


def grouped(entries: Iterator[tuple[str, T]]) -> dict[str, list[T]]:
    """Entries by customer, both in the order they came."""
    groups: dict[str, list[T]] = {}
    for customer, entry in entries:
        groups.setdefault(customer, []).append(entry)
    return groups
