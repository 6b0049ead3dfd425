"""One process's transactions: everything of a batch becomes visible at once, or never."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from sluice.interrupts import interrupts_deferred
from sluice.kafka.clients import ClientConfig, KafkaTrouble, KafkaUnavailable, reason, translated
from sluice.log import Aborted, Fenced

_OPERATION_SECONDS = 30.0
_SHORT_SECONDS = 5.0
_GIVEN_UP_SECONDS = 8.0
"""For a call that should have ended after the short time, and may never."""
_FLUSH_SECONDS = 15.0
"""Longer than the transaction lasts, after which what was not delivered never will be."""
_PAUSE_SECONDS = 0.05
_FENCING = frozenset({KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED})  # noqa: SLF001
_PURGED = frozenset({KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT})  # noqa: SLF001
_NEEDS_AN_OPERATOR = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    }
)


class ProducerFenced(KafkaTrouble, Fenced):
    """See sluice.log.Fenced."""


class TransactionWriter:
    """Writes and commits under one transactional id. Not for use by several threads."""

    def __init__(self, client: ClientConfig, name: str, confirmed: str, smallest_message_limit: int) -> None:
        """`name` is the transactional id; `confirmed` the topic whose delivered offsets `flush` returns."""
        self._name = name
        self._confirmed = confirmed
        self._delivered: dict[int, int] = {}
        self._delivery_error: KafkaError | None = None
        self._config = {
            **client,
            "client.id": name,
            "transactional.id": name,  # LOOP 3
            "transaction.timeout.ms": 10_000,
            "retry.backoff.ms": 2,
            "compression.type": "lz4",
            "linger.ms": 1,
            "batch.size": max(min(1_000_000, smallest_message_limit // 2), 1_000),
            "message.max.bytes": 100_000_000,  # the topics' own limits decide, and are checked before producing
            "queue.buffering.max.messages": 1_000_000,
            "log_level": 0,
        }
        self._producer = Producer(self._config)

    def claim(self) -> None:
        """Fence who held our transactional id before, and end the transaction that it left open."""
        with translated("begin transactions"):
            self._producer.init_transactions(_OPERATION_SECONDS)

    def renew(self) -> None:
        """A new client under the same transactional id, for one that has seen its broker go may wait for it for ever.

        Whatever the old one left open is aborted. Raises KafkaUnavailable while the broker is away.
        """
        self._producer.purge()
        self._producer = Producer(self._config)
        self.claim()

    def begin(self) -> None:
        self._delivered = {}
        self._delivery_error = None
        self._transactional(self._producer.begin_transaction, "begin a transaction")

    def produce(self, topic: str, partition: int, key: bytes | None, value: bytes | None, timestamp: int) -> None:
        """Queue one record; its partition is always explicit (LOOP 4) and it has no headers."""
        on_delivery = self._on_delivery if topic == self._confirmed else self._on_failure
        while True:
            try:
                self._producer.produce(
                    topic, value, key, partition=partition, timestamp=timestamp, on_delivery=on_delivery
                )
            except BufferError:
                self._producer.poll(0.1)
            except (KafkaException, SystemError) as error:
                raise self._told(error, f"write to {topic}") from error
            else:
                return  # delivery reports are served by `flush`: to ask for them here costs as much as to write

    def flush(self) -> Mapping[int, int]:
        """Wait until everything is written; the end, by partition, of what was written to the confirmed topic."""
        with interrupts_deferred(), self._judging("write"):
            remaining = self._producer.flush(_FLUSH_SECONDS)
        if self._delivery_error is not None:
            raise Aborted(
                f"The broker refuses a record: {reason(self._delivery_error)}",
                retriable=self._delivery_error.code() not in _NEEDS_AN_OPERATOR,
            )
        if remaining:
            raise Aborted(f"The broker did not take {remaining} records in time", retriable=True)
        return self._delivered

    def commit(self, offsets: list[TopicPartition], group_metadata: object) -> None:
        """Commit what was produced together with these offsets. Returns only when that is certain.

        Raises Aborted when nothing of it will ever be visible, once it is aborted; KafkaUnavailable the same, once the
        client is renewed; another KafkaTrouble when this process must end. A commit that timed out is only ever
        committed again (LOOP 6).
        """
        with self._judging("commit offsets"):  # nothing is ambiguous yet: a time-out here ends in an abort
            self._send_offsets(offsets, group_metadata)
        self._transactional(lambda: self._producer.commit_transaction(_SHORT_SECONDS), "commit a transaction")

    def _send_offsets(self, offsets: list[TopicPartition], group_metadata: object) -> None:
        """The call was seen to wait for the group's coordinator for ever, whatever its time limit (librdkafka#5456).

        So another thread makes it, and is left behind with its client, which has to be renewed.
        """
        producer, outcome = self._producer, queue.SimpleQueue[Exception | None]()

        def send() -> None:
            try:
                producer.send_offsets_to_transaction(offsets, group_metadata, _SHORT_SECONDS)
            except (KafkaException, SystemError) as error:
                outcome.put(error)
            else:
                outcome.put(None)

        threading.Thread(target=send, name="offsets", daemon=True).start()
        try:
            error = outcome.get(timeout=_GIVEN_UP_SECONDS)
        except queue.Empty:
            raise KafkaUnavailable("The client waits for the group's coordinator without end.") from None
        if error is not None:
            raise error

    def abort(self) -> None:
        """Make sure that nothing of the transaction is ever visible. Raises KafkaTrouble when this process must end.

        KafkaUnavailable where the client cannot abort, for it still waits for a broker that was away: then a new one
        under the same transactional id does, for beginning aborts what its predecessor left open (`renew`).
        """
        try:
            self._producer.abort_transaction(_SHORT_SECONDS)
        except KafkaException as error:
            if error.args[0].fatal():
                raise self._ending(error, "abort a transaction") from error
            raise KafkaUnavailable(f"Cannot abort a transaction: {reason(error)}.") from error

    def _on_failure(self, error: KafkaError | None, _message: Message) -> None:
        """The first that says why: what is purged because of another is told in no order."""
        if error is not None and (self._delivery_error is None or self._delivery_error.code() in _PURGED):
            self._delivery_error = error

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        self._on_failure(error, message)
        if error is None:
            partition, offset = int(message.partition() or 0), int(message.offset() or 0)
            self._delivered[partition] = max(self._delivered.get(partition, 0), offset + 1)

    def _transactional(self, call: Callable[[], object], what: str) -> None:
        """Call until it succeeds or cannot. A time-out says nothing about the outcome: the same call is made again.

        A client whose broker went may wait without end; then the process ends, and its restart reads the outcome.
        """
        deadline = time.monotonic() + _OPERATION_SECONDS
        while True:
            try:
                call()
            except KafkaException as error:
                if not _may_be_called_again(error):
                    raise self._judged(error, what) from error
                if time.monotonic() > deadline:
                    raise self._ending(error, what) from error
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    @contextmanager
    def _judging(self, what: str) -> Iterator[None]:
        """Errors of the library become ours. A fatal one comes as a SystemError where it meets a delivery callback."""
        try:
            yield
        except (KafkaException, SystemError) as error:
            raise self._told(error, what) from error

    def _told(self, error: KafkaException | SystemError, what: str) -> Aborted | KafkaTrouble:
        inner = error.__cause__ if isinstance(error, SystemError) else error
        if not isinstance(inner, KafkaException):  # the client says no more; what is true shows when it aborts
            return Aborted(f"The client failed while it was to {what}", retriable=True)
        return self._judged(inner, what)

    def _judged(self, error: KafkaException, what: str) -> Aborted | KafkaTrouble:
        inner: KafkaError = error.args[0]
        if inner.fatal():
            return self._ending(error, what)
        return Aborted(f"Cannot {what}: {reason(error)}", retriable=inner.code() not in _NEEDS_AN_OPERATOR)

    def _ending(self, error: KafkaException, what: str) -> KafkaTrouble:
        inner: KafkaError = error.args[0]
        if inner.code() in _FENCING:
            return ProducerFenced(
                f"Another process runs as {self._name}, or the broker gave this one up while it was silent: it ends. "
                "Give each its own `instance`, and start this one again if there is no other."
            )
        return KafkaTrouble(f"Cannot {what}: {reason(error)}; the process ends, and a restart reads what is true.")


def _may_be_called_again(error: KafkaException) -> bool:
    inner: KafkaError = error.args[0]
    return inner.retriable() and not inner.fatal() and not inner.txn_requires_abort()
