"""`sluice check-contracts` and `sluice contract-schema`: without a broker, a registry or settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from schemas import catalogue
from sluice import cli
from sluice.contract import Contract
from sluice.contract.sentence import sentence
from sluice.document import load

DEMO = Path(__file__).parents[2] / "deploy" / "demo" / "contracts"


def sluice(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.cli, [str(argument) for argument in arguments])


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """A folder with a contract that cannot be read, and one that does not fit."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    text = (DEMO / "hoshi-card.yaml").read_text(encoding="utf-8")
    (folder / "a.yaml").write_text(text.replace("  given_name:", "  gven_name:"), encoding="utf-8")
    (folder / "b.yaml").write_text("partner: [\n", encoding="utf-8")
    return folder


def test_contracts_that_fit_are_said_aloud() -> None:
    result = sluice("check-contracts", DEMO)
    assert result.exit_code == 0
    adresso, hoshi, listmart = result.output.split("\n\n")
    assert adresso.startswith("Adresso Address Hygiene Pty Ltd (adresso), a service provider in AU, may be given, for")
    assert "birth_date as the year alone" in hoshi
    assert "where address.country is AU or JP." in hoshi
    assert "It never gets email." in listmart


def test_contracts_are_told_to_programs() -> None:
    found = json.loads(sluice("check-contracts", DEMO, "--json").output)
    assert found["problems"] == []
    assert [one["partner"] for one in found["contracts"]] == ["adresso", "hoshi-card", "listmart"]
    assert found["contracts"][1]["fields"]["email"] == "user.contact.email"


def test_all_problems_are_told_of_reading_and_of_checking(wrong: Path) -> None:
    result = sluice("check-contracts", wrong)
    assert result.exit_code == 1
    told = str(result.exception).splitlines()
    assert [line.partition(":")[0] for line in told] == [str(wrong / "b.yaml"), str(wrong / "a.yaml")]


def test_problems_are_told_to_programs(wrong: Path) -> None:
    result = CliRunner().invoke(cli.cli, ["check-contracts", str(wrong), "--json"], standalone_mode=False)
    assert result.return_value == 1
    found = json.loads(result.output)
    assert found["contracts"] == []
    assert found["problems"][1] == {
        "file": str(wrong / "a.yaml"),
        "line": 12,
        "column": 3,
        "problem": "the source schema has no field `gven_name` that can be shared; did you mean `given_name`?",
    }


def test_contracts_are_checked_against_a_schema_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "customer.avsc"
    path.write_text('{"type": "record", "name": "R", "fields": []}', encoding="utf-8")
    assert sluice("check-contracts", DEMO, "--schema", path).exit_code == 1


def test_the_editors_schema_is_printed() -> None:
    schema = json.loads(sluice("contract-schema").output)
    assert "additionalProperties" in schema["properties"]["fields"]


def test_the_editors_schema_offers_the_fields_of_a_source(tmp_path: Path) -> None:
    path = tmp_path / "customer.avsc"
    path.write_text(catalogue.text("customer_profile"), encoding="utf-8")
    schema = json.loads(sluice("contract-schema", "--source-schema", path).output)
    assert "address.postal_code" in schema["properties"]["fields"]["properties"]
    assert "address.postal_code" in schema["properties"]["where"]["properties"]


def test_everything_in_a_contract_is_read_aloud(tmp_path: Path) -> None:
    path = tmp_path / "sister.yaml"
    path.write_text(
        """\
partner: sister
name: Sister Ltd
recipient: group_company
same_branding: false
controller: {name: Mother AG, jurisdiction: DE}
purpose: operations
country: DE
valid: {from: 2026-01-01}
limits: {rate: 1.5 MB/s, retain: P30D, acknowledge_within: PT12H}
obligations: [no_resale]
where:
  birth_date: {age: {at_least: 18, below: 65}}
  loyalty.points: {above: 10}
  email: {present: true}
  phone: {present: false}
  loyalty.member_since: {at_most: 2026-01-01}
  preferences[news]: true
fields: {given_name: {keep: {required: true}}, family_name: {truncate: 1}, note: drop, email: drop}
""",
        encoding="utf-8",
    )
    assert sentence(load(path, Contract)[0]) == (
        "Sister Ltd (sister), a group company under another brand in DE, may be given, for operations and from "
        "2026-01-01 (UTC): given_name (required) and family_name cut short; of customers whom the law and their "
        "consent allow, where the age by birth_date is at least 18 and below 65, loyalty.points is above 10, email is "
        "there, phone is not there, loyalty.member_since is at most 2026-01-01 and preferences[news] is true. It never "
        "gets note or email. Mother AG (DE) answers for the data. It may read 1.5 MB a second. It may hold a customer "
        "for 30 days after the source's last change. It carries out a recall within 12 hours. It does not sell the "
        "data."
    )
