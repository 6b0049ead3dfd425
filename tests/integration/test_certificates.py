"""A broker that calls who has a certificate by its subject, as every broker does that is told nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest
import yaml
from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType

from sluice import topics
from sluice.kafka import inventory, quotas
from sluice.kafka import provisioning as broker_side
from sluice.kafka.clients import KafkaTrouble
from sluice.local.stack import Endpoints
from sluice.provisioning import Operation, Resource, Right
from stream_processors.returns.reading import USER as RETURNS
from tests.integration import compose_broker
from tests.integration.compose_broker import ComposeBroker
from tests.integration.installation import ADRESSO, HOSHI, Installation, eventually

pytestmark = pytest.mark.broker

_SUBJECT = f"CN={HOSHI}"
_RATE = 2_000_000
_READ = Right(_SUBJECT, Operation.READ, Resource.TOPIC, topics.customers(HOSHI))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeBroker]:
    folder, changes = tmp_path_factory.mktemp("by-subject"), compose_broker.CALLS_BY_SUBJECT
    with compose_broker.started(folder, HOSHI, RETURNS, changes=changes) as broker:
        yield broker


@pytest.fixture(scope="module")
def installation(
    broker: ComposeBroker, endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """A partner and the returns processor have certificates; everybody else has a password."""
    broker.point_at_registry(endpoints.registry_url)
    for user in (HOSHI, RETURNS):
        shutil.copy2(broker.folder / f"partners/{user}.properties", broker.clients)
    here = replace(endpoints, clients=broker.clients)
    made = Installation(here, tmp_path_factory.mktemp("certified"), certificates=(HOSHI, RETURNS))
    made.set_up()
    made.edit(HOSHI, "limits: {", "limits: {rate: 2 MB/s, ")
    made.remove_left_over()  # of other tests, in the registry that they share
    yield made
    made.tear_down()


def rights_of(installation: Installation, name: str) -> list[Right]:
    return [right for right in inventory.rights(installation.admin) if right.user == name]


def rates(installation: Installation) -> dict[str, int]:
    return quotas.read_rates(installation.settings.client("admin"))


def nothing_to_do(installation: Installation) -> bool:
    return installation.run("plan").stdout == "Nothing to do.\n"


def test_apply_gives_rights_and_limits_to_the_name_that_the_broker_makes_of_a_certificate(
    installation: Installation,
) -> None:
    assert nothing_to_do(installation)
    assert rates(installation) == {_SUBJECT: _RATE}
    assert rights_of(installation, HOSHI) == rights_of(installation, RETURNS) == []
    assert installation.read_as(HOSHI, topics.customers(HOSHI)) == []
    with pytest.raises(KafkaTrouble, match=r"authorization failed|denied"):
        installation.read_as(HOSHI, topics.customers(ADRESSO))
    told = map(json.loads, installation.run("doctor", "--json").stdout.splitlines())
    assert {one["check"]: one["state"] for one in told}["plan"] == "fine"


def test_what_a_certificate_lacks_is_found_and_mended(installation: Installation) -> None:
    broker_side.revoke(installation.admin, [_READ])
    eventually(lambda: _READ not in rights_of(installation, _SUBJECT), "it is gone")
    seen = installation.run("plan")
    assert seen.returncode == 2, seen.stdout
    assert f"+ right/{_SUBJECT}/READ/TOPIC/{_READ.name}" in seen.stdout
    assert installation.run("apply", "--yes").returncode == 0
    assert nothing_to_do(installation)


def test_after_strimzis_user_operator_nothing_is_to_do(installation: Installation) -> None:
    """It takes away what others granted to its users, and grants to the subject what is rendered for it."""
    broker_side.revoke(installation.admin, rights_of(installation, _SUBJECT))
    quotas.set_rates(installation.settings.client("admin"), {_SUBJECT: None})
    eventually(lambda: not rights_of(installation, _SUBJECT), "all are gone")
    rendered = yaml.safe_load_all(installation.run("render", "kubernetes").stdout)
    (user,) = (one for one in rendered if (one["kind"], one["metadata"]["name"]) == ("KafkaUser", HOSHI))
    assert user["spec"]["authentication"] == {"type": "tls"}
    granted = [
        AclBinding(
            ResourceType[acl["resource"]["type"].upper()],
            acl["resource"]["name"],
            ResourcePatternType[{"prefix": "PREFIXED", "literal": "LITERAL"}[acl["resource"]["patternType"]]],
            f"User:{_SUBJECT}",
            "*",
            AclOperation[operation.upper()],
            AclPermissionType.ALLOW,
        )
        for acl in user["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
    ]
    for future in installation.admin.create_acls(granted).values():
        future.result()
    quotas.set_rates(installation.settings.client("admin"), {_SUBJECT: user["spec"]["quotas"]["consumerByteRate"]})
    eventually(lambda: nothing_to_do(installation), "nothing is to do")


def test_rights_under_a_name_by_which_nobody_comes_are_left_over(installation: Installation) -> None:
    broker_side.grant(installation.admin, [replace(_READ, user=HOSHI)])
    address = f"right/{HOSHI}/READ/TOPIC/{_READ.name}"
    eventually(lambda: f"- {address}" in installation.run("plan").stdout, "it is told")
    done = installation.run("apply", "--yes", "--destroy", address)
    assert done.returncode == 0, done.stderr
    eventually(lambda: nothing_to_do(installation), "nothing is to do")


def test_run_returns_logs_in_with_a_certificate_and_hears_a_partner_who_does_too(installation: Installation) -> None:
    with installation.processor():
        installation.say("crm:1", HOSHI, "GIVEN")
        installation.update("crm:1")
        eventually(lambda: len(installation.holds(HOSHI)) == 1, "shared")
        installation.say("crm:1", HOSHI, "WITHDRAWN")
        eventually(lambda: not installation.holds(HOSHI), "recalled")
    (recall,) = installation.control(HOSHI)
    assert not any(name.startswith("sasl") for name in installation.settings.client(RETURNS))
    returns = installation.start_returns()
    installation.acknowledge(HOSHI, recall)
    heard = {"partner": HOSHI, "state": "acknowledged"}
    eventually(lambda: returns.metric("sluice_recalls", **heard) == 1, f"acknowledged: {returns.log.read_text()}")
    (accepted,) = installation.accepted()
    assert (accepted["decision_id"], accepted["partner"]) == (recall["decision_id"], HOSHI)
    returns.stop()


def test_run_returns_refuses_what_its_library_cannot_do(broker: ComposeBroker, installation: Installation) -> None:
    """At once, before it reads what was said."""
    path = broker.clients / f"{RETURNS}.properties"
    before = path.read_text(encoding="ascii")
    path.write_text(before.replace("ssl.key.location=", "ssl.keystore.location="), encoding="ascii")
    path.chmod(0o600)
    try:
        returns = installation.start_returns(wait=False)
        returns.ends_with("which does not know `ssl.keystore.location` in returns.properties: name files in PEM")
    finally:
        path.write_text(before, encoding="ascii")
