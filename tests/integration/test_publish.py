"""What a CRM team does, through the command line, on a real broker and registry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sluice import topics
from sluice.demo import people
from tests.integration.installation import HOSHI, Installation, eventually

pytestmark = pytest.mark.broker


def test_unreadable_rows_are_reported_and_never_published_half(installation: Installation, tmp_path: Path) -> None:
    rows = [
        '{"customer_id": "crm:1", "family_name": "Mori", "updated_at": 1790000000000}',
        '{"customer_id": "crm:2", "family_name": 5, "updated_at": 1790000000000}',
        "{not json",
        '{"customer_id": "crm:3", "surname": "Secret", "updated_at": 1790000000000}',
        '{"family_name": "Nobody", "updated_at": 1790000000000}',
        '{"customer_id": "crm:4", "family_name": "Sato", "updated_at": 1790000000000}',
    ]
    path = tmp_path / "people.jsonl"
    path.write_text("\n".join(rows), encoding="utf-8")
    result = installation.run("publish", "customers", str(path), "--json")
    assert result.returncode == 1
    summary = json.loads(result.stdout)
    assert (summary["read"], summary["published"], summary["refused"]) == (6, 2, 4)
    assert [error["line"] for error in summary["errors"]] == [2, 3, 4, 5]
    assert "Secret" not in result.stdout + result.stderr
    assert sorted(record.key or b"" for record in installation.read(topics.CUSTOMER_UPDATES)) == [b"crm:1", b"crm:4"]


def test_a_published_data_set_is_mapped_and_shared(installation: Installation, tmp_path: Path) -> None:
    source = people.data_set()
    some = tmp_path / "febrl.csv"
    some.write_text("".join(source.read_text(encoding="utf-8").splitlines(keepends=True)[:51]), encoding="utf-8")
    customers = people.customer_ids(some)
    contract = installation.checked(HOSHI).contract
    consents = tmp_path / "consents.jsonl"
    granted = (people.answer(customer, contract, "GIVEN", 1_790_000_000_000) for customer in customers)
    assert people.write_json_lines(consents, granted) == 50
    with installation.processor():
        assert installation.run("publish", "consents", str(consents)).returncode == 0
        mapping = ("--mapping", "deploy/demo/febrl.yaml", "--source", people.SOURCE)
        assert installation.run("publish", "customers", str(some), *mapping).returncode == 0
        eventually(lambda: len(installation.holds(HOSHI)) > 40, "shared")


def test_deletion_is_published_as_null(installation: Installation, tmp_path: Path) -> None:
    path = tmp_path / "gone.jsonl"
    path.write_text('{"customer_id": "crm:1", "$deleted": true}\n', encoding="utf-8")
    assert installation.run("publish", "customers", str(path)).returncode == 0
    (record,) = installation.read(topics.CUSTOMER_UPDATES)
    assert (record.key, record.value) == (b"crm:1", None)


def test_consent_with_an_unknown_purpose_is_refused(installation: Installation, tmp_path: Path) -> None:
    event = installation.consent("crm:1", HOSHI, "WITHDRAWN") | {"purpose": "marketing.comunications.email"}
    path = tmp_path / "consents.jsonl"
    path.write_text(json.dumps(event), encoding="utf-8")
    result = installation.run("publish", "consents", str(path))
    assert result.returncode == 1
    assert "did you mean `marketing.communications.email`?" in result.stdout + result.stderr
    assert installation.read(topics.CONSENT_EVENTS) == []


def test_the_simulator_keeps_updates_and_answers_coming(installation: Installation) -> None:
    with installation.processor():
        arguments = ("--customers", "20", "--rate", "200", "--events", "200", "--seed", "7", "--json")
        result = installation.run("simulate-crm", *arguments)
        assert result.returncode == 0, result.stderr
        eventually(lambda: installation.holds(HOSHI), "somebody is shared")
    assert installation.read(topics.CONSENT_EVENTS)
    assert installation.rejected() == []
