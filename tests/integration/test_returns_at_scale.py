"""Ten thousand customers recalled from five partners, one of which never answers: nothing is left in between."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sluice import topics
from sluice.model import PartnerId
from sluice.partitioning import partition_of
from tests.integration.installation import ADRESSO, PARTITIONS, Installation, eventually

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]
CUSTOMERS = 10_000
SILENT = PartnerId("silent")
PARTNERS = (*(PartnerId(f"house-{number}") for number in range(4)), SILENT)


def contracts(folder: Path) -> None:
    """Address houses, who need nobody's consent; the silent one has little time."""
    text = (folder / f"{ADRESSO}.yaml").read_text(encoding="utf-8")
    for path in folder.glob("*.yaml"):
        path.unlink()
    for partner in PARTNERS:
        own = text.replace(f"partner: {ADRESSO}", f"partner: {partner}")
        limits = "{acknowledge_within: PT20S, pause_when_overdue: true}" if partner == SILENT else "{}"
        (folder / f"{partner}.yaml").write_text(own.replace("{acknowledge_within: P7D}", limits), encoding="utf-8")


def publish(installation: Installation, value: bytes | None) -> None:
    for number in range(CUSTOMERS):
        key = f"crm:{number}".encode()
        record = value and installation.profile(key.decode())
        place = partition_of(key, PARTITIONS)
        installation.crm.produce(topics.CUSTOMER_UPDATES, record, key, partition=place)
        installation.crm.poll(0)
    assert installation.crm.flush(60) == 0


def disclosed(installation: Installation) -> dict[str, Counter[str]]:
    """Entries by partner and action, as the disclosures have them."""
    found: dict[str, Counter[str]] = {}
    for record in installation.read(topics.DISCLOSURES):
        for entry in installation.registry.decode(record.value)["entries"]:
            found.setdefault(entry["partner"], Counter())[entry["action"]] += 1
    return found


def told(installation: Installation) -> dict[str, dict[str, Any]]:
    done = installation.run("recalls", "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["partner"]: one for one in lines if one["partner"] in PARTNERS}


def test_every_recall_is_acknowledged_or_visibly_overdue(installation: Installation) -> None:
    contracts(installation.contracts_folder)
    installation.apply()
    returns = installation.start_returns()
    publish(installation, b"there")
    installation.run("run", "sharing", "--until-end", "--metrics-port", "0")
    publish(installation, None)
    installation.run("run", "sharing", "--until-end", "--metrics-port", "0")
    for partner in PARTNERS:
        if partner != SILENT:
            done = installation.run("acknowledge", partner)
            assert json.loads(done.stdout)["acknowledged"] == CUSTOMERS, done.stderr
    acknowledged = len(PARTNERS[:-1]) * CUSTOMERS
    eventually(lambda: returns.metric("sluice_recalls", state="acknowledged") == acknowledged, "answered", 240)
    eventually(lambda: returns.metric("sluice_recalls", state="overdue") == CUSTOMERS, "all others are overdue", 60)
    account, log = told(installation), disclosed(installation)
    assert account.keys() == log.keys() == set(PARTNERS)
    for name, one in account.items():
        assert one["recalls"] == log[name]["RECALLED"] == CUSTOMERS
        assert one["acknowledged"] + one["overdue"] == one["recalls"], "nothing is left in between"
        assert one["overdue"] == (CUSTOMERS if name == SILENT else 0)
        assert bool(one["paused_since"]) is (name == SILENT)
    assert installation.refused() == []
    returns.stop()
