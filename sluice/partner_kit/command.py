"""`sluice partner-kit`: a folder with everything that a partner begins with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import click
import yaml

from sluice import topics
from sluice.contract import CheckedContract, ContractSet, check, load_contracts
from sluice.document import nearest
from sluice.errors import SluiceError
from sluice.model import PartnerId
from sluice.partner_kit import asyncapi, credentials, invention, odcs, readme
from sluice.partner_kit.folder import File, write
from sluice.partner_kit.substance import CERTIFICATE, Connection, RegisteredSchema, Substance
from sluice.provisioning import desired
from sluice.recorded_set import contracts as contracts_of
from sluice.recording import newest_set
from sluice.registry import Registry, SchemaNotFound
from sluice.settings import Settings, load_settings
from sluice.source_schema import leaves

CONTACT = "whoever sent you this folder"
_PROGRAMS = {"consumer.py": 0o644, "requirements.txt": 0o644, "kcat.sh": 0o755}
_NOT_IN_FORCE = "its contract is not the one in force: run `sluice apply`, then this again."


@click.command("partner-kit")
@click.argument("partner")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder [./PARTNER-kit].")
@click.option("--contact", default=CONTACT, help="Whom the partner asks, as it is to be read.")
@click.option("--force", is_flag=True, help="Overwrite what somebody changed in the folder.")
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml].")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def partner_kit(  # noqa: PLR0913, PLR0917 - a command's options
    partner: str,
    out: Path | None,
    contact: str,
    force: bool,  # noqa: FBT001
    settings_path: Path | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Write a folder for PARTNER: what it gets and owes, schemas, examples, how to connect, and a consumer that runs.

    It holds that partner's password and no other secret. Run it again when the contract has changed.

    \b
    Examples:
      sluice partner-kit hoshi-card --contact "data-sharing@example.com"
      sluice partner-kit hoshi-card --out /media/handover --json | jq .written
    """
    written = hand_over(load_settings(settings_path), PartnerId(partner), out, contact, force=force)
    click.echo(json.dumps(written.as_json()) if as_json else written.sentence())


@dataclass(frozen=True, slots=True)
class Written:
    """A kit that can be handed over."""

    partner: PartnerId
    folder: Path
    names: tuple[str, ...]
    """Files that are new or other than before."""

    def as_json(self) -> dict[str, object]:
        return {"partner": self.partner, "folder": str(self.folder), "written": list(self.names)}

    def sentence(self) -> str:
        return (
            f"{self.folder}: {', '.join(self.names) or 'nothing new'}\n"
            f"{self.partner}.properties, or the key beside it, lets in: hand it over by another way than the rest."
        )


def hand_over(
    settings: Settings, partner: PartnerId, out: Path | None = None, contact: str = CONTACT, *, force: bool = False
) -> Written:
    """Write the kit into `out`, or ./PARTNER-kit. Raises SluiceError, also where somebody has changed what is there."""
    folder = out or Path(f"{partner}-kit")
    return Written(partner, folder, tuple(write(folder, kit(settings, partner, contact), force=force)))


def kit(settings: Settings, partner: PartnerId, contact: str) -> dict[str, File]:
    """Every file of the kit, by name. Raises SluiceError."""
    with closing(Registry(settings.registry())) as registry:
        _, source = registry.latest(topics.subject(topics.CUSTOMER_UPDATES))
        contracts = check(load_contracts(settings.contracts), leaves(source), settings.load_law())
        checked = _contract_of(partner, contracts)
        _refuse_unless_in_force(checked, settings)
        substance = _substance(settings, checked, registry, contact)
    return {**documents(substance), **credentials.files(settings.client(partner), f"{partner}.properties")}


def documents(substance: Substance) -> dict[str, File]:
    """All but what lets in."""
    texts = {
        "README.md": readme.text(substance),
        "asyncapi.yaml": _yaml(asyncapi.document(substance)),
        "contract.odcs.yaml": _yaml(odcs.document(substance)),
        "customers.avsc": _indented(substance.schemas[substance.customers].text),
        "control.avsc": _indented(substance.schemas[substance.control].text),
        "returns.avsc": _indented(substance.schemas[substance.returns].text),
        "example.json": json.dumps(invention.examples(substance), indent=2, ensure_ascii=False, default=bytes.hex)
        + "\n",
        "registry.properties": f"url={substance.connection.registry_url}\n",
    }
    programs = resources.files(__package__) / "delivered"
    return {name: File(text.encode()) for name, text in texts.items()} | {
        name: File((programs / name).read_bytes(), mode) for name, mode in _PROGRAMS.items()
    }


def _contract_of(partner: PartnerId, contracts: ContractSet) -> CheckedContract:
    found = {contract.partner: contract for contract in contracts.contracts}
    if partner not in found:
        raise SluiceError(f"There is no contract with {partner}{nearest(partner, found)}.")
    return found[partner]


def _refuse_unless_in_force(checked: CheckedContract, settings: Settings) -> None:
    """By the set in force: the registry keeps the schemas of former contracts."""
    recorded = newest_set(settings.client("admin"))
    if recorded is None or checked.contract not in contracts_of(recorded):
        raise SluiceError(f"What {checked.partner} is to be handed is a draft: {_NOT_IN_FORCE}")


def _substance(settings: Settings, checked: CheckedContract, registry: Registry, contact: str) -> Substance:
    partner = checked.partner
    wanted = desired(ContractSet((checked,)), settings.groups)
    texts = {schema.subject: schema.text for schema in wanted.schemas}
    names = (topics.customers(partner), topics.control(partner), topics.returns(partner))
    return Substance(
        checked=checked,
        schemas={name: _registered(registry, topics.subject(name), texts, partner) for name in names},
        topics={topic.name: topic for topic in wanted.topics},
        partitions=settings.partitions,
        connection=_connection(settings, partner),
        contact=contact,
    )


def _connection(settings: Settings, partner: PartnerId) -> Connection:
    client = settings.client(partner)
    protocol = client.get("security.protocol", "")
    named = client.get("sasl.mechanism") or client.get("sasl.mechanisms")
    mechanism = named if protocol.startswith("SASL_") else CERTIFICATE
    if not client.get("bootstrap.servers") or not protocol or mechanism not in asyncapi.MECHANISMS:
        known = ", ".join(one for one in asyncapi.MECHANISMS if one != CERTIFICATE)
        raise SluiceError(
            f"{partner}.properties has to name `bootstrap.servers`, `security.protocol`, and, unless a certificate "
            f"logs in (`SSL`), `sasl.mechanism`: one of {known}."
        )
    return Connection(client["bootstrap.servers"], protocol, mechanism, settings.registry()["url"])


def _registered(registry: Registry, subject: str, texts: Mapping[str, str], partner: PartnerId) -> RegisteredSchema:
    """As the registry has it, which the contract of today has to be."""
    try:
        number = registry.id_of(subject, texts[subject])
    except SchemaNotFound:
        raise SluiceError(f"The registry has no such schema for {partner}: {_NOT_IN_FORCE}") from None
    return RegisteredSchema(number, registry.text(number))


def _yaml(document: Any) -> str:  # noqa: ANN401
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120))


def _indented(schema: str) -> str:
    return json.dumps(json.loads(schema), indent=2, ensure_ascii=False) + "\n"
