"""What there is on a broker, for a plan: one call for each kind of thing, however many there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ConfigResource,
    ConfigSource,
    ResourcePatternType,
    ResourceType,
)

from sluice.kafka.admin import TIMEOUT_SECONDS, topic_identities, topic_names
from sluice.kafka.clients import Broker, KafkaTrouble, translated
from sluice.planning import ActualTopic
from sluice.provisioning import Operation, Resource, Right

_USER = "User:"
_ANY: Any = None
"""Of a filter's names: the library takes it, and its annotations do not."""
_EVERY_RULE = AclBindingFilter(
    ResourceType.ANY, _ANY, ResourcePatternType.ANY, _ANY, _ANY, AclOperation.ANY, AclPermissionType.ANY
)


def refuse_who_may_not_look(client: Broker) -> None:
    """Raises KafkaTrouble for anybody but an administrator.

    Asked before all else: to who may not ask for them the library gives no rights, and says nothing; and asked for
    users, it ends the process (2.16.0).
    """
    with translated("reach the broker"):
        described = client.describe_cluster(include_authorized_operations=True, request_timeout=TIMEOUT_SECONDS)
        may = set(described.result().authorized_operations or ())
    if not may >= {AclOperation.DESCRIBE, AclOperation.ALTER}:
        raise KafkaTrouble("The user in admin.properties is no administrator of the broker: it may not alter rights.")


def topics(client: Broker, is_ours: Callable[[str], bool]) -> dict[str, ActualTopic]:
    """Those that are ours, by name. Raises KafkaTrouble."""
    names = sorted(filter(is_ours, topic_names(client)))
    if not names:
        return {}
    own = _own_settings(client, names)
    return {
        topic.name: ActualTopic(topic.topic_id, topic.partitions, own[topic.name])
        for topic in topic_identities(client, names)
    }


def _own_settings(client: Broker, names: list[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    set_on_it = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    with translated("read the settings of topics"):
        futures = client.describe_configs(resources, request_timeout=TIMEOUT_SECONDS)
        return {
            resource.name: {
                name: str(entry.value) for name, entry in future.result().items() if entry.source == set_on_it
            }
            for resource, future in futures.items()
        }


def users(client: Broker) -> dict[str, frozenset[str]]:
    """The mechanisms that each user has a password for, as connection files name them. Raises KafkaTrouble."""
    with translated("list the users"):
        asked: Any = client.describe_user_scram_credentials(request_timeout=TIMEOUT_SECONDS)  # a future of everybody's
        found = asked.result()
    return {
        name: frozenset(info.mechanism.name.replace("_", "-") for info in described.scram_credential_infos)
        for name, described in found.items()
    }


def rights(client: Broker) -> tuple[Right, ...]:
    """Everybody's, sorted. Raises KafkaTrouble."""
    with translated("list the rights"):
        found = client.describe_acls(_EVERY_RULE, request_timeout=TIMEOUT_SECONDS).result()
    return tuple(sorted(map(_right, found)))


def _right(rule: AclBinding) -> Right:
    resource = ResourceType(rule.restype)
    return Right(
        user=rule.principal.removeprefix(_USER),
        operation=Operation(AclOperation(rule.operation).name),
        resource=Resource.CLUSTER if resource is ResourceType.BROKER else Resource(resource.name),
        name=rule.name,
        prefixed=rule.resource_pattern_type is ResourcePatternType.PREFIXED,
        host=rule.host,
        allowed=rule.permission_type is AclPermissionType.ALLOW,
    )
