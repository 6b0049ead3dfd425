"""Make a broker have what it should: topics, SCRAM users and ACLs. Idempotent; nothing is changed or removed."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from sluice.kafka.admin import TIMEOUT_SECONDS, high_watermarks, topic_identities
from sluice.kafka.clients import KafkaTrouble, reason, translated
from sluice.provisioning import Right, Topic

_SCRAM_ITERATIONS = 8192


def create_topics(client: AdminClient, topics: Iterable[Topic], partitions: int, replication: int) -> list[str]:
    """The names of those that were not there before."""
    wanted = [
        NewTopic(
            topic.name,
            num_partitions=topic.partitions or partitions,
            replication_factor=replication,
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


def set_passwords(client: AdminClient, passwords: Mapping[str, str]) -> None:
    """SCRAM-SHA-512 credentials by user."""
    credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _SCRAM_ITERATIONS)
    upserts: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(user, credential, password.encode()) for user, password in passwords.items()
    ]
    with translated("create users"):
        _all_done(client.alter_user_scram_credentials(upserts, request_timeout=TIMEOUT_SECONDS))


def grant(client: AdminClient, rights: Iterable[Right]) -> None:
    bindings = [
        AclBinding(
            ResourceType[right.resource.value],
            right.name,
            ResourcePatternType.PREFIXED if right.prefixed else ResourcePatternType.LITERAL,
            f"User:{right.user}",
            "*",
            AclOperation[right.operation.value],
            AclPermissionType.ALLOW,
        )
        for right in rights
    ]
    with translated("grant rights"):
        _all_done(client.create_acls(bindings, request_timeout=TIMEOUT_SECONDS))


def _all_done(futures: Mapping[Any, Any]) -> None:
    for future in futures.values():
        future.result()
