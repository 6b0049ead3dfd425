"""Reading several partitions side by side, each exactly to an offset, without a group; waits until that is stable."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, TopicPartition

from sluice.kafka.admin import Partition
from sluice.kafka.clients import ClientConfig, KafkaTrouble, is_passing, reader, reason, translated
from sluice.log import Bounds, Record

_BATCH = 10_000
_WAIT_SECONDS = 0.1
_STALLED_SECONDS = 60.0
"""Longer than a transaction of ours lasts when nobody is left to end it."""


class Spans:
    """A connection that reads committed records. A context manager."""

    def __init__(self, client: ClientConfig, group: str) -> None:
        """`group` is never joined: see `reader`."""
        self._consumer = reader(client, group)
        self._next: dict[Partition, int | None] = {}
        """Where the client goes on when it is let; None: somewhere behind what it was asked for."""

    def open(self, starts: Mapping[Partition, int]) -> None:
        """These are going to be read. One after the other, each could take the client a second to get to know."""
        places = [TopicPartition(*place, offset) for place, offset in starts.items()]
        if places:
            with translated("read the topics"):
                self._consumer.incremental_assign(places)
                self._consumer.pause(places)
        self._next |= starts

    def read(self, wanted: Mapping[Partition, Bounds]) -> Iterator[Record]:
        """Every committed record between these offsets, in order within each partition; all of them were opened.

        An end that is not stable yet is waited for: whoever knows that it will be has to see what lies before it.
        Raises KafkaTrouble.
        """
        left = {place: bounds.high for place, bounds in wanted.items() if bounds.low < bounds.high}
        with translated("read the topics"):
            for place in left:
                self._let_go_on(place, wanted[place].low)
        deadline = time.monotonic() + _STALLED_SECONDS
        while left:
            for message in self._consumer.consume(_BATCH, _WAIT_SECONDS):
                error = message.error()
                place = (str(message.topic()), int(message.partition() or 0))
                offset = int(message.offset() or 0)
                if error is None:
                    deadline = time.monotonic() + _STALLED_SECONDS
                    if place in left and offset < left[place]:
                        yield Record(*place, offset, message.key(), message.value(), int(message.timestamp()[1]))
                    self._reach(left, place, offset + 1)
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the library's public name for it
                    self._reach(left, place, offset)
                elif not is_passing(error):
                    raise KafkaTrouble(f"Cannot read {place[0]}: {reason(error)}.")
            if left and time.monotonic() > deadline:
                (topic, number), end = min(left.items())
                raise KafkaTrouble(
                    f"Cannot read {topic}/{number} to offset {end}: an open transaction may hide it. Try again."
                )

    def _let_go_on(self, place: Partition, start: int) -> None:
        if self._next[place] != start:
            self._consumer.seek(TopicPartition(*place, start))
        self._next[place] = None
        self._consumer.resume([TopicPartition(*place)])

    def _reach(self, left: dict[Partition, int], place: Partition, offset: int) -> None:
        """What was read to its end is held, so that it does not crowd out the others."""
        if place in left and offset >= left[place]:
            del left[place]
            self._consumer.pause([TopicPartition(*place)])

    def close(self) -> None:
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
