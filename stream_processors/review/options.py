"""What `simulate` and `explain` are both told on the command line, and what comes of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import TypedDict

import click

from sluice import topics
from sluice.contract import CheckedContract
from sluice.errors import SluiceError
from sluice.key_sources import KeyFile
from sluice.keys import MASTER_KEY_BYTES, MasterKey, load_master_key
from sluice.law.loading import load_law, shipped_law
from sluice.law.pack import Law
from sluice.redaction.token import Token
from sluice.registry import Registry
from sluice.settings import Settings

_A_PATH = click.Path(path_type=Path)


class Told(TypedDict):
    """The options that both commands have, as click hands them over."""

    customers: Path | None
    consents: Path | None
    contracts: Path | None
    law: Path | None
    schema: Path | None
    mapping: Path | None
    source: str | None
    master_key: Path | None
    settings: Path | None
    at: str | None
    as_json: bool


Option = Callable[[Callable[..., None]], Callable[..., None]]


def command_with(*own: Option) -> Option:
    """A decorator: the options that both commands have, behind a command's own."""

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed((*own, *_BOTH)):
            command = option(command)
        return command

    return decorated


_BOTH: tuple[Option, ...] = (
    click.option("--at", metavar="TIME", help="Judge as of this time, such as 2027-01-01 (UTC) [now]."),
    click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object a line."),
    click.option("--customers", type=_A_PATH, help="File of customers (.csv, .jsonl), as `publish` takes it."),
    click.option("--consents", type=_A_PATH, help="File of consent events (.csv, .jsonl)."),
    click.option("--contracts", type=_A_PATH, help="Folder of the contracts that hold now [the settings']."),
    click.option("--law", type=_A_PATH, help="Folder of law packs [the settings', or those shipped]."),
    click.option("--schema", type=_A_PATH, help="Avro schema of customers [registered, or our newest]."),
    click.option("--mapping", type=_A_PATH, help="Which CSV columns become which fields of customers."),
    click.option("--source", metavar="NAME", help="The CRM's name: `NAME:` is put before each customer id."),
    click.option("--master-key", type=_A_PATH, help="Master key; with files needed for tokens only [a random one]."),
    click.option("--settings", type=_A_PATH, help="Settings: of the topics, and how laws are applied [./sluice.yaml]."),
)


def law_of(settings: Settings | None, packs: Path | None) -> Law:
    """The settings' own way of applying laws, if there are any, and other packs if some are named."""
    if settings is None:
        return shipped_law() if packs is None else load_law(packs)
    law = settings.law if packs is None else settings.law.model_copy(update={"packs": packs})
    return settings.model_copy(update={"law": law}).load_law()


def schema_in(file: Path | None) -> str | None:
    """Raises SluiceError."""
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SluiceError(f"{file} cannot be read as a schema.") from None


def registered_schema(settings: Settings) -> str:
    with closing(Registry(settings.registry())) as registry:
        return registry.latest(topics.subject(topics.CUSTOMER_UPDATES))[1]


def master_key_in(file: Path | None) -> MasterKey:
    """A throw-away one by default: nobody sees what it makes."""
    return load_master_key(KeyFile(file)) if file is not None else MasterKey(secrets.token_bytes(MASTER_KEY_BYTES))


def master_key_of(settings: Settings, file: Path | None) -> MasterKey:
    """The settings' own, unless a file is named."""
    return load_master_key(settings.master_key if file is None else KeyFile(file))


def refuse_without_key(contracts: Iterable[CheckedContract], file: Path | None) -> None:
    """Tokens are filed under keyed digests: by a throw-away key none is found, and who needs one looks withheld.

    Raises SluiceError.
    """
    rules = ((one.partner, rule) for one in contracts for rule in one.contract.shared_fields.values())
    named = {partner for partner, rule in rules if isinstance(rule, Token)}
    if file is None and named:
        raise SluiceError(f"The contract of {min(named)} uses a token table: name the tables' key with --master-key.")
