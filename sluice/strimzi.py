"""What provisioning would create, as resources of Strimzi's operators on Kubernetes. Pure.

The Topic Operator makes the topics, the User Operator the users and their rights. A topic's and a user's name is the
resource's own. Passwords stand in a Secret that the installation has, a key for each user, and nowhere here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from sluice.errors import SluiceError
from sluice.provisioning import Desired, Operation, Topic
from sluice.provisioning import Resource as Kind

Manifest: TypeAlias = dict[str, object]

PASSWORDS = "sluice-passwords"
"""The Secret's name."""

_VERSION = "kafka.strimzi.io/v1"
_KINDS = {Kind.TOPIC: "topic", Kind.GROUP: "group", Kind.TRANSACTIONAL_ID: "transactionalId"}
_OPERATIONS = {
    Operation.READ: "Read",
    Operation.WRITE: "Write",
    Operation.DESCRIBE: "Describe",
    Operation.DESCRIBE_CONFIGS: "DescribeConfigs",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """The Kafka resource that topics and users belong to. Replication is what it sets for all topics."""

    name: str
    partitions: int


def resources(wanted: Desired, cluster: Cluster) -> list[Manifest]:
    """A KafkaTopic for each topic, a KafkaUser for each user; the User Operator makes and renews certificates.

    Raises SluiceError for a name that Kubernetes refuses, and for a certificate of nobody.
    """
    strangers = sorted(wanted.certified - set(wanted.users))
    if strangers:
        raise SluiceError(
            f"There is no user {strangers[0]}, whom `certificates` names; the users are {_listed(wanted.users)}."
        )
    for user in wanted.users:
        if user.endswith("-"):
            raise SluiceError(f"Kubernetes takes no name that ends with a hyphen: give the partner {user} another.")
    return [
        *(_topic(topic, cluster) for topic in wanted.topics),
        *(_user(user, wanted, cluster) for user in wanted.users),
    ]


def _topic(topic: Topic, cluster: Cluster) -> Manifest:
    spec = {"partitions": topic.partitions or cluster.partitions, "config": dict(topic.settings)}
    return _resource("KafkaTopic", topic.name, cluster, spec)


def _user(name: str, wanted: Desired, cluster: Cluster) -> Manifest:
    spec = {"authentication": _login(name, wanted), "authorization": _authorization(name, wanted)}
    rate = next((quota.bytes_per_second for quota in wanted.quotas if quota.user == name), None)
    limited = {} if rate is None else {"quotas": {"consumerByteRate": rate}}
    return _resource("KafkaUser", name, cluster, {**spec, **limited})


def _authorization(user: str, wanted: Desired) -> Mapping[str, object]:
    rules: dict[tuple[Kind, str, bool], list[str]] = {}
    for right in wanted.rights:
        if right.user != user:
            continue
        rules.setdefault((right.resource, right.name, right.prefixed), []).append(_OPERATIONS[right.operation])
    acls = [
        {
            "resource": {"type": _KINDS[kind], "name": on, "patternType": "prefix" if prefixed else "literal"},
            "operations": operations,
        }
        for (kind, on, prefixed), operations in rules.items()
    ]
    return {"type": "simple", "acls": acls}


def _login(name: str, wanted: Desired) -> Mapping[str, object]:
    if name in wanted.certified:
        return {"type": "tls"}
    return {"type": "scram-sha-512", "password": {"valueFrom": {"secretKeyRef": {"name": PASSWORDS, "key": name}}}}


def _resource(kind: str, name: str, cluster: Cluster, spec: Mapping[str, object]) -> Manifest:
    labels = {"strimzi.io/cluster": cluster.name}
    return {"apiVersion": _VERSION, "kind": kind, "metadata": {"name": name, "labels": labels}, "spec": dict(spec)}


def _listed(names: Collection[str]) -> str:
    return ", ".join(names)
