"""What `simulate` and `explain` are told on the command line, resolved."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from sluice import topics
from sluice.contract import CheckedContract
from sluice.errors import SluiceError
from sluice.keys import MASTER_KEY_BYTES, MasterKey, load_master_key
from sluice.law.loading import load_law, shipped_law
from sluice.law.pack import Law
from sluice.redaction.token import Token
from sluice.registry import Registry
from sluice.settings import Settings


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
    with closing(Registry(settings.registry_url())) as registry:
        return registry.latest(topics.subject(topics.CUSTOMER_UPDATES))[1]


def master_key_in(file: Path | None) -> MasterKey:
    """A throw-away one by default: nobody sees what it makes."""
    return load_master_key(file) if file is not None else MasterKey(secrets.token_bytes(MASTER_KEY_BYTES))


def refuse_without_key(contracts: Iterable[CheckedContract], file: Path | None) -> None:
    """Tokens are filed under keyed digests: by a throw-away key none is found, and who needs one looks withheld.

    Raises SluiceError.
    """
    rules = ((one.partner, rule) for one in contracts for rule in one.contract.shared_fields.values())
    named = {partner for partner, rule in rules if isinstance(rule, Token)}
    if file is None and named:
        raise SluiceError(f"The contract of {min(named)} uses a token table: name the tables' key with --master-key.")
