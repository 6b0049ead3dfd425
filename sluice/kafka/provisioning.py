"""Make a broker have what it should, and take away what it should not: topics, SCRAM users, ACLs. Idempotent."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from sluice.kafka.admin import TIMEOUT_SECONDS, high_watermarks, topic_identities
from sluice.kafka.clients import KafkaTrouble, reason, translated
from sluice.provisioning import Resource, Right, Topic

_SCRAM_ITERATIONS = 8192
_AS_THE_BROKER_HAS_IT = -1
_TOPICS_AT_ONCE = 20
"""Until all partitions have leaders takes seconds when there are many."""


def create_topics(client: AdminClient, topics: Iterable[Topic], partitions: int) -> list[str]:
    """The names of those that were not there before. They have as many replicas as the broker gives by default."""
    wanted = list(topics)
    few = [wanted[start : start + _TOPICS_AT_ONCE] for start in range(0, len(wanted), _TOPICS_AT_ONCE)]
    return [name for some in few for name in _create_topics(client, some, partitions)]


def _create_topics(client: AdminClient, topics: Iterable[Topic], partitions: int) -> list[str]:
    wanted = [
        NewTopic(
            topic.name,
            num_partitions=topic.partitions or partitions,
            replication_factor=_AS_THE_BROKER_HAS_IT,
            config=dict(topic.settings),
        )
        for topic in topics
    ]
    created = []
    for name, future in client.create_topics(wanted, operation_timeout=TIMEOUT_SECONDS).items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise KafkaTrouble(f"Cannot create the topic {name}: {reason(error)}.") from error
        else:
            created.append(name)
    if created:
        _await_leaders(client, created)
    return created


def _await_leaders(client: AdminClient, created: Collection[str]) -> None:
    """A new topic has no leader for a moment, and nothing can be asked of it."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            topics = topic_identities(client, created)
            high_watermarks(client, [(topic.name, number) for topic in topics for number in range(topic.partitions)])
        except KafkaTrouble:  # unknown as yet, or without a leader
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def delete_topics(client: AdminClient, names: Iterable[str]) -> None:
    for name, future in client.delete_topics(list(names), operation_timeout=TIMEOUT_SECONDS).items():
        with _already(KafkaError.UNKNOWN_TOPIC_OR_PART), translated(f"remove the topic {name}"):
            future.result()


def change_settings(client: AdminClient, changes: Iterable[tuple[str, str, str | None]]) -> None:
    """Topic, setting and value; None: the default again. Others of the topic's settings stay as they are."""
    entries: dict[str, list[ConfigEntry]] = {}
    for topic, name, value in changes:
        operation = AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET
        entries.setdefault(topic, []).append(ConfigEntry(name, value, incremental_operation=operation))
    resources = [ConfigResource(ResourceType.TOPIC, topic, incremental_configs=own) for topic, own in entries.items()]
    with translated("change the settings of topics"):
        _all_done(client.incremental_alter_configs(resources, request_timeout=TIMEOUT_SECONDS))


def set_passwords(client: AdminClient, passwords: Mapping[str, tuple[str, str]]) -> None:
    """Mechanism and password by user. A password for another mechanism stays beside it."""
    upserts: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(user, ScramCredentialInfo(_mechanism(name), _SCRAM_ITERATIONS), password.encode())
        for user, (name, password) in passwords.items()
    ]
    with translated("set passwords"):
        _all_done(client.alter_user_scram_credentials(upserts, request_timeout=TIMEOUT_SECONDS))


def remove_passwords(client: AdminClient, mechanisms: Iterable[tuple[str, str]]) -> None:
    """User and mechanism. One user twice in one message is refused by the broker: each goes by itself."""
    for user, name in mechanisms:
        removal: list[UserScramCredentialAlteration] = [UserScramCredentialDeletion(user, _mechanism(name))]
        with _already(KafkaError.RESOURCE_NOT_FOUND), translated(f"remove a password of {user}"):
            _all_done(client.alter_user_scram_credentials(removal, request_timeout=TIMEOUT_SECONDS))


def _mechanism(name: str) -> ScramMechanism:
    """As a connection file names it. Raises KafkaTrouble for one that is no SCRAM."""
    try:
        return ScramMechanism[name.replace("-", "_")]
    except KeyError:
        raise KafkaTrouble(f"Passwords are kept for SCRAM-SHA-512 and SCRAM-SHA-256 alone, not for {name}.") from None


def grant(client: AdminClient, rights: Iterable[Right]) -> None:
    with translated("grant rights"):
        _all_done(client.create_acls(list(map(_rule, rights)), request_timeout=TIMEOUT_SECONDS))


def revoke(client: AdminClient, rights: Iterable[Right]) -> None:
    """Exactly these, and no others that cover the same."""
    with translated("take rights away"):
        filters = [AclBindingFilter(*_parts(right)) for right in rights]
        _all_done(client.delete_acls(filters, request_timeout=TIMEOUT_SECONDS))


def _rule(right: Right) -> AclBinding:
    return AclBinding(*_parts(right))


def _parts(
    right: Right,
) -> tuple[ResourceType, str, ResourcePatternType, str, str, AclOperation, AclPermissionType]:
    return (
        ResourceType.BROKER if right.resource is Resource.CLUSTER else ResourceType[right.resource.value],
        right.name,
        ResourcePatternType.PREFIXED if right.prefixed else ResourcePatternType.LITERAL,
        f"User:{right.user}",
        right.host,
        AclOperation[right.operation.value],
        AclPermissionType.ALLOW if right.allowed else AclPermissionType.DENY,
    )


@contextmanager
def _already(code: int) -> Iterator[None]:
    """What was to be removed is gone: somebody else was quicker."""
    try:
        yield
    except KafkaTrouble as error:
        cause = error.__cause__
        if not (isinstance(cause, KafkaException) and cause.args[0].code() == code):
            raise


def _all_done(futures: Mapping[Any, Any]) -> None:
    for future in futures.values():
        future.result()
