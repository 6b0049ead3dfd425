"""How fast users may read, through kafka-python: librdkafka cannot ask for it (docs/adr/0011-quotas.md).

The library's administrative client has no method for it either, but it speaks the two messages, and this is how its
own methods send theirs. Its version is pinned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka.admin import KafkaAdminClient
from kafka.errors import ClusterAuthorizationFailedError, KafkaError, for_code
from kafka.protocol.admin import AlterClientQuotasRequest, DescribeClientQuotasRequest

from sluice.kafka.access import access
from sluice.kafka.clients import ClientConfig, KafkaTrouble, KafkaUnavailable

_RATE = "consumer_byte_rate"
_USER = "user"
_ANY_NAME = 2
"""The protocol's word for: whatever its name is."""
_TIMEOUT_MS = 10_000


def read_rates(client: ClientConfig) -> dict[str, int]:
    """Bytes a second that users may read from each broker, by user; who has no quota is not in it.

    Raises KafkaTrouble.
    """
    component = DescribeClientQuotasRequest.ComponentData(entity_type=_USER, match_type=_ANY_NAME, match=None)
    with _connected(client) as send:
        found = send(DescribeClientQuotasRequest(components=[component], strict=True))
    _refuse(found.error_code, found.error_message)
    return {
        entry.entity[0].entity_name: round(value.value)
        for entry in found.entries
        for value in entry.values
        if value.key == _RATE
    }


def set_rates(client: ClientConfig, rates: Mapping[str, int | None]) -> None:
    """All in one message; None takes a user's quota away. Raises KafkaTrouble."""
    entry = AlterClientQuotasRequest.EntryData
    entries = [
        entry(
            entity=[entry.EntityData(entity_type=_USER, entity_name=user)],
            ops=[entry.OpData(key=_RATE, value=float(rate or 0), remove=rate is None)],
        )
        for user, rate in rates.items()
    ]
    with _connected(client) as send:
        done = send(AlterClientQuotasRequest(entries=entries, validate_only=False))
    for one in done.entries:
        _refuse(one.error_code, one.error_message)


@contextmanager
def _connected(client: ClientConfig) -> Iterator[Any]:
    """Sends one message and gives its answer."""
    try:
        admin = KafkaAdminClient(
            **options(client), bootstrap_timeout_ms=_TIMEOUT_MS, request_timeout_ms=_TIMEOUT_MS, client_id="sluice"
        )
        try:
            manager = admin._manager  # noqa: SLF001 - what its own methods send through; the version is pinned
            yield lambda message: manager.run(manager.send, message)
        finally:
            admin.close()
    except KafkaError as error:
        kind = KafkaUnavailable if error.retriable else KafkaTrouble
        raise kind(f"Cannot look after quotas: {error}.") from error


def options(client: ClientConfig) -> dict[str, Any]:
    """The connection in this library's words. Raises SluiceError for one that needs what this library cannot do."""
    way = access(client, "admin", "Quotas are set")
    named = {"bootstrap_servers": list(way.servers), "security_protocol": way.protocol, "ssl_context": way.tls}
    if way.login is None:
        return named
    user, password = way.login.user, way.login.password
    return {
        **named,
        "sasl_mechanism": way.login.mechanism,
        "sasl_plain_username": user,
        "sasl_plain_password": password,
    }


def _refuse(code: int, message: str | None) -> None:
    if not code:
        return
    error = for_code(code)
    if error is ClusterAuthorizationFailedError:
        raise KafkaTrouble(
            "Cannot look after quotas: this user lacks the right to (DescribeConfigs, AlterConfigs on the cluster)."
        )
    kind = KafkaUnavailable if error.retriable else KafkaTrouble
    raise kind(f"Cannot look after quotas: {message or getattr(error, 'message', None) or error.__name__} ({code}).")
