"""A transactional loop that does nothing: what an update is, goes to one topic as it came.

    python -m tests.bench.compare.bare SETTINGS GROUP TOPIC

Reads committed updates, writes each one's key and value, and commits both in one transaction: the least that anybody
needs who promises exactly once.
"""

from __future__ import annotations

import sys
from pathlib import Path

from confluent_kafka import Producer, TopicPartition

from sluice import topics
from sluice.settings import load_settings
from tests.bench.compare.field import reader_of_updates

_MOST = 5_000
_WAIT_SECONDS = 0.001


def main() -> None:
    client, group, topic = load_settings(Path(sys.argv[1])).client("admin"), sys.argv[2], sys.argv[3]
    consumer = reader_of_updates(client, group)
    producer = Producer({**client, "transactional.id": group, "compression.type": "lz4", "linger.ms": 1})
    producer.init_transactions(30)
    while True:
        messages = consumer.consume(_MOST, _WAIT_SECONDS)
        if not messages:
            continue
        producer.begin_transaction()
        reached: dict[int, int] = {}
        for message in messages:
            partition = int(message.partition() or 0)
            reached[partition] = int(message.offset() or 0) + 1
            producer.produce(topic, message.value(), message.key(), partition)
        offsets = [TopicPartition(topics.CUSTOMER_UPDATES, number, offset) for number, offset in reached.items()]
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), 30)
        producer.commit_transaction(30)


if __name__ == "__main__":
    main()
