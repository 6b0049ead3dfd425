"""A transactional loop's log: a topic that drives it, one joined to it, and what it writes, all committed at once.

Rules of LOOP are named where they are kept. The caller fetches, asks for the ends, drains the joined topic to them,
and writes; this module never decides.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from sluice.kafka import admin
from sluice.kafka.clients import (
    ClientConfig,
    KafkaTrouble,
    KafkaUnavailable,
    Record,
    admin_client,
    is_passing,
    reader,
    reason,
    translated,
)
from sluice.kafka.transaction_writer import TransactionWriter

_OPERATION_SECONDS = 30.0
_STALLED_SECONDS = 30.0
_DRAIN_WAIT_SECONDS = 0.005
_READ_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class LogSettings:
    group: str
    instance: str
    driving: str
    joined: str
    confirmed: str
    """The written topic whose delivered offsets the caller needs before the commit."""
    session_timeout_ms: int = 10_000
    smallest_message_limit: int = 1_000_000


class Positions(NamedTuple):
    """The next offsets of one partition number in both inputs."""

    driving: int
    joined: int


@dataclass(frozen=True, slots=True)
class Ends:
    """One partition number's ends, read in this order: the joined topic's stable end, then both high watermarks."""

    joined_stable: int
    joined_high: int
    driving_high: int


class Drained(NamedTuple):
    """Records of the joined topic; `complete`: they are all there are below the ends."""

    records: list[Record]
    complete: bool


class Bounds(NamedTuple):
    """The first offset that a partition still has, and one past its last."""

    low: int
    high: int


class Committed(NamedTuple):
    """What the group last committed for one partition number; None: nothing."""

    positions: Positions | None
    metadata: str


class TransactionalLog:
    """One process's connection to its inputs and outputs. Not for use by several threads."""

    def __init__(self, client: ClientConfig, settings: LogSettings) -> None:
        self._client = client
        self._settings = settings
        self._driving = Consumer(
            {
                **client,
                "client.id": f"{settings.group}.{settings.instance}",
                "group.id": settings.group,
                "partition.assignment.strategy": "range",  # LOOP 1
                "session.timeout.ms": settings.session_timeout_ms,
                "heartbeat.interval.ms": max(settings.session_timeout_ms // 4, 100),
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,
                "log_level": 0,
            }
        )
        self._joined = reader(client, settings.group)
        name = f"{settings.group}.{settings.instance}"  # LOOP 3
        self.writer = TransactionWriter(client, name, settings.confirmed, settings.smallest_message_limit)
        self._admin = admin_client(client)
        self._group_metadata: object = None
        self._assigned: dict[int, Positions] = {}
        self._reached: dict[tuple[str, int], int] = {}
        self._beyond: dict[int, list[Record]] = {}
        self._held = False
        self.new_assignment: frozenset[int] | None = None
        """Partition numbers given to us and not started yet; set by `fetch`, cleared by `start`."""

    def join(self) -> None:
        """Join the group; `fetch` then reports what is assigned."""
        with translated("join the consumer group"):
            self._driving.subscribe(
                [self._settings.driving], on_assign=self._on_assign, on_revoke=self._on_loss, on_lost=self._on_loss
            )

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._group_metadata = consumer.consumer_group_metadata()  # LOOP 2: never refreshed for a batch
        consumer.assign([])  # nothing is fetched before `start` says from where
        self.new_assignment = frozenset(tp.partition for tp in partitions)

    def _on_loss(self, consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        consumer.unassign()
        self.new_assignment = frozenset()

    def start(self, positions: Mapping[int, Positions]) -> None:
        """Read these partitions of both inputs from these positions on, and no others."""
        self.new_assignment = None
        self._assigned = dict(positions)
        self._held = False
        self._reached = {}
        self._beyond = {partition: [] for partition in positions}
        names = self._settings
        with translated("read the input topics"):
            self._driving.assign([TopicPartition(names.driving, p, at.driving) for p, at in positions.items()])
            self._joined.assign([TopicPartition(names.joined, p, at.joined) for p, at in positions.items()])

    def rewind(self, positions: Mapping[int, Positions]) -> None:
        """Read again from these positions, after an abort."""
        if self.new_assignment is None:
            self.start(positions)

    def reconnect(self, positions: Mapping[int, Positions]) -> None:
        """Read again from these positions after the broker was away.

        Clients that saw the broker go are replaced: what the administrative one knows of leaders stays stale for
        minutes (FENCED_LEADER_EPOCH), and the transactional one was seen to wait for its coordinator without end.
        Raises KafkaUnavailable while the broker is away.
        """
        self._admin = admin_client(self._client)
        self.writer.renew()
        self.rewind(positions)

    def fetch(self, limit: int, wait_seconds: float) -> list[Record]:
        """Records of the driving topic. After a change of assignment: none, and `new_assignment` is set."""
        records = self._records(self._driving, limit, wait_seconds)
        if self.new_assignment is not None:
            return []
        return [record for record in records if record.partition in self._assigned]

    def ends(self) -> dict[int, Ends]:
        """The barrier's ends (LOOP 7b): every record of the joined topic below its stable end is to be drained."""
        joined = [(self._settings.joined, p) for p in self._assigned]
        driving = [(self._settings.driving, p) for p in self._assigned]
        stable = admin.stable_ends(self._admin, joined)
        high = admin.high_watermarks(self._admin, [*driving, *joined])
        return {
            p: Ends(stable[self._settings.joined, p], high[self._settings.joined, p], high[self._settings.driving, p])
            for p in self._assigned
        }

    def drain(self, ends: Mapping[int, Ends], limit: int) -> Drained:
        """The records of the joined topic below its stable ends that were not drained before (LOOP 8).

        At most about `limit` of them, so that a backlog of any length is passed in pieces.
        """
        deadline = time.monotonic() + _STALLED_SECONDS
        while any(self._joined_reached(p) < end.joined_stable for p, end in ends.items()) and self._waiting() < limit:
            for record in self._records(self._joined, _READ_BATCH, _DRAIN_WAIT_SECONDS):
                self._beyond[record.partition].append(record)
                deadline = time.monotonic() + _STALLED_SECONDS
            if time.monotonic() > deadline:
                raise KafkaUnavailable(f"Cannot read {self._settings.joined} to its end.")
        complete = all(self._joined_reached(p) >= end.joined_stable for p, end in ends.items())
        drained: list[Record] = []
        for p, end in ends.items():
            queue = self._beyond[p]
            drained += [record for record in queue if record.offset < end.joined_stable]
            self._beyond[p] = [record for record in queue if record.offset >= end.joined_stable]
        return Drained(drained, complete)

    def _waiting(self) -> int:
        return sum(len(records) for records in self._beyond.values())

    def hold_driving(self, *, held: bool) -> None:
        """While held, `fetch` keeps up the membership and returns nothing."""
        if held != self._held and self._assigned:
            places = [TopicPartition(self._settings.driving, p) for p in self._assigned]
            with translated("hold the input"):
                (self._driving.pause if held else self._driving.resume)(places)
            self._held = held

    def driving_reached(self, partition: int) -> int:
        """The offset that the driving topic has been read to; control records at the end are crossed."""
        return self._progress(self._settings.driving, partition, self._assigned[partition].driving)

    def _joined_reached(self, partition: int) -> int:
        return self._progress(self._settings.joined, partition, self._assigned[partition].joined)

    def _progress(self, topic: str, partition: int, assigned: int) -> int:
        """From what was returned and what ends were reported; the library's position may be that before a rewind.

        The report of an end crosses control records, so what ends with some is read to its end too.
        """
        return max(assigned, self._reached.get((topic, partition), 0))

    def commit(self, positions: Mapping[int, Positions], metadata: Mapping[int, str]) -> None:
        """Commit what was written together with both inputs' positions; see TransactionWriter.commit."""
        names = self._settings
        offsets = [TopicPartition(names.driving, p, at.driving, metadata[p]) for p, at in positions.items()]
        offsets += [TopicPartition(names.joined, p, at.joined) for p, at in positions.items()]
        self.writer.commit(offsets, self._group_metadata)

    def committed(self, partitions: frozenset[int]) -> dict[int, Committed]:
        """What the group has committed; waits for transactions that hold it back."""
        names = self._settings
        wanted = [TopicPartition(topic, p) for topic in (names.driving, names.joined) for p in sorted(partitions)]
        if not wanted:
            return {}
        with translated("read the committed offsets"):
            found = {(tp.topic, tp.partition): tp for tp in self._driving.committed(wanted, _OPERATION_SECONDS)}
        unknown = next((tp for tp in found.values() if tp.error is not None), None)
        if unknown is not None:
            raise KafkaUnavailable(f"Cannot read the committed offset of {unknown.topic}/{unknown.partition}.")
        result = {}
        for p in partitions:
            driving, joined = found[names.driving, p], found[names.joined, p]
            has_both = driving.offset >= 0 and joined.offset >= 0
            positions = Positions(driving.offset, joined.offset) if has_both else None
            result[p] = Committed(positions, driving.metadata or "")
        return result

    def bounds(self, topics: Collection[str], partition: int) -> dict[str, Bounds]:
        places = [(topic, partition) for topic in topics]
        low, high = admin.beginnings(self._admin, places), admin.high_watermarks(self._admin, places)
        return {place[0]: Bounds(low[place], high[place]) for place in places}

    def read(self, topic: str, partition: int, start: int, stop: int) -> Iterator[Record]:
        """Every committed record of one partition from `start` to below `stop`; waits until `stop` is stable."""
        if start >= stop:
            return
        consumer = reader(self._client, self._settings.group)
        self._reached.pop((topic, partition), None)
        try:
            consumer.assign([TopicPartition(topic, partition, start)])
            reached, deadline = start, time.monotonic() + _STALLED_SECONDS
            while reached < stop:
                for record in self._records(consumer, _READ_BATCH, 0.1):
                    deadline = time.monotonic() + _STALLED_SECONDS
                    if record.offset < stop:
                        yield record
                reached = self._progress(topic, partition, start)
                if time.monotonic() > deadline:
                    raise KafkaTrouble(f"Cannot read {topic}/{partition} from {start} to {stop}: it ends at {reached}.")
        finally:
            consumer.close()
            self._reached.pop((topic, partition), None)

    def close(self) -> None:
        """Leave the group at once, so that a successor need not wait for the session to end."""
        self._driving.close()
        self._joined.close()

    def _records(self, consumer: Consumer, limit: int, wait_seconds: float) -> list[Record]:
        records = []
        for message in consumer.consume(limit, wait_seconds):
            error = message.error()
            if error is None:
                record = _record(message)
                records.append(record)
                self._reached[record.topic, record.partition] = record.offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the library's public name for it
                place = (str(message.topic()), int(message.partition() or 0))
                self._reached[place] = max(self._reached.get(place, 0), int(message.offset() or 0))
            elif not is_passing(error):
                raise KafkaTrouble(f"Cannot read {message.topic() or 'a topic'}: {reason(error)}.")
        return records


def _record(message: Message) -> Record:
    return Record(
        str(message.topic()),
        int(message.partition() or 0),
        int(message.offset() or 0),
        message.key(),
        message.value(),
        int(message.timestamp()[1]),
    )
