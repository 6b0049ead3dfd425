"""What somebody with a password may try on a broker, each as one call that raises when it is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)
from kafka.admin import KafkaAdminClient, UserScramCredentialUpsertion

from sluice.kafka import quotas
from sluice.kafka.clients import ClientConfig, KafkaTrouble, admin_client

Attempt = Callable[[], object]
_ANY: Any = None
_REFUSED = (
    "TOPIC_AUTHORIZATION_FAILED",
    "GROUP_AUTHORIZATION_FAILED",
    "CLUSTER_AUTHORIZATION_FAILED",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
    "UNKNOWN_TOPIC_OR_PART",
    "_NOENT",
)
"""Of a topic that somebody may not even know of, broker and client say that it is not there."""


def allowed(attempts: Mapping[str, Attempt]) -> dict[str, str]:
    """Those that were not refused for want of a right, and what came of them."""
    came = {name: _outcome(attempt) for name, attempt in attempts.items()}
    return {name: outcome for name, outcome in came.items() if outcome not in _REFUSED}


def _outcome(attempt: Attempt) -> str:
    try:
        attempt()
    except KafkaException as error:
        return str(error.args[0].name())
    except Exception as error:  # noqa: BLE001 - told as what came of it
        return f"{type(error).__name__}: {error}"
    return "done"


def on_topics(client: ClientConfig, names: Iterable[str], group: str) -> dict[str, Attempt]:
    """Reading, writing and changing each of these topics; `group` is one that the user may use."""
    admin = admin_client(client)
    attempts: dict[str, Attempt] = {}
    for name in names:
        attempts |= {
            **reading(client, name, group),
            **writing(client, name),
            **beyond_reading(admin, name),
        }
    return attempts


def reading(client: ClientConfig, name: str, group: str) -> dict[str, Attempt]:
    return {f"read {name}": partial(_join, client, name, group)}


def writing(client: ClientConfig, name: str) -> dict[str, Attempt]:
    return {f"write {name}": lambda: _write(client, name)}


def beyond_reading(admin: AdminClient, name: str) -> dict[str, Attempt]:
    """What nobody but the administrator does with a topic."""
    setting = ConfigEntry("retention.ms", "1", incremental_operation=AlterConfigOpType.SET)
    altered = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[setting])
    return {
        f"delete {name}": lambda: _done(admin.delete_topics([name])),
        f"add partitions to {name}": lambda: _done(admin.create_partitions([NewPartitions(name, 64)])),
        f"change settings of {name}": lambda: _done(admin.incremental_alter_configs([altered])),
        f"delete records of {name}": lambda: _done(admin.delete_records([TopicPartition(name, 0, 1)])),
    }


def settings_of(client: ClientConfig, name: str) -> dict[str, Attempt]:
    admin = admin_client(client)
    return {
        f"read settings of {name}": lambda: _done(admin.describe_configs([ConfigResource(ResourceType.TOPIC, name)]))
    }


def on_groups(client: ClientConfig, groups: Iterable[str], topic: str) -> dict[str, Attempt]:
    """`topic` is one that the user may read."""
    admin = admin_client(client)
    attempts: dict[str, Attempt] = {}
    for group in groups:
        moved = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 0)])
        asked = ConsumerGroupTopicPartitions(group)
        attempts |= {
            f"join {group}": partial(_join, client, topic, group),
            f"describe {group}": partial(_asked, admin.describe_consumer_groups, group),
            f"offsets of {group}": partial(_asked, admin.list_consumer_group_offsets, asked),
            f"move offsets of {group}": partial(_moved, admin, moved),
            f"delete {group}": partial(_asked, admin.delete_consumer_groups, group),
        }
    return attempts


def as_administrator(client: ClientConfig, user: str) -> dict[str, Attempt]:
    """What only who runs the broker does."""
    admin = admin_client(client)
    rule = AclBinding(
        ResourceType.TOPIC,
        "crm.",
        ResourcePatternType.PREFIXED,
        f"User:{user}",
        "*",
        AclOperation.ALL,
        AclPermissionType.ALLOW,
    )
    every = AclBindingFilter(
        ResourceType.ANY, _ANY, ResourcePatternType.ANY, _ANY, _ANY, AclOperation.ANY, AclPermissionType.ANY
    )
    own = AclBindingFilter(
        ResourceType.TOPIC, _ANY, ResourcePatternType.ANY, f"User:{user}", _ANY, AclOperation.ANY, AclPermissionType.ANY
    )
    return {
        "create a topic": lambda: _done(admin.create_topics([NewTopic("partner.mine", 1, 1)])),
        "create a topic of its own": lambda: _done(admin.create_topics([NewTopic(f"partner.{user}.more", 1, 1)])),
        "list rights": lambda: _rules(admin, every),
        "grant itself a right": lambda: _done(admin.create_acls([rule])),
        "take rights away": lambda: _done(admin.delete_acls([own])),
        "set a password": lambda: _password(client, user),
        "read the broker's settings": lambda: _done(admin.describe_configs([ConfigResource(ResourceType.BROKER, "1")])),
        "lift its quota": lambda: _quota(client, user),
        "write idempotently to what is not its own": lambda: _write(client, "sluice.disclosures"),
    }


def with_transactions(client: ClientConfig, ids: Iterable[str]) -> dict[str, Attempt]:
    return {f"begin transactions as {one}": partial(_begin, client, one) for one in ids}


def _begin(client: ClientConfig, transactional_id: str) -> None:
    Producer({**client, "transactional.id": transactional_id, "log_level": 0}).init_transactions(10)


def _quota(client: ClientConfig, user: str) -> None:
    try:
        quotas.set_rates(client, {user: None})
    except KafkaTrouble as error:
        if "lacks the right" in str(error):
            raise KafkaException(_Refused()) from error
        raise


def _rules(admin: AdminClient, every: AclBindingFilter) -> None:
    """The library says nothing when it is refused: it gives no rules."""
    if not admin.describe_acls(every).result():
        raise KafkaException(_Refused())


def _password(client: ClientConfig, user: str) -> None:
    with KafkaAdminClient(**quotas.options(client)) as admin:
        told = admin.alter_user_scram_credentials([UserScramCredentialUpsertion(user, "SCRAM-SHA-512", "mine")])
    for complaint in filter(None, told.values()):
        raise KafkaException(_Refused()) if "needs ALTER permission" in complaint else AssertionError(complaint)


class _Refused:
    def name(self) -> str:
        return "CLUSTER_AUTHORIZATION_FAILED"


def _join(client: ClientConfig, topic: str, group: str) -> None:
    consumer = Consumer({**client, "group.id": group, "enable.partition.eof": True, "log_level": 0})
    try:
        consumer.subscribe([topic])
        _first(consumer)
    finally:
        consumer.close()


def _first(consumer: Consumer) -> None:
    """Raises the first error; a record, or the end of a partition, is an answer too."""
    message = consumer.poll(10)
    if message is None:
        raise AssertionError("neither an answer nor a refusal")
    error = message.error()
    if error is not None and error.name() != "_PARTITION_EOF":
        raise KafkaException(error)


def _write(client: ClientConfig, topic: str) -> None:
    producer = Producer({**client, "enable.idempotence": False, "message.timeout.ms": 5_000, "log_level": 0})
    failures: list[Any] = []
    producer.produce(topic, b"x", b"k", on_delivery=lambda error, _: failures.append(error) if error else None)
    producer.flush(10)
    for failure in failures:
        raise KafkaException(failure)


def _asked(question: Callable[[list[Any]], Mapping[Any, Any]], about: object) -> None:
    _done(question([about]))


def _moved(admin: AdminClient, offsets: ConsumerGroupTopicPartitions) -> None:
    """The library tells of a refusal by partition alone."""
    for future in admin.alter_consumer_group_offsets([offsets]).values():
        for partition in future.result(10).topic_partitions:
            if partition.error is not None:
                raise KafkaException(partition.error)


def _done(futures: Mapping[Any, Any]) -> None:
    for future in futures.values():
        future.result(10)
