"""What a broker is asked about itself: ends of partitions, identity of topics, their limits."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from confluent_kafka import ConsumerGroupState, IsolationLevel, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType

from sluice.kafka.clients import KafkaTrouble, KafkaUnavailable, is_passing, reason, translated

TIMEOUT_SECONDS = 10.0

Partition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class TopicIdentity:
    """What makes a topic this topic: re-created under the same name it has another id."""

    name: str
    topic_id: str
    partitions: int


def high_watermarks(client: AdminClient, partitions: Collection[Partition]) -> dict[Partition, int]:
    """One past the last record of each partition, committed or not."""
    return _offsets(client, partitions, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)


def stable_ends(
    client: AdminClient, partitions: Collection[Partition], timeout_seconds: float = TIMEOUT_SECONDS
) -> dict[Partition, int]:
    """Below these offsets every transaction has ended: what who reads committed can read."""
    return _offsets(client, partitions, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED, timeout_seconds)


def beginnings(client: AdminClient, partitions: Collection[Partition]) -> dict[Partition, int]:
    """The first offset that each partition still has."""
    return _offsets(client, partitions, OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED)


def _offsets(
    client: AdminClient,
    partitions: Collection[Partition],
    spec: OffsetSpec,
    isolation: IsolationLevel,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> dict[Partition, int]:
    if not partitions:
        return {}
    with translated("read the ends of partitions"):
        futures = client.list_offsets(
            {TopicPartition(topic, partition): spec for topic, partition in partitions},
            isolation_level=isolation,
            request_timeout=timeout_seconds,
        )
        offsets = {(tp.topic, tp.partition): future.result().offset for tp, future in futures.items()}
    for (topic, partition), offset in offsets.items():
        if offset < 0:  # what the library gives, without an error, when the connection breaks while it asks
            raise KafkaUnavailable(f"Cannot read the end of {topic}/{partition}: the broker did not say.")
    return offsets


def answers(client: AdminClient, timeout_seconds: float) -> bool:
    """Whether a broker answers this user now."""
    try:
        return bool(client.list_topics(timeout=timeout_seconds).brokers)
    except KafkaException:
        return False


def client_ids(client: AdminClient, group: str) -> set[str]:
    """Of the group's live members.

    By the older call of two: when the answer to `describe_consumer_groups` comes after its time-out, the library
    aborts the process (librdkafka issue 4605, seen with 2.16.0 after a broker was killed).
    """
    with translated(f"look at the group {group}"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = client.list_groups(group, timeout=TIMEOUT_SECONDS)
    for one in found:
        if one.error is not None:
            raise KafkaUnavailable(f"Cannot look at the group {group}: {reason(one.error)}.")
    return {str(member.client_id) for one in found for member in one.members}


def groups(client: AdminClient) -> dict[str, bool]:
    """All consumer groups that this user may see, and whether each has members now."""
    with translated("list the consumer groups"):
        found = client.list_consumer_groups(request_timeout=TIMEOUT_SECONDS).result()
    if found.errors:
        raise KafkaUnavailable(f"Cannot list the consumer groups: {reason(found.errors[0])}.")
    without = (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)
    return {group.group_id: group.state not in without for group in found.valid}


def cluster_id(client: AdminClient) -> str:
    with translated("reach the broker"):
        return str(client.list_topics(timeout=TIMEOUT_SECONDS).cluster_id)


def topic_identities(client: AdminClient, topics: Collection[str]) -> list[TopicIdentity]:
    """Identity of each topic, by name. Raises KafkaTrouble that names a topic which is not there or not for us."""
    futures = client.describe_topics(TopicCollection(sorted(topics)), request_timeout=TIMEOUT_SECONDS)
    found = []
    for name, future in sorted(futures.items()):
        try:
            description = future.result()
        except KafkaException as error:
            if is_passing(error.args[0]):
                raise KafkaUnavailable(f"Cannot look at the topic {name}: {reason(error)}.") from error
            raise KafkaTrouble(
                f"Cannot use the topic {name}: {reason(error)}; `sluice apply` makes it and its rights."
            ) from error
        found.append(TopicIdentity(name, str(description.topic_id), len(description.partitions)))
    return found


def topic_names(client: AdminClient) -> set[str]:
    """Of all topics that this user may see."""
    with translated("list the topics"):
        return set(client.list_topics(timeout=TIMEOUT_SECONDS).topics)


def topic_settings(client: AdminClient, topics: Collection[str]) -> dict[str, Mapping[str, str]]:
    """The settings in force of each topic, by name."""
    resources = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
    with translated("read the settings of topics"):
        futures = client.describe_configs(resources, request_timeout=TIMEOUT_SECONDS)
        return {
            resource.name: {name: str(entry.value) for name, entry in future.result().items()}
            for resource, future in futures.items()
        }
