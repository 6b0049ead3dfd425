"""Writing to a topic: acknowledged or not, in our words. Kafka's producer sends in the background and answers later."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from confluent_kafka import KafkaError, KafkaException

from producers.tracing import TracedProducer
from sluice.interrupts import interrupts_deferred
from sluice.kafka.clients import ClientConfig, KafkaTrouble, idempotent_producer, reason, translated
from sluice.kafka.publishing import flushed

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import Message
    from confluent_kafka.admin import ClusterMetadata

    from producers.encoding import Encoded
    from producers.publication import Tally
    from sluice.kafka.traces import Traces

DELIVERY_SECONDS: Final = 30.0
"""How long a row may wait for its acknowledgement; a broker that is away longer ends the publication."""

_CONNECT_SECONDS = 10.0
_ABANDON_SECONDS = 5.0
_ROOM_SECONDS = 0.1

# Faults of one row. Anything else hits the rows behind it too.
_TOO_LARGE: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})
_REFUSED: Final = frozenset({KafkaError.INVALID_RECORD, KafkaError.INVALID_MSG, KafkaError.INVALID_TIMESTAMP})
_DROPPED: Final = frozenset({KafkaError._PURGE_QUEUE})  # noqa: SLF001 - the library's own errors have such names
_UNANSWERED: Final = frozenset({KafkaError._PURGE_INFLIGHT})  # noqa: SLF001
_AWAY: Final = frozenset({KafkaError._MSG_TIMED_OUT, KafkaError._TRANSPORT})  # noqa: SLF001
_FORBIDDEN: Final = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED})


class KafkaProducer(Protocol):
    """What is used of confluent_kafka's Producer."""

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes,
        *,
        on_delivery: Callable[[KafkaError | None, Message], None],
    ) -> None: ...

    def poll(self, timeout: float) -> int: ...

    def flush(self, timeout: float) -> int: ...

    def purge(self, in_queue: bool, in_flight: bool) -> None: ...  # noqa: FBT001 - the library's signature


class Publisher:
    """Sends rows to one topic. Implements publication.Sink."""

    def __init__(self, producer: KafkaProducer, topic: str, tally: Tally) -> None:
        self._producer = producer
        self.topic = topic
        self._tally = tally
        self.trouble: str | None = None

    def send(self, row: Encoded) -> None:
        """Hand the row over; with a full queue, wait for room. The broker's answer goes to the tally, later."""
        answer = partial(self._answered, row.line)
        while True:
            try:
                self._producer.produce(self.topic, row.value, row.key, on_delivery=answer)
            except BufferError:
                self._hear(_ROOM_SECONDS)
                continue
            except KafkaException as error:
                self._failed(row.line, error.args[0])
            break
        self._hear(0)

    def finish(self) -> None:
        """Every row ends within DELIVERY_SECONDS, one way or the other."""
        flushed(self._producer, DELIVERY_SECONDS + _ABANDON_SECONDS)

    def abandon(self) -> None:
        """Drop what is not sent, and wait a little for the answers to what is."""
        # not what is on its way: that may arrive, so its answer is worth a moment
        self._producer.purge(in_queue=True, in_flight=False)
        flushed(self._producer, _ABANDON_SECONDS)

    def _hear(self, seconds: float) -> None:
        with interrupts_deferred():
            self._producer.poll(seconds)

    def _answered(self, line: int, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self._tally.published += 1
        elif error.code() in _DROPPED:
            self._tally.unsent += 1
        elif error.code() not in _UNANSWERED:
            self._failed(line, error)

    def _failed(self, line: int, error: KafkaError) -> None:
        self._tally.fail(line, f"{_explained(error, self.topic)}.")
        if error.code() not in _TOO_LARGE | _REFUSED:
            self.trouble = self.trouble or _explained(error, self.topic)


def _explained(error: KafkaError, topic: str) -> str:
    code = error.code()
    if code in _TOO_LARGE:
        return f"the record is larger than {topic} takes"
    if code in _REFUSED:
        return f"the broker refuses this record: {reason(error)}"
    if code in _AWAY:
        return f"the broker did not acknowledge it within {DELIVERY_SECONDS:.0f} s"
    if code in _FORBIDDEN:
        return f"this user may not write to {topic}"
    return f"it was not delivered: {reason(error)}"


def connect(client: ClientConfig, topics: list[str], traces: Traces | None) -> KafkaProducer:
    """A producer that can see these topics. Raises KafkaTrouble before any row is read, if it cannot."""
    producer = idempotent_producer({**client, "message.timeout.ms": str(int(DELIVERY_SECONDS * 1000))})
    for topic in topics:
        with translated(
            f"reach the broker at {client.get('bootstrap.servers', '?')}; is it running, and does the password hold"
        ):
            found: ClusterMetadata = producer.list_topics(topic, timeout=_CONNECT_SECONDS)
        error = found.topics[topic].error
        if error is not None:
            raise KafkaTrouble(f"Cannot publish to {topic}: {reason(error)}; `sluice apply` makes it and its rights.")
    return producer if traces is None else TracedProducer(producer, traces)
