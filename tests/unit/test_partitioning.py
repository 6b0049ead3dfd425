"""Kafka's partitioner, by its own test vectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.partitioning import murmur2, partition_of


def signed(unsigned: int) -> int:
    """As Java has it."""
    return unsigned - (1 << 32) if unsigned >= 1 << 31 else unsigned


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        # org.apache.kafka.common.utils.UtilsTest.testMurmur2
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_kafkas_own_vectors(key: bytes, hashed: int) -> None:
    assert signed(murmur2(key)) == hashed


def test_a_negative_hash_gives_a_partition() -> None:
    """Kafka takes the sign bit off, which is not the same as the absolute value."""
    assert partition_of(b"21", 1_000) == (-973932308 & 0x7FFFFFFF) % 1_000 != 973932308 % 1_000


@given(st.binary(max_size=40), st.integers(1, 1_000))
def test_every_key_has_one_partition(key: bytes, partitions: int) -> None:
    assert 0 <= murmur2(key) < 1 << 32
    assert 0 <= partition_of(key, partitions) < partitions
    assert partition_of(key, 1) == 0


def test_keys_spread_over_all_partitions() -> None:
    counts = [0] * 8
    for n in range(8_000):
        counts[partition_of(f"dell-crm:{n:06}".encode(), 8)] += 1
    assert min(counts) > 850
    assert max(counts) < 1_150
