"""What a consumer group has committed, read by who is no member of it."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from sluice.kafka.admin import TIMEOUT_SECONDS
from sluice.kafka.clients import Broker, translated
from sluice.log import Committed, Positions


def committed(client: Broker, group: str, driving: str, joined: str, partitions: Iterable[int]) -> dict[int, Committed]:
    """By partition number, of one instant; an open transaction hides nothing of what was committed before it.

    The metadata is that of the driving topic. Raises KafkaTrouble.
    """
    numbers = sorted(partitions)
    wanted = [TopicPartition(topic, number) for topic in (driving, joined) for number in numbers]
    with translated(f"read the offsets of the group {group}"):
        asked = client.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group, wanted)], require_stable=False, request_timeout=TIMEOUT_SECONDS
        )
        answer = asked[group].result()
    found = {(tp.topic, tp.partition): tp for tp in answer.topic_partitions}
    result = {}
    for number in numbers:
        drives, joins = found[driving, number], found[joined, number]
        has_both = drives.offset >= 0 and joins.offset >= 0
        positions = Positions(drives.offset, joins.offset) if has_both else None
        result[number] = Committed(positions, drives.metadata or "")
    return result
