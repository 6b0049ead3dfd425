"""What a consumer group has committed, read by who is no member of it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from confluent_kafka import Consumer, TopicPartition

from sluice.kafka.admin import TIMEOUT_SECONDS
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
    asking = {"group.id": group, "isolation.level": "read_uncommitted", "enable.auto.commit": False, "log_level": 0}
    with closing(Consumer({**client, **asking})) as consumer, translated(f"read the offsets of the group {group}"):
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
