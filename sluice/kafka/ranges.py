"""Reading parts of partitions as they are committed, by hand and without a group."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, TopicPartition

from sluice.kafka import admin
from sluice.kafka.clients import ClientConfig, KafkaTrouble, admin_client, is_passing, reader, reason, translated
from sluice.log import Record

_BATCH = 1_000
_STALLED_SECONDS = 30.0


class Ranges:
    """Committed records between two offsets of a partition, one range after the other. A context manager."""

    def __init__(self, client: ClientConfig, group: str) -> None:
        """`group` is never joined: see `reader`."""
        self._broker = admin_client(client)
        self._consumer = reader(client, group)

    def read(self, topic: str, partition: int, start: int, stop: int) -> Iterator[Record]:
        """What is still there from `start` to below `stop`, as far as it is stable. Raises KafkaTrouble."""
        place = (topic, partition)
        at = max(start, admin.beginnings(self._broker, [place])[place])
        stop = min(stop, admin.stable_ends(self._broker, [place])[place])
        if at >= stop:
            return
        with translated(f"read {topic}"):
            self._consumer.assign([TopicPartition(topic, partition, at)])
        deadline = time.monotonic() + _STALLED_SECONDS
        while at < stop:
            for message in self._consumer.consume(_BATCH, 0.2):
                error, offset = message.error(), int(message.offset() or 0)
                if error is None:
                    at, deadline = offset + 1, time.monotonic() + _STALLED_SECONDS
                    if offset < stop:
                        yield Record(*place, offset, message.key(), message.value(), int(message.timestamp()[1]))
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the library's public name for it
                    at = max(at, offset)
                elif not is_passing(error):
                    raise KafkaTrouble(f"Cannot read {topic}: {reason(error)}.")
            if time.monotonic() > deadline:
                raise KafkaTrouble(f"Cannot read {topic}/{partition} to {stop}: it ends at {at}.")

    def close(self) -> None:
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
