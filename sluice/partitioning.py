"""Which partition a key belongs to: Kafka's own rule, which every client but librdkafka has by default."""

from __future__ import annotations

_M = 0x5BD1E995
_SEED = 0x9747B28C
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """MurmurHash2, 32 bits, with Kafka's seed (org.apache.kafka.common.utils.Utils.murmur2), unsigned."""
    length = len(data)
    h = _SEED ^ length
    whole = length & ~3
    for i in range(0, whole, 4):
        k = _mixed(data[i] | data[i + 1] << 8 | data[i + 2] << 16 | data[i + 3] << 24)
        h = _mixed(h) ^ _mixed(k ^ k >> 24)
    if whole < length:
        h = _mixed(h ^ int.from_bytes(data[whole:], "little"))
    h = _mixed(h ^ h >> 13)
    return h ^ h >> 15


def _mixed(value: int) -> int:
    """Times M, modulo 2^32; in halves, for compiled code is slow beyond 62 bits."""
    return ((value & 0xFFFF) * _M + ((value >> 16) * _M & 0xFFFF) * 0x10000) & _MASK


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as Kafka's default partitioner has it."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
