"""Set up what a set of contracts needs on a broker and in a registry; the edge of `sluice.provisioning`."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from sluice.contract import LoadedContracts, check, load_contracts
from sluice.kafka import provisioning as broker_side
from sluice.kafka.clients import admin_client, read_properties
from sluice.keys import create_master_key
from sluice.provisioning import RegisteredSchema, desired, our_source_schema
from sluice.recording import record_set
from sluice.registry import Registry, SchemaNotFound
from sluice.settings import Settings, load_settings
from sluice.source_schema import leaves, record_name

_PASSWORD_BYTES = 24


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What now exists, and which topics did not before."""

    topics: tuple[str, ...]
    created: tuple[str, ...]
    users: tuple[str, ...]
    rights: int
    schemas: int
    contract_set: str
    """Digest of the set in force."""


def provision(settings: Settings, say: Callable[[str], None]) -> Provisioned:
    """Master key, topics, users, rights and schemas for the contracts that the settings name. Idempotent.

    Each user's connection file is written beside the administrator's, readable by its owner alone. Raises SluiceError.
    """
    # before the contracts: those that name a token table need one, and a table is made with the key
    create_master_key(settings.master_key)
    loaded = load_contracts(settings.contracts)
    with closing(Registry(settings.registry_url())) as registry:
        return _provision(settings, loaded, registry, say)


@click.command("provision")
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml].")
@click.option("--json", "as_json", is_flag=True, help="Print what now exists as JSON.")
def provision_command(settings_path: Path | None, as_json: bool) -> None:  # noqa: FBT001 - a command's flag
    """Create the topics, users, rights and schemas that the contracts need, as the administrator. Idempotent.

    \b
    Examples:
      sluice local up && sluice provision --settings deploy/demo/sluice.yaml
      sluice provision --json | jq .created
    """
    settings = load_settings(settings_path)
    done = provision(settings, lambda text: click.echo(text, err=as_json))
    if as_json:
        click.echo(json.dumps(asdict(done)))


def _provision(
    settings: Settings, loaded: LoadedContracts, registry: Registry, say: Callable[[str], None]
) -> Provisioned:
    source = _source_schema(registry, our_source_schema())
    contracts = check(loaded, leaves(source), settings.load_law())
    wanted = desired(contracts, settings.sharing.group, settings.returns.group, settings.providers.group)
    administrator = settings.client("admin")
    client = admin_client(administrator)
    created = broker_side.create_topics(client, wanted.topics, settings.partitions, replication=1)
    say(f"{len(wanted.topics)} topics, {len(created)} of them new")
    passwords = {user: _password(settings.clients / f"{user}.properties", administrator, user) for user in wanted.users}
    broker_side.set_passwords(client, passwords)
    broker_side.grant(client, wanted.rights)
    say(f"{len(wanted.users)} users with {len(wanted.rights)} rights")
    for schema in wanted.schemas:
        registry.register(schema.subject, schema.text, schema.compatibility)
    say(f"{len(wanted.schemas) + 1} schemas")
    digest, changed = record_set(settings, contracts, source, client)
    say(f"contract set {digest[:12]} {'is now in force' if changed else 'is in force already'}")
    return Provisioned(
        tuple(topic.name for topic in wanted.topics),
        tuple(created),
        wanted.users,
        len(wanted.rights),
        len(wanted.schemas) + 1,
        digest,
    )


def _source_schema(registry: Registry, ours: RegisteredSchema) -> str:
    """The newest version of ours; or of the source's own, if it registered one, which stays as it is."""
    try:
        _, found = registry.latest(ours.subject)
    except SchemaNotFound:
        found = ours.text
    if record_name(found) == record_name(ours.text):
        registry.register(ours.subject, ours.text, ours.compatibility)
        _, found = registry.latest(ours.subject)
    return found


def _password(path: Path, administrator: dict[str, str], user: str) -> str:
    """The password in the user's connection file; a new file with a new one if there is none."""
    if path.exists():
        return read_properties(path)["sasl.password"]
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    lines = {**administrator, "sasl.username": user, "sasl.password": password}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{key}={value}\n" for key, value in lines.items())
    return password
