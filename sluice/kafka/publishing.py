"""Writing a record and knowing that it is there, outside of any transaction."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Protocol

from confluent_kafka import KafkaError, Message

from sluice.interrupts import interrupts_deferred
from sluice.kafka.clients import ClientConfig, KafkaUnavailable, idempotent_producer, reason, translated
from sluice.log import Record

_FLUSH_SECONDS = 20.0
_EAR_SECONDS = 0.1


class Flushing(Protocol):
    """What is used of a producer of confluent-kafka."""

    def flush(self, timeout: float) -> int: ...


def flushed(producer: Flushing, seconds: float) -> bool:
    """Whether everything was answered for within this time. Ctrl-C is heard between two callbacks, never in one."""
    end = time.monotonic() + seconds
    while True:
        with interrupts_deferred():
            unanswered = producer.flush(_EAR_SECONDS)
        if not unanswered or time.monotonic() >= end:
            return not unanswered


def write_record(client: ClientConfig, topic: str, key: bytes, value: bytes) -> None:
    """One record into partition 0, acknowledged. Raises KafkaTrouble."""
    write_records(client, [(Record(topic, 0, 0, key, value, 0), 0)])


def write_records(client: ClientConfig, records: Iterable[tuple[Record, int]]) -> None:
    """Key and value of each into the partition named with it; returns when all are acknowledged. Raises KafkaTrouble.

    Misplaced records are written so, never in a transaction: an open one would hide others' withdrawals (LOOP 15).
    """
    wanted = list(records)
    if not wanted:
        return
    failures: list[KafkaError] = []

    def on_delivery(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(error)

    producer = idempotent_producer({**client, "message.max.bytes": "100000000"})
    for record, partition in wanted:
        with translated(f"write to {record.topic}"):
            producer.produce(record.topic, record.value, record.key, partition=partition, on_delivery=on_delivery)
    if not flushed(producer, _FLUSH_SECONDS) or failures:
        why = reason(failures[0]) if failures else "the broker does not acknowledge"
        raise KafkaUnavailable(f"Cannot write to {wanted[0][0].topic}: {why}.")
