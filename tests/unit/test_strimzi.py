"""What is rendered for Strimzi is what provisioning would create, in names that Kubernetes takes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from sluice.contract import ContractSet
from sluice.errors import SluiceError
from sluice.provisioning import Desired, Groups, Operation, Quota, Resource, Right, desired
from sluice.render_commands import render
from sluice.strimzi import PASSWORDS, Cluster, resources
from tests.unit.installation import SERVICE_PROVIDER, Installation

NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""RFC 1123's subdomain, as Kubernetes wants names of resources."""
KINDS = {"topic": Resource.TOPIC, "group": Resource.GROUP, "transactionalId": Resource.TRANSACTIONAL_ID}
OPERATIONS = {
    "Read": Operation.READ,
    "Write": Operation.WRITE,
    "Describe": Operation.DESCRIBE,
    "DescribeConfigs": Operation.DESCRIBE_CONFIGS,
}


def contracts(*partners: str) -> ContractSet:
    return Installation(*({**SERVICE_PROVIDER, "partner": partner} for partner in partners)).contracts


GROUPS = Groups("sluice.sharing", "sluice.returns", "sluice.providers")
WANTED = desired(contracts("a", "a-b", "hoshi-card"), GROUPS)


def made(wanted: Desired = WANTED, *certificates: str) -> list[dict[str, Any]]:
    return [dict(one) for one in resources(replace(wanted, certified=frozenset(certificates)), Cluster("kafka", 12))]


def of(kind: str, manifests: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one["spec"] for one in manifests if one["kind"] == kind}


def test_topics_are_those_that_provisioning_creates() -> None:
    topics = of("KafkaTopic", made())
    assert topics == {
        topic.name: {"partitions": topic.partitions or 12, "config": topic.settings} for topic in WANTED.topics
    }


@pytest.mark.parametrize("certificates", [(), ("hoshi-card",)])
def test_rights_are_those_that_provisioning_grants(certificates: tuple[str, ...]) -> None:
    rights = {
        Right(
            user,
            OPERATIONS[operation],
            KINDS[acl["resource"]["type"]],
            acl["resource"]["name"],
            acl["resource"]["patternType"] == "prefix",
        )
        for user, spec in of("KafkaUser", made(WANTED, *certificates)).items()
        for acl in spec["authorization"]["acls"]
        for operation in acl["operations"]
    }
    assert rights == set(WANTED.rights)


def test_quotas_are_those_that_provisioning_sets() -> None:
    limited = replace(WANTED, quotas=(Quota("a-b", 2_000_000),))
    found = {name: spec["quotas"] for name, spec in of("KafkaUser", made(limited)).items() if "quotas" in spec}
    assert found == {"a-b": {"consumerByteRate": 2_000_000}}


def test_passwords_stand_elsewhere_and_certificates_need_none() -> None:
    users = of("KafkaUser", made(WANTED, "hoshi-card"))
    assert set(users) == set(WANTED.users)
    for name, spec in users.items():
        reference = {"valueFrom": {"secretKeyRef": {"name": PASSWORDS, "key": name}}}
        wanted = {"type": "tls"} if name == "hoshi-card" else {"type": "scram-sha-512", "password": reference}
        assert spec["authentication"] == wanted


def test_every_resource_belongs_to_the_cluster_under_a_name_that_kubernetes_takes() -> None:
    for one in made():
        assert one["metadata"]["labels"] == {"strimzi.io/cluster": "kafka"}
        assert NAME.fullmatch(one["metadata"]["name"])


def test_a_partner_whose_name_kubernetes_refuses_is_told() -> None:
    with pytest.raises(SluiceError, match="give the partner a- another"):
        made(desired(contracts("a-"), GROUPS))


def test_a_certificate_for_nobody_is_a_mistake() -> None:
    with pytest.raises(
        SluiceError,
        match="no user hoshi-cart, whom `certificates` names; the users are crm, sharing, returns, providers, a, a-b",
    ):
        made(WANTED, "hoshi-cart")


def test_the_command_prints_them_for_the_contracts_of_a_folder(tmp_path: Path) -> None:
    settings = tmp_path / "sluice.yaml"
    settings.write_text(
        "{clients: c, contracts: none, master_key: k, partitions: 6, certificates: [listmart], "
        "sharing: {state: s, group: other}}",
        encoding="utf-8",
    )
    done = called("--settings", str(settings), "--contracts", "deploy/demo/contracts")
    assert done.exit_code == 0, done.output
    printed = list(yaml.safe_load_all(done.output))
    topics, users = of("KafkaTopic", printed), of("KafkaUser", printed)
    assert topics["partner.hoshi-card.customers"]["partitions"] == 6
    assert users["listmart"]["authentication"] == {"type": "tls"}
    groups = {
        a["resource"]["name"] for a in users["sharing"]["authorization"]["acls"] if a["resource"]["type"] == "group"
    }
    assert groups == {"other"}


def called(*arguments: str) -> Result:
    return CliRunner().invoke(render, ["kubernetes", *arguments])
