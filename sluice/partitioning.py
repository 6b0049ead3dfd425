"""Which partition a key belongs to: Kafka's own rule, which every client but librdkafka has by default."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

_M: Final = 0x5BD1E995
_SEED: Final = 0x9747B28C
_MASK: Final = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """MurmurHash2, 32 bits, with Kafka's seed (org.apache.kafka.common.utils.Utils.murmur2), unsigned."""
    length = len(data)
    h: i64 = _SEED ^ length
    whole = length & ~3
    k: i64
    for i in range(0, whole, 4):
        k = data[i] | data[i + 1] << 8 | data[i + 2] << 16 | data[i + 3] << 24
        k = k * _M & _MASK
        h = (h * _M & _MASK) ^ ((k ^ k >> 24) * _M & _MASK)
    if whole < length:
        k = 0
        for i in range(length - 1, whole - 1, -1):
            k = k << 8 | data[i]
        h = (h ^ k) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return int(h ^ h >> 15)


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as Kafka's default partitioner has it."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
