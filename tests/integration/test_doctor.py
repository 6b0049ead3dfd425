"""An installation looked over: well, and with one thing after the other that is not."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sluice import topics
from sluice.kafka import inventory
from sluice.kafka import provisioning as broker_side
from sluice.local.stack import Endpoints
from sluice.model import PartnerId
from sluice.provisioning import Operation, Resource, Right
from tests.integration.installation import HOSHI, PARTITIONS, Installation, eventually

pytestmark = pytest.mark.broker

_READ = Right(HOSHI, Operation.READ, Resource.TOPIC, topics.customers(HOSHI))


def findings(installation: Installation) -> dict[str, tuple[str, str]]:
    """State and sentence, by check."""
    done = installation.run("doctor", "--json")
    assert done.stderr == ""
    told = {line["check"]: (line["state"], line["says"]) for line in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == (1 if "trouble" in {state for state, _ in told.values()} else 0)
    return told


def not_well(installation: Installation) -> dict[str, str]:
    return {check: says for check, (state, says) in findings(installation).items() if state != "fine"}


@pytest.fixture
def running(installation: Installation) -> Iterator[Installation]:
    """Somebody shares and somebody hears; nothing is left over of other tests."""
    left = [one["address"] for one in json.loads(installation.run("plan", "--json").stdout)["left_over"]]
    destroy = [word for address in left for word in ("--destroy", address)]
    assert installation.run("apply", "--yes", *destroy).returncode == 0
    started = installation.start_processor(), installation.start_returns()
    yield installation
    for one in started:
        one.stop()


def test_an_installation_that_is_well(running: Installation) -> None:
    assert not_well(running) == {}
    shown = running.run("doctor").stdout
    assert "TROUBLE" not in shown
    assert "The broker at" in shown


def _no_key(installation: Installation) -> None:
    (installation.folder / "master.key").unlink()


def _another_key(installation: Installation) -> None:
    (installation.folder / "master.key").write_text("ab" * 32, encoding="utf-8")


def _contract_that_is_none(installation: Installation) -> None:
    path = installation.contracts_folder / f"{HOSHI}.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("email: keep", "email: kep"), encoding="utf-8")


def _contract_that_is_not_applied(installation: Installation) -> None:
    wanted = installation.contracts_folder / "latecomer.yaml"
    text = (installation.contracts_folder / f"{HOSHI}.yaml").read_text(encoding="utf-8")
    wanted.write_text(text.replace(f"partner: {HOSHI}", f"partner: {PartnerId('latecomer')}"), encoding="utf-8")


def _store_of_last_month(installation: Installation) -> None:
    then = time.time() - 30 * 86_400
    state = installation.folder / "old-state"
    shutil.copytree(installation.folder / "state", state)
    for path in state.rglob("*"):
        os.utime(path, (then, then))
    installation.write_settings(state=str(state))


def _right_too_few(installation: Installation) -> None:
    broker_side.revoke(installation.admin, [_READ])
    eventually(lambda: _READ not in inventory.rights(installation.admin), "it is gone")


def _right_too_many(installation: Installation) -> None:
    broker_side.grant(installation.admin, [replace(_READ, name=topics.CONSENT_EVENTS)])


def _right_of_a_stranger(installation: Installation) -> None:
    broker_side.grant(installation.admin, [replace(_READ, user="stranger")])


def _setting_that_somebody_changed(installation: Installation) -> None:
    broker_side.change_settings(installation.admin, [(topics.CUSTOMER_UPDATES, "cleanup.policy", "delete")])


def _partitions_of_another_number(installation: Installation) -> None:
    installation.write_settings()
    settings = json.loads(installation.settings_path.read_text(encoding="utf-8"))
    installation.settings_path.write_text(json.dumps({**settings, "partitions": PARTITIONS + 1}), encoding="utf-8")


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        pytest.param(_right_too_few, "1 right: `sluice plan` shows them, and `sluice apply` makes them so"),
        pytest.param(_right_too_many, f"`sluice apply --destroy right/{HOSHI}/READ/TOPIC/{topics.CONSENT_EVENTS}`"),
        pytest.param(_right_of_a_stranger, "nobody here knows stranger; see to it by hand"),
        pytest.param(_setting_that_somebody_changed, "1 setting: `sluice plan` shows them"),
        pytest.param(_partitions_of_another_number, f"has {PARTITIONS} partitions, and has to have {PARTITIONS + 1}"),
    ],
    ids=["a right too few", "a right too many", "a stranger's right", "a setting", "partitions"],
)
def test_what_is_not_as_the_contracts_ask_is_a_trouble(
    running: Installation, breaks: Callable[[Installation], None], says: str
) -> None:
    breaks(running)
    try:
        found = not_well(running)
        assert set(found) == {"plan"}
        assert says in found["plan"]
    finally:
        broker_side.revoke(running.admin, [replace(_READ, user="stranger"), replace(_READ, name=topics.CONSENT_EVENTS)])
        broker_side.grant(running.admin, [_READ])
        broker_side.change_settings(running.admin, [(topics.CUSTOMER_UPDATES, "cleanup.policy", "compact")])


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        pytest.param(_no_key, {"key": "master.key", "plan": "master.key"}, id="no key"),
        pytest.param(_another_key, {"key": "Do not `sluice apply`", "plan": "1 contract set"}, id="another key"),
        pytest.param(_contract_that_is_none, {"contracts": "kep", "plan": "kep"}, id="a contract that is none"),
        pytest.param(_contract_that_is_not_applied, {"plan": "`sluice plan` shows them"}, id="something is missing"),
        pytest.param(_store_of_last_month, {"store": "delete these folders"}, id="a store of last month"),
    ],
)
def test_each_trouble_is_told_with_what_to_do(
    running: Installation, breaks: Callable[[Installation], None], says: dict[str, str]
) -> None:
    breaks(running)
    found = not_well(running)
    assert found.keys() == says.keys(), found
    for check, words in says.items():
        assert words in found[check]
    if breaks in {_no_key, _another_key}:
        running.is_tampered_with = True


def test_nobody_works(installation: Installation) -> None:
    assert "start `sluice run sharing`" in not_well(installation)["processes"]


def test_nobody_hears_what_partners_return(installation: Installation) -> None:
    """SluiceReturnsGone wakes somebody for it."""
    with installation.processor():
        state, says = findings(installation)["processes"]
    assert state == "trouble"
    assert "start `sluice run returns`" in says


def test_what_cannot_be_reached_hides_the_rest(installation: Installation, endpoints: Endpoints) -> None:
    """A wrong password of one user, and no registry: what needs them is said to be unseen, not fine."""
    clients = installation.folder / "clients"
    shutil.copytree(endpoints.clients, clients)
    _replace(clients / "sharing.properties", "sasl.password=", "sasl.password=x")
    _replace(clients / "registry.properties", "url=http://127.0.0.1:", "url=http://127.0.0.1:1/")
    settings = json.loads(installation.settings_path.read_text(encoding="utf-8"))
    installation.settings_path.write_text(json.dumps({**settings, "clients": str(clients)}), encoding="utf-8")
    found = findings(installation)
    assert found["user admin"][0] == "fine"
    assert found["user sharing"][0] == "trouble"
    assert f"does not know user or password of {clients}/sharing.properties" in found["user sharing"][1]
    assert found["registry"][0] == "trouble"
    assert f"where {clients}/registry.properties says" in found["registry"][1]
    unseen = {check for check, (state, _) in found.items() if state == "unseen"}
    assert unseen == {"clock", "key", "contracts", "plan", "store", "processes"}


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
