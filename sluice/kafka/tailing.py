"""Reading whole topics as they are and as they grow, without a group: for people and for tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaError, TopicPartition

from sluice.kafka import admin
from sluice.kafka.admin import Partition
from sluice.kafka.clients import (
    Broker,
    ClientConfig,
    KafkaTrouble,
    KafkaUnavailable,
    abandon,
    admin_client,
    is_passing,
    reader,
    reason,
    translated,
)
from sluice.log import Record

_POLL_SECONDS = 0.2
_WAIT_MS = 100
"""What is followed is mostly quiet."""
_STALLED_SECONDS = 30.0
"""Longer than a transaction of ours may be open, whose end is waited for."""
_LOOK_SECONDS = 10.0
"""How often it is looked whether the client still fetches."""
_LOOK_WAITS_SECONDS = 1.0
"""Whoever polls has other things to do, and can look again later."""


class Tail:
    """Committed records of some topics, partition by partition in order. A context manager."""

    def __init__(
        self,
        client: ClientConfig,
        topics: Collection[str],
        group: str,
        *,
        from_beginning: bool,
        partition: int | None = None,
    ) -> None:
        """`partition`: only this number of each topic. Raises KafkaTrouble when a topic is not there or not for us."""
        self._client, self._broker = client, admin_client(client)
        found = admin.topic_identities(self._broker, topics)
        places = [
            (topic.name, number)
            for topic in found
            for number in (range(topic.partitions) if partition is None else (partition,))
        ]
        self._ends = admin.stable_ends(self._broker, places)
        starts = admin.beginnings(self._broker, places) if from_beginning else self._ends
        self._group = group
        self._reached, self._seen, self._there = dict(starts), dict(starts), dict(starts)
        self._look_at = time.monotonic() + _LOOK_SECONDS
        self._consumer = self._reader()

    @property
    def span(self) -> int:
        """Offsets from what was reached up to the ends when the tail was opened; not each of them is a record."""
        return sum(max(0, end - self._reached[place]) for place, end in self._ends.items())

    @property
    def is_at_the_end(self) -> bool:
        """Everything was read that was there when the tail was opened or extended."""
        return all(self._reached[place] >= end for place, end in self._ends.items())

    def extend(self) -> None:
        """`to_the_end` is the end of now. Raises KafkaTrouble."""
        self._extend(admin.stable_ends)

    def extend_to_the_last(self) -> None:
        """`to_the_end` is one past the last record that is there now, committed or not: it waits for transactions.

        A partition's stable end may trail a commit whose records others have read already from another. Raises
        KafkaTrouble.
        """
        self._extend(admin.high_watermarks)

    def _extend(self, ends: Callable[[Broker, Collection[Partition]], dict[Partition, int]]) -> None:
        """With another client after a failure: one from before a broker's restart asks by an epoch that is over."""
        try:
            self._ends = ends(self._broker, self._ends)
        except KafkaTrouble:
            self._broker = admin_client(self._client)
            self._ends = ends(self._broker, self._ends)

    def to_the_end(self) -> Iterator[Record]:
        """What is there, up to the ends when the tail was opened or extended. Raises KafkaTrouble."""
        for records in self.polls_to_the_end():
            yield from records

    def polls_to_the_end(self) -> Iterator[list[Record]]:
        """The same in the pieces in which it comes. Raises KafkaTrouble, also when nothing comes any more."""
        reached, deadline = dict(self._reached), time.monotonic() + _STALLED_SECONDS
        while not self.is_at_the_end:
            yield self.poll(_POLL_SECONDS)
            if self._reached != reached:
                reached, deadline = dict(self._reached), time.monotonic() + _STALLED_SECONDS
            elif time.monotonic() > deadline:
                topics = ", ".join(sorted({topic for topic, _ in self._ends}))
                raise KafkaUnavailable(f"Cannot read {topics} to the end: the broker gives nothing more.")

    def poll(self, wait_seconds: float) -> list[Record]:
        """What has come since, at most after `wait_seconds`. Raises KafkaTrouble."""
        if time.monotonic() >= self._look_at:
            self._replace_a_stuck_client()
        records: list[Record] = []
        for message in self._consumer.consume(1000, wait_seconds):
            error = message.error()
            place = (str(message.topic()), int(message.partition() or 0))
            offset = int(message.offset() or 0)
            if error is None:
                records.append(Record(*place, offset, message.key(), message.value(), int(message.timestamp()[1])))
                self._reached[place] = offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the library's public name for it
                self._reached[place] = offset
            elif not is_passing(error):
                raise KafkaTrouble(f"Cannot read {place[0]}: {reason(error)}.")
        return records

    def _reader(self) -> Consumer:
        consumer = reader(self._client, self._group, _WAIT_MS)
        with translated("read the topics"):
            consumer.assign([TopicPartition(*place, offset) for place, offset in self._reached.items()])
        return consumer

    def _replace_a_stuck_client(self) -> None:
        """One that came no further, though there was more when it was looked last.

        It may fetch nothing any more once its broker was away (confluentinc/librdkafka#5153), which looks like quiet.
        """
        self._look_at = time.monotonic() + _LOOK_SECONDS
        try:
            there = admin.stable_ends(self._broker, self._reached, _LOOK_WAITS_SECONDS)
        except KafkaTrouble:
            self._broker = admin_client(self._client)
            return
        if self._reached == self._seen and any(self._reached[place] < end for place, end in self._there.items()):
            abandon(self._consumer)
            self._consumer = self._reader()
        self._seen, self._there = dict(self._reached), there

    def close(self) -> None:
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()
