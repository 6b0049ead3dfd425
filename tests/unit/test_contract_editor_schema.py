"""The JSON Schema that editors use says what the loader says, as far as it can."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from schemas import catalogue
from sluice import vocabulary
from sluice.contract import check, load_contracts
from sluice.contract.editor_schema import editor_schema
from sluice.document import DocumentError
from sluice.law.loading import shipped_law
from sluice.source_schema import leaves

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "schemas" / "contract.schema.json"
DEMO = sorted((ROOT / "deploy" / "demo" / "contracts").glob("*.yaml"))
LAW = shipped_law()
SOURCE = leaves(catalogue.text("customer_profile"))
FREE = jsonschema.Draft7Validator(editor_schema(LAW), format_checker=jsonschema.FormatChecker())
BOUND = jsonschema.Draft7Validator(editor_schema(LAW, SOURCE), format_checker=jsonschema.FormatChecker())
HOSHI = """\
partner: hoshi-card
name: Hoshi Card K.K.
recipient: corporate_partner
purpose: marketing.communications.email
country: JP
evidence: [notice]
obligations: [no_resale]
limits: {rate: 2 MB/s, retain: P30D, acknowledge_within: P3D}
controller: {name: Other, jurisdiction: US-CA}
valid: {from: 2026-01-01, until: 2028-01-01, timezone: Asia/Tokyo}
where:
  address.country: [AU, JP]
  birth_date: {age: {at_least: 18, below: 65}}
  loyalty.points: {above: 10, at_most: 100}
  loyalty.member_since: {below: 2026-01-01}
  identifiers[scheme=pos].value: {present: false}
fields:
  given_name: keep
  family_name: {truncate: 10}
  note: null
  attributes[plan]: {mask: {first: 1}}
  identifiers[scheme=loyalty].value: {keep: {required: true}}
"""


class AsEditors(yaml.SafeLoader):
    """Reads dates as the text they are, as JSON Schema and YAML 1.2 do."""


AsEditors.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def valid(text: str, validator: jsonschema.Draft7Validator = BOUND) -> bool:
    written: Any = yaml.load(text, Loader=AsEditors)  # noqa: S506 - a SafeLoader
    return validator.is_valid(written)


def loads(folder: Path, text: str) -> bool:
    (folder / "hoshi-card.yaml").write_text(text, encoding="utf-8")
    try:
        check(load_contracts(folder), SOURCE, LAW)
    except DocumentError:
        return False
    return True


def test_the_copy_that_the_repository_keeps_is_current() -> None:
    current = json.dumps(editor_schema(LAW), indent=2, ensure_ascii=False) + "\n"
    assert KEPT.read_text(encoding="utf-8") == current, "sluice contract-schema > schemas/contract.schema.json"


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(editor_schema(LAW, SOURCE))


@pytest.mark.parametrize("path", DEMO, ids=lambda path: path.stem)
def test_the_demos_contracts_are_valid_and_name_the_schema(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert valid(text, FREE)
    assert valid(text)
    comment, schema = text.splitlines()[0].split("$schema=")
    assert comment == "# yaml-language-server: "
    assert (path.parent / schema).resolve() == KEPT


def test_a_contract_with_every_key_is_valid_and_loads(tmp_path: Path) -> None:
    assert valid(HOSHI, FREE)
    assert valid(HOSHI)
    assert loads(tmp_path, HOSHI)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("partner: hoshi-card", "partner: Hoshi"),
        ("partner: hoshi-card", "partner: admin"),
        ("name: Hoshi Card K.K.", 'name: ""'),
        ("name: Hoshi Card K.K.\n", ""),
        ("purpose:", "purpse:"),
        ("communications.email", "communications.emial"),
        ("corporate_partner", "corporate_parter"),
        ("corporate_partner", "group_company"),
        ("corporate_partner", "corporate_partner\nsame_branding: true"),
        ("country: JP", "country: UK"),
        ("[notice]", "[notise]"),
        ("evidence: [notice]", "alt_basis: [legitimate_interest]"),
        ("evidence: [notice]", "special_categories: [user.genetics]"),
        ("[no_resale]", "[no_resales]"),
        ("2 MB/s", "2 Mb/s"),
        ("P30D", "30 days"),
        ("retain:", "retian:"),
        ("US-CA", "California"),
        ("from: 2026-01-01", "from: soon"),
        ("age: {at_least: 18,", "age: {at_least: 18, above: 18,"),
        ("age: {at_least: 18,", "age: {at_least: -1,"),
        ("{above: 10, at_most: 100}", "{}"),
        ("{above: 10, at_most: 100}", "{abve: 10}"),
        ("{above: 10, at_most: 100}", "{above: many}"),
        ("[AU, JP]", "[]"),
        ("{present: false}", "{present: no_}"),
        ("given_name: keep", "given_name: kep"),
        ("given_name: keep", "given_name: [keep]"),
        ("given_name: keep", "gven_name: keep"),
        ("given_name: keep", "given_name: truncate"),
        ("{truncate: 10}", "{truncate: ten}"),
        ("{truncate: 10}", "{truncate: {too: 10}}"),
        ("{mask: {first: 1}}", "{mask: {first: 1}, keep: {}}"),
        ("attributes[plan]", "attributes[plan].x"),
        ("scheme=loyalty].value", "scheme=loyalty].vlaue"),
    ],
)
def test_what_the_loader_refuses_the_editor_marks(tmp_path: Path, old: str, new: str) -> None:
    assert HOSHI.count(old) == 1
    text = HOSHI.replace(old, new)
    assert not loads(tmp_path, text)
    assert not valid(text)


def test_words_that_need_explaining_are_explained() -> None:
    schema = editor_schema(LAW, SOURCE)
    assert all(part.get("description") for part in schema["properties"].values())
    obligations = schema["properties"]["obligations"]["items"]
    assert dict(zip(obligations["enum"], obligations["enumDescriptions"], strict=True)) == vocabulary.obligations()
    assert schema["properties"]["fields"]["properties"]["email"]["description"].endswith("(user.contact.email)")
