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

from sluice.errors import SluiceError
from sluice.kafka.clients import ClientConfig, KafkaTrouble, KafkaUnavailable

_RATE = "consumer_byte_rate"
_USER = "user"
_ANY_NAME = 2
"""The protocol's word for: whatever its name is."""
_TIMEOUT_MS = 10_000
_IDENTITY = "ssl.endpoint.identification.algorithm"

_OPTIONS = {
    "bootstrap.servers": "bootstrap_servers",
    "security.protocol": "security_protocol",
    "sasl.mechanism": "sasl_mechanism",
    "sasl.mechanisms": "sasl_mechanism",
    "sasl.username": "sasl_plain_username",
    "sasl.password": "sasl_plain_password",
    "ssl.ca.location": "ssl_cafile",
    "ssl.certificate.location": "ssl_certfile",
    "ssl.key.location": "ssl_keyfile",
    "ssl.key.password": "ssl_password",
    "ssl.crl.location": "ssl_crlfile",
}
"""librdkafka's names of what a connection needs, in this library's words."""


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
    unknown = [key for key in client if key.startswith(("ssl.", "sasl.")) and key not in _OPTIONS and key != _IDENTITY]
    if unknown:
        raise SluiceError(
            f"Quotas are set by another library, which does not know `{unknown[0]}` in admin.properties: name files, "
            "or a user with a password."
        )
    known = {_OPTIONS[key]: value for key, value in client.items() if key in _OPTIONS}
    return {**known, "ssl_check_hostname": client.get(_IDENTITY, "https") != "none"}


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
