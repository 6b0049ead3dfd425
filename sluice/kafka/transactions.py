"""The loop's port on Apache Kafka: a topic that drives it, one joined to it, and what it writes, all committed at once.

Rules of LOOP are named where they are kept. This module never decides.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from sluice.kafka import admin
from sluice.kafka.clients import (
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
from sluice.kafka.fencing import end_transactions_of
from sluice.kafka.publishing import write_records
from sluice.kafka.transaction_writer import TransactionWriter
from sluice.log import Bounds, Committed, Ends, OffsetsUnstable, Positions, Record

if TYPE_CHECKING:
    from sluice.kafka.traces import Traces

_PATIENCE_SECONDS = 1.0
_STALLED_SECONDS = 30.0
_READ_BATCH = 10_000
_READ_WAIT_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class LogSettings:
    group: str
    instance: str
    driving: str
    joined: str
    confirmed: str
    """The written topic whose delivered offsets the caller needs before the commit."""
    instances: Collection[str] = ()
    """Every configured instance of the group: those without a live member may be fenced (LOOP 5)."""
    session_timeout_ms: int = 10_000
    silence_ms: int = 60_000
    """Who has not fetched for so long is stuck: its partitions go to others."""
    smallest_message_limit: int = 1_000_000


class TransactionalLog:
    """See sluice.log.Log."""

    def __init__(self, client: ClientConfig, settings: LogSettings, traces: Traces | None = None) -> None:
        self._client = client
        self._settings = settings
        self._traces = traces
        self._driving = self._member()
        self._joined = reader(client, settings.group)
        name = f"{settings.group}.{settings.instance}"  # LOOP 3
        self._writer = TransactionWriter(client, name, settings.confirmed, settings.smallest_message_limit)
        self._admin = admin_client(client)
        self._group_metadata: object = None
        self._assigned: dict[int, Positions] = {}
        self._reached: dict[tuple[str, int], int] = {}
        self._held: frozenset[int] = frozenset()
        self._new_assignment: frozenset[int] | None = None

    def _member(self) -> Consumer:
        settings = self._settings
        return Consumer(
            {
                **self._client,
                "client.id": f"{settings.group}.{settings.instance}",
                "group.id": settings.group,
                "partition.assignment.strategy": "range",  # LOOP 1
                "session.timeout.ms": settings.session_timeout_ms,
                "max.poll.interval.ms": max(settings.silence_ms, settings.session_timeout_ms),
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

    @property
    def new_assignment(self) -> frozenset[int] | None:
        return self._new_assignment

    def claim(self) -> None:
        self._writer.claim()

    def join(self) -> None:
        with translated("join the consumer group"):
            self._driving.subscribe(
                [self._settings.driving], on_assign=self._on_assign, on_revoke=self._on_loss, on_lost=self._on_loss
            )

    def rejoin(self) -> None:
        stuck, self._driving = self._driving, self._member()
        abandon(stuck)
        self._assigned, self._new_assignment = {}, frozenset()
        self.join()

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._group_metadata = consumer.consumer_group_metadata()  # LOOP 2: never refreshed for a batch
        consumer.assign([])  # nothing is fetched before `start` says from where
        self._assigned = {}
        self._new_assignment = frozenset(tp.partition for tp in partitions)

    def _on_loss(self, consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        consumer.unassign()
        if consumer is not self._driving:
            return  # one that was abandoned
        self._assigned = {}
        self._new_assignment = frozenset()

    def take(self) -> None:
        self._new_assignment = None
        self._joined.unassign()

    def start(self, positions: Mapping[int, Positions]) -> None:
        if self._new_assignment is not None:
            return  # what was given to us is another set now
        if self._traces is not None:
            self._traces.forget()
        self._assigned = dict(positions)
        self._held = frozenset()
        self._reached = {}
        names = self._settings
        with translated("read the input topics"):
            driving = [TopicPartition(names.driving, p, at.driving) for p, at in positions.items()]
            self._driving.assign(driving)
            self._driving.resume(driving)  # the library keeps a pause through every change of the assignment
            self._joined.assign([TopicPartition(names.joined, p, at.joined) for p, at in positions.items()])

    def hold(self, partitions: Collection[int]) -> None:
        held = frozenset(partitions) & self._assigned.keys()
        for change, which in ((self._driving.pause, held - self._held), (self._driving.resume, self._held - held)):
            if which:
                with translated("hold the input"):
                    change([TopicPartition(self._settings.driving, p) for p in which])
        self._held = held

    def reconnect(self) -> None:
        """What the administrative client knows of leaders stays stale for minutes (FENCED_LEADER_EPOCH).

        The transactional one was seen to wait for its coordinator without end, and a consumer to fetch nothing any more
        after its broker was away (confluentinc/librdkafka#5153).
        """
        self._admin = admin_client(self._client)
        self._writer.renew()
        stuck, self._joined = self._joined, reader(self._client, self._settings.group)
        abandon(stuck)

    def fetch(self, limit: int, wait_seconds: float) -> list[Record]:
        records = _records(self._driving, limit, wait_seconds, self._reached, self._traces)
        if self._new_assignment is not None:
            return []
        return [record for record in records if record.partition in self._assigned]

    def fetch_joined(self, wait_seconds: float) -> list[Record]:
        return _records(self._joined, _READ_BATCH, wait_seconds, self._reached, self._traces)

    def ends(self) -> dict[int, Ends]:
        names = self._settings
        joined = [(names.joined, p) for p in self._assigned]
        driving = [(names.driving, p) for p in self._assigned]
        confirmed = [(names.confirmed, p) for p in self._assigned]
        stable = admin.stable_ends(self._admin, [*driving, *joined, *confirmed])
        high = admin.high_watermarks(self._admin, [*driving, *joined, *confirmed])
        return {
            p: Ends(
                joined_stable=stable[names.joined, p],
                joined_high=high[names.joined, p],
                driving_high=high[names.driving, p],
                driving_stable=stable[names.driving, p],
                confirmed_stable=stable[names.confirmed, p],
                confirmed_high=high[names.confirmed, p],
            )
            for p in self._assigned
        }

    def driving_reached(self, partition: int) -> int:
        return self._progress(self._settings.driving, partition, self._assigned[partition].driving)

    def joined_reached(self, partition: int) -> int:
        return self._progress(self._settings.joined, partition, self._assigned[partition].joined)

    def _progress(self, topic: str, partition: int, assigned: int) -> int:
        """From what was returned and what ends were reported; the library's position may be that before a rewind.

        The report of an end crosses control records, so what ends with some is read to its end too.
        """
        return max(assigned, self._reached.get((topic, partition), 0))

    def committed(self, partitions: frozenset[int]) -> dict[int, Committed]:
        names = self._settings
        wanted = [TopicPartition(topic, p) for topic in (names.driving, names.joined) for p in sorted(partitions)]
        if not wanted:
            return {}
        with translated("read the committed offsets"):
            try:
                found = {(tp.topic, tp.partition): tp for tp in self._driving.committed(wanted, _PATIENCE_SECONDS)}
            except KafkaException as error:
                if error.args[0].code() in (KafkaError._TIMED_OUT, KafkaError.UNSTABLE_OFFSET_COMMIT):  # noqa: SLF001
                    raise OffsetsUnstable("The committed offsets are held back by an open transaction.") from None
                raise
        for tp in found.values():
            if tp.error is not None:
                raise OffsetsUnstable(f"Cannot read the committed offset of {tp.topic}/{tp.partition} yet.")
        result = {}
        for p in partitions:
            driving, joined = found[names.driving, p], found[names.joined, p]
            if (driving.offset >= 0) != (joined.offset >= 0):
                raise KafkaTrouble(
                    f"The group {names.group} has an offset of only one of {names.driving}/{p} and {names.joined}/{p}: "
                    "the other topic was deleted, and what it said is lost. Restore it; `sluice apply` says more."
                )
            has_both = driving.offset >= 0 and joined.offset >= 0
            positions = Positions(driving.offset, joined.offset) if has_both else None
            result[p] = Committed(positions, driving.metadata or "")
        return result

    def bounds(self, topics: Collection[str], partition: int) -> dict[str, Bounds]:
        places = [(topic, partition) for topic in topics]
        low, high = admin.beginnings(self._admin, places), admin.high_watermarks(self._admin, places)
        return {place[0]: Bounds(low[place], high[place]) for place in places}

    def read(self, topic: str, partition: int, start: int, stop: int) -> Iterator[Record | None]:
        if start >= stop:
            return
        consumer = reader(self._client, self._settings.group)
        reached = {(topic, partition): start}
        try:
            consumer.assign([TopicPartition(topic, partition, start)])
            deadline = time.monotonic() + _STALLED_SECONDS
            while (at := reached[topic, partition]) < stop:
                records = _records(consumer, _READ_BATCH, _READ_WAIT_SECONDS, reached)
                for record in records:
                    deadline = time.monotonic() + _STALLED_SECONDS
                    if record.offset < stop:
                        yield record
                if not records:
                    yield None
                if time.monotonic() > deadline:
                    raise KafkaUnavailable(f"Cannot read {topic}/{partition} from {start} to {stop}: it ends at {at}.")
        finally:
            consumer.close()

    def begin(self) -> None:
        self._writer.begin()

    def produce(self, topic: str, partition: int, key: bytes | None, value: bytes | None, timestamp: int) -> None:
        self._writer.produce(topic, partition, key, value, timestamp)

    def flush(self) -> Mapping[int, int]:
        return self._writer.flush()

    def commit(self, positions: Mapping[int, Positions], metadata: Mapping[int, str]) -> None:
        names = self._settings
        offsets = [TopicPartition(names.driving, p, at.driving, metadata[p]) for p, at in positions.items()]
        offsets += [TopicPartition(names.joined, p, at.joined) for p, at in positions.items()]
        self._writer.commit(offsets, self._group_metadata)
        if self._traces is not None:
            self._traces.committed({(at.topic, at.partition): at.offset for at in offsets})

    def abort(self) -> None:
        self._writer.abort()

    def republish(self, records: Iterable[tuple[Record, int]]) -> None:
        write_records(self._client, records)

    def fence_the_dead(self) -> list[str]:
        names = self._settings
        alive = admin.client_ids(self._admin, names.group)
        if f"{names.group}.{names.instance}" not in alive:
            return []  # we are a member: whoever does not know that cannot know who is dead
        others = [f"{names.group}.{instance}" for instance in names.instances if instance != names.instance]
        dead = [name for name in others if name not in alive]
        for name in dead:
            end_transactions_of(self._client, name)
        return dead

    def close(self) -> None:
        self._driving.close()
        self._joined.close()
        if self._traces is not None:
            self._traces.close()


def _records(
    consumer: Consumer,
    limit: int,
    wait_seconds: float,
    reached: dict[tuple[str, int], int],
    traces: Traces | None = None,
) -> list[Record]:
    """What the consumer has; `reached` is brought up to date by it, and by the reports of partitions' ends."""
    records = []
    for message in consumer.consume(limit, wait_seconds):
        error = message.error()
        if error is None:
            record = _record(message)
            records.append(record)
            if traces is not None:
                traces.received(message)
            reached[record.topic, record.partition] = record.offset + 1
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the library's public name for it
            place = (str(message.topic()), int(message.partition() or 0))
            reached[place] = max(reached.get(place, 0), int(message.offset() or 0))
        elif not is_passing(error) and error.code() != KafkaError._MAX_POLL_EXCEEDED:  # noqa: SLF001 - and loss is told
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
