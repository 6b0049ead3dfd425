"""What a consumer group has committed, read and written by who is no member of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing

from confluent_kafka import Consumer, TopicPartition

from sluice.kafka.admin import TIMEOUT_SECONDS, Partition
from sluice.kafka.clients import ClientConfig, KafkaUnavailable, translated
from sluice.log import Committed, Positions


def committed(
    client: ClientConfig, group: str, driving: str, joined: str, partitions: Iterable[int]
) -> dict[int, Committed]:
    """By partition number, of one instant; an open transaction hides nothing of what was committed before it.

    The metadata is that of the driving topic. Raises KafkaTrouble. The administrative client's own call for this ends
    the process while the group's coordinator is loading (librdkafka 2.16, after a broker's restart).
    """
    numbers = sorted(partitions)
    wanted = [TopicPartition(topic, number) for topic in (driving, joined) for number in numbers]
    with closing(_no_member(client, group)) as consumer, translated(f"read the offsets of the group {group}"):
        found = {(tp.topic, tp.partition): tp for tp in consumer.committed(wanted, TIMEOUT_SECONDS)}
    result = {}
    for number in numbers:
        drives, joins = found[driving, number], found[joined, number]
        if drives.error is not None or joins.error is not None:
            raise KafkaUnavailable(f"Cannot read the offsets of the group {group}: the broker did not say.")
        has_both = drives.offset >= 0 and joins.offset >= 0
        positions = Positions(drives.offset, joins.offset) if has_both else None
        result[number] = Committed(positions, drives.metadata or "")
    return result


def reached(client: ClientConfig, group: str, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """The offset that the group has committed for each of these partitions; 0: none. Raises KafkaTrouble."""
    found = committed_by(client, group, [(topic, number) for number in partitions])
    return {number: offset for (_, number), offset in found.items()}


def committed_by(client: ClientConfig, group: str, partitions: Iterable[Partition]) -> dict[Partition, int]:
    """The offset that the group has committed for each of these; 0: none. Raises KafkaTrouble."""
    wanted = [TopicPartition(topic, number) for topic, number in partitions]
    with closing(_no_member(client, group)) as consumer, translated(f"read the offsets of the group {group}"):
        found = consumer.committed(wanted, TIMEOUT_SECONDS)
    if any(tp.error is not None for tp in found):
        raise KafkaUnavailable(f"Cannot read the offsets of the group {group}: the broker did not say.")
    return {(tp.topic, tp.partition): max(0, tp.offset) for tp in found}


def reach(client: ClientConfig, group: str, topic: str, offsets: Mapping[int, int]) -> None:
    """Commit these offsets for a group that has no members. Raises KafkaTrouble."""
    wanted = [TopicPartition(topic, number, offset) for number, offset in offsets.items()]
    with closing(_no_member(client, group)) as consumer, translated(f"commit offsets of the group {group}"):
        consumer.commit(offsets=wanted, asynchronous=False)


def _no_member(client: ClientConfig, group: str) -> Consumer:
    asking = {"group.id": group, "isolation.level": "read_uncommitted", "enable.auto.commit": False, "log_level": 0}
    return Consumer({**client, **asking})
