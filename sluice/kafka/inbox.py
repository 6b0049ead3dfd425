"""Topics of which every record is taken once: what comes of it is written in one transaction with how far was read.

One process at a time: the later one ends the earlier, for both have the same transactional id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from confluent_kafka import Consumer, KafkaError, TopicPartition

from sluice.kafka import admin
from sluice.kafka.clients import ClientConfig, KafkaTrouble, admin_client, is_passing, reader, reason, translated
from sluice.kafka.transaction_writer import TransactionWriter
from sluice.log import Aborted, Record, Written

_NOW = 0
"""The timestamp of a record that the client gives one."""
_MESSAGE_LIMIT = 1_000_000


class Inbox:
    """Committed records from where the group left off. Nobody joins the group. Not for use by several threads."""

    def __init__(self, client: ClientConfig, topics: Collection[str], group: str) -> None:
        """Raises KafkaTrouble."""
        broker = admin_client(client)
        places = [(t.name, n) for t in admin.topic_identities(broker, topics) for n in range(t.partitions)]
        self._writer = TransactionWriter(client, group, "", _MESSAGE_LIMIT)
        self._writer.claim()  # before what was committed is read: from now on nobody else commits
        self._consumer = reader(client, group)
        self._consumer.assign(_positions(self._consumer, places, admin.beginnings(broker, places)))

    def poll(self, limit: int, wait_seconds: float) -> list[Record]:
        """What has come. Raises KafkaTrouble."""
        records = []
        for message in self._consumer.consume(limit, wait_seconds):
            error = message.error()
            if error is None:
                place = str(message.topic()), int(message.partition() or 0), int(message.offset() or 0)
                records.append(Record(*place, message.key(), message.value(), int(message.timestamp()[1])))
            elif error.code() != KafkaError._PARTITION_EOF and not is_passing(error):  # noqa: SLF001 - its public name
                raise KafkaTrouble(f"Cannot read {message.topic()}: {reason(error)}.")
        return records

    def commit(self, taken: Iterable[Record], written: Iterable[Written]) -> None:
        """What came of these records, and that they are taken: both, or none. Raises Aborted, KafkaTrouble."""
        reached = {(one.topic, one.partition): one.offset + 1 for one in taken}
        self._writer.begin()
        try:
            for one in written:
                self._writer.produce(one.topic, one.partition, one.key, one.value, _NOW)
            self._writer.flush()
            offsets = [TopicPartition(*place, offset) for place, offset in reached.items()]
            self._writer.commit(offsets, self._consumer.consumer_group_metadata())
        except Aborted:
            self._writer.abort()
            raise

    def close(self) -> None:
        self._consumer.close()


def _positions(
    consumer: Consumer, places: list[tuple[str, int]], beginnings: dict[tuple[str, int], int]
) -> list[TopicPartition]:
    """Behind what was committed; what is gone since cannot be read."""
    with translated("read what was committed"):
        committed = consumer.committed([TopicPartition(*place) for place in places], admin.TIMEOUT_SECONDS)
    return [TopicPartition(t.topic, t.partition, max(t.offset, beginnings[t.topic, t.partition])) for t in committed]
