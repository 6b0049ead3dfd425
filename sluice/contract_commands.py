"""Commands for whoever writes contracts: check them, and have an editor check them. Neither needs a broker."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from schemas import catalogue
from sluice.contract import CheckedContract, ContractSet, examine
from sluice.contract.editor_schema import editor_schema
from sluice.contract.sentence import sentence
from sluice.document import DocumentError
from sluice.law.loading import load_law, shipped_law
from sluice.law.pack import Law
from sluice.source_schema import SourceSchema, leaves

_PLACE = re.compile(r"(?P<file>.*?):(?P<line>\d+):(?P<column>\d+): (?P<problem>.*)")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("check-contracts")
@click.argument("folder", type=_FOLDER)
@click.option("--schema", type=_FILE, help="Avro schema of the source [our customer profile].")
@click.option("--law", type=_FOLDER, help="Folder of law packs [those shipped].")
@click.option("--json", "as_json", is_flag=True, help="Print contracts and problems as JSON.")
def check_contracts(folder: Path, schema: Path | None, law: Path | None, as_json: bool) -> int:  # noqa: FBT001 - a flag
    """Read and check every contract in FOLDER, and say each as a sentence. Exits 1 with all problems.

    \b
    Examples:
      sluice check-contracts deploy/demo/contracts
      sluice check-contracts contracts --schema customer.avsc --json | jq .problems
    """
    try:
        found = examine(folder, _source(schema), _law(law))
    except DocumentError as error:
        if not as_json:
            raise
        click.echo(json.dumps({"contracts": [], "problems": [_problem(line) for line in str(error).splitlines()]}))
        return 1
    _show(found, as_json=as_json)
    return 0


@click.command("contract-schema")
@click.option("--source-schema", type=_FILE, help="Avro schema of the source, whose fields are then offered.")
@click.option("--law", type=_FOLDER, help="Folder of law packs [those shipped].")
def contract_schema(source_schema: Path | None, law: Path | None) -> None:
    """Print the JSON Schema of contracts, for editors that complete and check YAML.

    \b
    Examples:
      sluice contract-schema > contract.schema.json
      sluice contract-schema --source-schema customer.avsc > contract.schema.json
    and as the first line of a contract:
      # yaml-language-server: $schema=contract.schema.json
    """
    source = None if source_schema is None else _source(source_schema)
    click.echo(json.dumps(editor_schema(_law(law), source), indent=2, ensure_ascii=False))


def _source(path: Path | None) -> SourceSchema:
    text = catalogue.text("customer_profile") if path is None else path.read_text(encoding="utf-8", errors="replace")
    return leaves(text)


def _law(folder: Path | None) -> Law:
    return shipped_law() if folder is None else load_law(folder)


def _show(found: ContractSet, *, as_json: bool) -> None:
    if as_json:
        contracts = [_described(one) for one in found.contracts]
        click.echo(json.dumps({"contracts": contracts, "problems": []}, ensure_ascii=False))
        return
    click.echo("\n\n".join(sentence(one.contract) for one in found.contracts))


def _described(checked: CheckedContract) -> dict[str, object]:
    terms = checked.terms()
    return {
        "partner": terms.partner,
        "recipient": terms.kind.value,
        "purpose": terms.purpose,
        "country": terms.country,
        "valid_from": terms.valid_from,
        "valid_until": terms.valid_until,
        "evidence": sorted(terms.evidence),
        "alt_basis": sorted(terms.alt_basis),
        "fields": dict(terms.categories),
        "sentence": sentence(checked.contract),
    }


def _problem(line: str) -> dict[str, str | int | None]:
    found = _PLACE.fullmatch(line)
    if found is None:
        return {"file": None, "line": None, "column": None, "problem": line}
    place = {"line": int(found["line"]), "column": int(found["column"])}
    return {"file": found["file"], **place, "problem": found["problem"]}
