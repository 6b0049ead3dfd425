"""Reading several partitions side by side, each exactly to an offset, without a group; waits until that is stable."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, TopicPartition

from sluice.kafka.admin import Partition
from sluice.kafka.clients import ClientConfig, KafkaTrouble, is_passing, reader, reason, translated
from sluice.log import Record

_BATCH = 10_000
_WAIT_SECONDS = 0.1
_STALLED_SECONDS = 60.0
"""Longer than a transaction of ours lasts when nobody is left to end it."""
_MOST_BEYOND = 10_000
"""Records that came too early, of one partition."""


class Spans:
    """A connection that reads committed records. A context manager."""

    def __init__(self, client: ClientConfig, group: str) -> None:
        """`group` is never joined: see `reader`."""
        self._consumer = reader(client, group)
        self._reached: dict[Partition, int] = {}
        self._beyond: dict[Partition, deque[Record]] = {}
        self._held: set[Partition] = set()

    def open(self, starts: Mapping[Partition, int]) -> None:
        """These are going to be read, from there on. All at once: getting to know one may take the client a second."""
        places = [TopicPartition(*place, offset) for place, offset in starts.items()]
        if places:
            with translated("read the topics"):
                self._consumer.incremental_assign(places)
        self._reached |= starts
        self._beyond |= {place: deque() for place in starts}
        self._hold(starts)

    def read(self, stops: Mapping[Partition, int]) -> Iterator[Record]:
        """Every committed record from where it was read to before, to below these offsets; in order in each partition.

        An end that is not stable yet is waited for: whoever knows that it will be has to see what lies before it.
        Raises KafkaTrouble.
        """
        self._let_go_on(stops)
        for place, stop in stops.items():
            early = self._beyond[place]
            while early and early[0].offset < stop:
                yield early.popleft()
        deadline = time.monotonic() + _STALLED_SECONDS
        while left := [place for place, stop in stops.items() if self._reached[place] < stop]:
            for record in self._poll():
                deadline = time.monotonic() + _STALLED_SECONDS
                place = (record.topic, record.partition)
                if record.offset < stops.get(place, 0):
                    yield record
                else:
                    self._beyond[place].append(record)
            self._hold(place for place, early in self._beyond.items() if len(early) > _MOST_BEYOND)
            if time.monotonic() > deadline:
                (topic, number), end = left[0], stops[left[0]]
                raise KafkaTrouble(
                    f"Cannot read {topic}/{number} to offset {end}: an open transaction may hide it. Try again."
                )

    def _poll(self) -> Iterator[Record]:
        for message in self._consumer.consume(_BATCH, _WAIT_SECONDS):
            error = message.error()
            place = (str(message.topic()), int(message.partition() or 0))
            offset = int(message.offset() or 0)
            if error is None:
                self._reached[place] = offset + 1
                yield Record(*place, offset, message.key(), message.value(), int(message.timestamp()[1]))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the library's public name for it
                self._reached[place] = max(self._reached[place], offset)
            elif not is_passing(error):
                raise KafkaTrouble(f"Cannot read {place[0]}: {reason(error)}.")

    def _hold(self, places: Iterable[Partition]) -> None:
        """What is read to its end goes on being fetched: a client that fetches nothing takes a second to wake up."""
        held = set(places) - self._held
        if held:
            self._consumer.pause([TopicPartition(*place) for place in held])
            self._held |= held

    def _let_go_on(self, places: Iterable[Partition]) -> None:
        free = set(places) & self._held
        if free:
            self._consumer.resume([TopicPartition(*place) for place in free])
            self._held -= free

    def close(self) -> None:
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
