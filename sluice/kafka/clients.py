"""Connections: a user's connection file in, a configured client out; the library's errors in our words."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from sluice.errors import SluiceError
from sluice.log import LogUnavailable

ClientConfig = Mapping[str, str]
Broker: TypeAlias = AdminClient
"""The administrative client."""


class KafkaTrouble(SluiceError):
    """The broker, or a right on it, is not what we need; said in one sentence."""


class KafkaUnavailable(KafkaTrouble, LogUnavailable):
    """The broker does not answer, or not yet; asking again may help without anybody doing something."""


_PASSING = frozenset(
    {
        KafkaError._TRANSPORT,  # noqa: SLF001 - the library's public names for them
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError._DESTROY,  # noqa: SLF001 - the connection went while it was asked
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._NOENT,  # noqa: SLF001 - no leader is known
        KafkaError._RESOLVE,  # noqa: SLF001
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    }
)


def is_passing(error: KafkaError) -> bool:
    """Whether the same call may succeed later, all else being equal."""
    return not error.fatal() and (error.retriable() or error.code() in _PASSING)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Errors of the library become KafkaTrouble, or KafkaUnavailable: `Cannot <what>: <the broker's reason>`."""
    try:
        yield
    except KafkaException as error:
        kind = KafkaUnavailable if is_passing(error.args[0]) else KafkaTrouble
        raise kind(f"Cannot {what}: {reason(error)}.") from error


def reason(error: KafkaException | KafkaError) -> str:
    inner = error.args[0] if isinstance(error, KafkaException) else error
    return str(inner.str() if isinstance(inner, KafkaError) else inner).rstrip(".")


@translated("connect")
def admin_client(client: ClientConfig) -> Broker:
    return AdminClient({**client, "socket.timeout.ms": 10_000, "log_level": 0})


@translated("connect")
def reader(client: ClientConfig, group: str, wait_ms: int = 10) -> Consumer:
    """A consumer that is assigned by hand, commits nothing and reads committed records alone.

    `group` is never joined, but the client asks for its coordinator: the user needs the right to it.

    It reports the end of a partition; an offset that is gone is an error and never a silent jump.

    `wait_ms`: how long the broker holds a question that it has no record for. A record that comes is told at once, that
    there is none only then; a shorter wait costs the broker more while nothing happens.
    """
    return Consumer(
        {
            **client,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": wait_ms,
            "log_level": 0,
        }
    )


def abandon(stuck: Consumer) -> None:
    """To close a consumer that is stuck may take for ever: nobody waits for it."""
    threading.Thread(target=stuck.close, name="abandoned consumer", daemon=True).start()


@translated("connect")
def idempotent_producer(client: ClientConfig) -> Producer:
    """For the CRMs: every record once and in order, partitioned as every other client does (murmur2)."""
    return Producer(
        {
            **client,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 5,
            "log_level": 0,
        }
    )
