"""A partner's documents say what registered schema and contract say; its folder is nobody's but its owner's."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from avro.schema import parse as parse_avro
from hypothesis import given
from hypothesis import strategies as st

from schemas import catalogue
from sluice.avro import Reader, Writer, unframe
from sluice.contract import partner_field
from sluice.errors import SluiceError
from sluice.partner_kit import asyncapi, invention, odcs
from sluice.partner_kit.command import documents
from sluice.partner_kit.folder import File, write
from sluice.partner_kit.readme import CONTROLS
from sluice.partner_kit.substance import Substance
from sluice.partner_kit.words import in_words
from sluice.redaction import TRANSFORMS, Rule, parse_rule
from sluice.redaction.token import Token
from sluice.token_table import TokenTable
from tests.unit.installation import HOSHI, checked, source_leaves
from tests.unit.partner_kits import SUBSTANCES, substance_of

DELIVERED = Path(str(resources.files("sluice.partner_kit"))) / "delivered"
WRITTEN: Mapping[str, Any] = {
    "mask": {"mask": {"first": 1, "last": 1}},
    "truncate": {"truncate": 2},
    "age_band": {"age_band": date(2026, 1, 1)},
    "postcode_prefix": {"postcode_prefix": 3},
    "match_key": {"match_key": "google"},
}
"""For transforms that a name alone does not make."""
BY_NAME = st.sampled_from([name for name in TRANSFORMS if name not in ("drop", "token")])


def rule_of(name: str) -> Rule:
    if name == "token":
        rule = Token.model_construct(table="members", required=False)
        rule._tokens = TokenTable.of({})
        return rule
    return parse_rule(WRITTEN.get(name, name))


@st.composite
def substances(draw: st.DrawFn) -> Substance:
    """Any fields under any transforms that fit them."""
    paths = draw(st.lists(st.sampled_from(sorted(source_leaves())), min_size=1, max_size=12, unique=True))
    rules = {path: rule_of(draw(BY_NAME)) for path in paths}
    fields = {
        path: rule if rule.refusal(source_leaves()[path]) is None else rule_of("keep") for path, rule in rules.items()
    }
    return substance_of(checked({**HOSHI, "fields": fields}))


@given(substances())
def test_documents_agree_with_the_registered_schema(substance: Substance) -> None:
    """Names, order and types; and the example is a record of it."""
    text = substance.schemas[substance.customers].text
    fields = json.loads(text)["fields"]
    payload = asyncapi.document(substance)["components"]["messages"]["customer"]["payload"]["schema"]
    assert canonical(json.dumps(payload)) == canonical(text)
    properties = odcs.document(substance)["schema"][0]["properties"]
    assert [one["name"] for one in properties] == [one["name"] for one in fields]
    example = invention.record(substance)
    assert [*example] == [one["name"] for one in fields]
    assert read_again(text, example) == example
    linter().validate(yaml.safe_load(documents(substance)["contract.odcs.yaml"].content))


def canonical(avro: str) -> object:
    return parse_avro(avro).to_canonical_json()


def read_again(schema: str, record: dict[str, Any]) -> dict[str, Any]:
    _, payload = unframe(Writer(schema, 1).write(record))
    return Reader(schema).read(payload)


def linter() -> Any:  # noqa: ANN401 - one of the library's classes
    text = resources.files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    return jsonschema.validators.validator_for(schema)(schema)


@pytest.mark.parametrize("substance", SUBSTANCES, ids=lambda one: one.partner)
def test_documents_of_the_demos_partners(substance: Substance) -> None:
    files = documents(substance)
    assert yaml.safe_load(files["asyncapi.yaml"].content) == asyncapi.document(substance)
    linter().validate(yaml.safe_load(files["contract.odcs.yaml"].content))
    for name, topic in (
        ("customers", substance.customers),
        ("control", substance.control),
        ("returns", substance.returns),
    ):
        text = files[f"{name}.avsc"].content.decode()
        assert json.loads(text) == json.loads(substance.schemas[topic].text)
        for example in json.loads(files["example.json"].content)[topic]:
            if example["value"] is not None:
                assert read_again(text, example["value"]).items() >= example["value"].items()


def test_the_standards_own_schema_would_find_something() -> None:
    document = odcs.document(SUBSTANCES[0])
    document["schema"][0]["properties"][0]["logicalType"] = "text"
    with pytest.raises(jsonschema.ValidationError):
        linter().validate(document)


def test_the_readme_says_everything_about_every_field() -> None:
    for substance in SUBSTANCES:
        text = documents(substance)["README.md"].content.decode()
        for path, rule in substance.checked.contract.shared_fields.items():
            row = next(line for line in text.splitlines() if line.startswith(f"| `{partner_field(path)}` |"))
            assert in_words(rule) in row
            assert substance.checked.leaves[path].category in row
        assert substance.checked.contract.name in text
        assert "data-sharing@example.com" in text
        assert "$" not in text


def test_every_control_type_is_explained_and_carried_out() -> None:
    schema = json.loads(catalogue.text("control"))
    (kinds,) = (field["type"]["symbols"] for field in schema["fields"] if field["name"] == "type")
    assert set(CONTROLS) == set(kinds)
    delete, other = constants()["DELETE"], constants()["OTHER"]
    assert {*delete, *other} == set(kinds)


def constants() -> dict[str, Any]:
    """What the consumer says at its top, without running it."""
    found: dict[str, Any] = {}
    for node in ast.parse((DELIVERED / "consumer.py").read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                found |= {name.id: ast.literal_eval(value) for name, value in zip(names, values, strict=True)}  # type: ignore[attr-defined]
            case ast.Assign(targets=[ast.Name(id="NULLS_STAY_SECONDS")], value=value):
                found["NULLS_STAY_SECONDS"] = eval(ast.unparse(value))  # noqa: S307 - a product of numbers
    return found


def test_the_consumer_is_short_and_knows_how_long_nulls_stay() -> None:
    text = (DELIVERED / "consumer.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 200
    assert constants()["NULLS_STAY_SECONDS"] == SUBSTANCES[0].nulls_stay.total_seconds()
    imported = {
        node.names[0].name if isinstance(node, ast.Import) else str(node.module)
        for node in ast.parse(text).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    foreign = {name.split(".")[0] for name in imported} - sys.stdlib_module_names
    needed = {line.split(">")[0].replace("-", "_") for line in (DELIVERED / "requirements.txt").read_text().split()}
    assert foreign == needed == {"confluent_kafka", "fastavro"}


def test_the_script_is_what_a_shell_takes() -> None:
    for command in (["sh", "-n"], [str(Path(sys.executable).with_name("shellcheck"))]):
        done = subprocess.run([*command, str(DELIVERED / "kcat.sh")], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", [name for name in TRANSFORMS if name != "drop"])
def test_every_transform_has_words(name: str) -> None:
    assert in_words(rule_of(name))


def test_an_example_passes_the_row_filter_and_holds_nobody() -> None:
    (hoshi,) = (one for one in SUBSTANCES if one.partner == "hoshi-card")
    record = invention.record(hoshi)
    assert record["address_country"] == "AU"
    assert record["family_name"] == "Mori"
    assert record["birth_date"] == 1990


def test_what_somebody_changed_is_not_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "kit"
    files = {"a": File(b"1"), "b": File(b"1", 0o600)}
    assert write(folder, files, force=False) == ["a", "b"]
    assert write(folder, files, force=False) == []
    (folder / "a").write_bytes(b"mine")
    renewed = {"a": File(b"2"), "b": File(b"2", 0o600)}
    with pytest.raises(SluiceError, match="Somebody changed a in"):
        write(folder, renewed, force=False)
    assert (folder / "b").read_bytes() == b"1", "nothing is written half"
    assert write(folder, renewed, force=True) == ["a", "b"]
    assert [(folder / name).read_bytes() for name in "ab"] == [b"2", b"2"]
    assert write(folder, {**renewed, "a": File(b"3")}, force=False) == ["a"], "what was generated is brought up to date"
    assert (folder / "b").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_was_there_before_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(SluiceError, match="Somebody changed a in"):
        write(tmp_path, {"a": File(b"1")}, force=False)


def test_a_contract_without_promises_makes_a_kit_too() -> None:
    written = {
        **HOSHI,
        "fields": {"segments": "keep", "attributes[plan]": "keep", "location.latitude": {"geo_round": 1}},
    }
    text = documents(substance_of(checked(written)))["README.md"].content.decode()
    assert "Nothing beside what the law and this contract say." in text
    assert "no end" in text
