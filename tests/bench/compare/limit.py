"""What the client library alone can do: reads the same inputs and writes the same records, which are there beforehand.

    python -m tests.bench.compare.limit SETTINGS GROUP [BATCH]

The records are those that the sharing processor wrote, disclosures included; they go to topics of their own, in
transactions that commit the same offsets. There is no decision, no state, no projection, not even a barrier.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from schemas import catalogue
from sluice import topics
from sluice.avro import Reader, unframe
from sluice.kafka.clients import admin_client
from sluice.model import PartnerId
from sluice.settings import Settings, load_settings
from tests.bench import w1
from tests.bench.compare.field import PARTITIONS, reader_of_updates

Precomputed = dict[tuple[int, int], list[tuple[str, bytes, bytes]]]
"""What to write, by partition and offset of the update that it answers."""
_WAIT_SECONDS = 0.005
_COPIES = "limit."


def main() -> None:
    settings, group = load_settings(Path(sys.argv[1])), sys.argv[2]
    batch = int(sys.argv[3]) if len(sys.argv) > 3 else settings.sharing.batch
    client = settings.client("admin")
    precomputed = _precomputed(settings)
    _create_topics(settings, {one for some in precomputed.values() for one, _, _ in some})
    consumer = reader_of_updates(client, group)
    producer = Producer(
        {
            **client,
            "transactional.id": group,
            "compression.type": "lz4",
            "linger.ms": 1,
            "batch.size": 500_000,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    producer.init_transactions(30)
    while True:
        _one_batch(consumer, producer, precomputed, batch)


def _one_batch(consumer: Consumer, producer: Producer, precomputed: Precomputed, batch: int) -> None:
    messages = consumer.consume(batch, _WAIT_SECONDS)
    if not messages:
        return
    producer.begin_transaction()
    reached: dict[int, int] = {}
    for message in messages:
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        reached[partition] = offset + 1
        for topic, key, value in precomputed.get((partition, offset), ()):
            producer.produce(topic, value, key, partition)
        producer.poll(0)
    offsets = [TopicPartition(topics.CUSTOMER_UPDATES, partition, offset) for partition, offset in reached.items()]
    producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), 30)
    producer.commit_transaction(30)


def _precomputed(settings: Settings) -> Precomputed:
    """What the processor wrote for a customer goes with the newest update that it answered."""
    reader = Reader(catalogue.text("disclosure"))
    found: Precomputed = {}
    told = [topics.customers(PartnerId(partner)) for partner in w1.PARTNERS]
    for number in range(PARTITIONS):
        waiting: list[tuple[str, bytes, bytes]] = []
        records = {topic: list(_read(settings, topic, number)) for topic in (*told, topics.DISCLOSURES)}
        taken = {topic: iter(records[topic]) for topic in told}
        for disclosure in records[topics.DISCLOSURES]:
            key, value = disclosure.key() or b"", disclosure.value() or b""
            _, payload = unframe(value)
            read = reader.read(payload)
            for entry in read["entries"]:
                if entry["action"] != "SHARED":
                    continue
                one = next(taken[topics.customers(PartnerId(entry["partner"]))])
                waiting.append((_COPIES + str(one.topic()), one.key() or b"", one.value() or b""))
            waiting.append((_COPIES + topics.DISCLOSURES, key, value))
            covered = [one["offset"] for one in read["covers"] if one["topic"] == topics.CUSTOMER_UPDATES]
            if covered:
                found[number, max(covered)] = waiting
                waiting = []
    return found


def _read(settings: Settings, topic: str, partition: int) -> Iterator[Message]:
    own = {"group.id": "limit.reading", "isolation.level": "read_committed", "enable.partition.eof": True}
    consumer = Consumer({**settings.client("admin"), **own, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, 0)])
    while True:
        for message in consumer.consume(10_000, 1.0):
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                consumer.close()
                return


def _create_topics(settings: Settings, names: set[str]) -> None:
    wanted = [NewTopic(name, num_partitions=PARTITIONS, replication_factor=1) for name in sorted(names)]
    client = admin_client(settings.client("admin"))  # kept until it has answered
    for future in client.create_topics(wanted, operation_timeout=30).values():
        future.result()


if __name__ == "__main__":
    main()
