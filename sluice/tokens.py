"""`sluice tokens`: give values random stand-ins, and take them away."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from sluice.errors import SluiceError
from sluice.keys import load_master_key, table_key
from sluice.settings import load_settings
from sluice.token_table import issue, load_table, revoke, table_path

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_Change = Callable[[Path, bytes, Iterable[str]], int]

_settings = click.option(
    "--settings", "settings_path", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml]."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group("tokens")
def tokens() -> None:
    """Token tables, `tokens/TABLE.csv` beside the contracts. Values come on standard input, one a line.

    A changed table is a changed set of contracts.
    """


@tokens.command("issue")
@click.argument("table")
@_settings
@_json
def issue_command(table: str, settings_path: Path | None, as_json: bool) -> None:  # noqa: FBT001 - a command's flag
    """Add a random token to TABLE for each value that has none.

    \b
    Examples:
      sluice tokens issue loyalty < member_numbers.txt
      sluice tokens issue loyalty --json < member_numbers.txt | jq .issued
    """
    _change(issue, "issued", table, settings_path, as_json=as_json)


@tokens.command("revoke")
@click.argument("table")
@_settings
@_json
def revoke_command(table: str, settings_path: Path | None, as_json: bool) -> None:  # noqa: FBT001 - a command's flag
    """Take these values' tokens out of TABLE; partners' fields that held them become empty.

    \b
    Example:
      sluice tokens revoke loyalty < erased_member_numbers.txt
    """
    _change(revoke, "revoked", table, settings_path, as_json=as_json)


def _change(change: _Change, done: str, table: str, settings_path: Path | None, *, as_json: bool) -> None:
    if not _NAME.fullmatch(table):
        raise SluiceError(f"`{table}` cannot name a table: use lower-case letters, digits, `-` and `_`.")
    settings = load_settings(settings_path)
    path = table_path(settings.contracts, table)
    count = change(path, table_key(load_master_key(settings.master_key), table), _values())
    kept = load_table(path)
    if as_json:
        click.echo(json.dumps({done: count, "tokens": len(kept.tokens), "version": kept.version}))
    else:
        click.echo(f"{count} {done}; {path} now has {len(kept.tokens)} tokens.")


def _values() -> Iterable[str]:
    """Lines without their end, and without empty ones. Raises SluiceError."""
    lines = (line.rstrip(b"\r\n") for line in sys.stdin.buffer)
    try:
        yield from (line.decode() for line in lines if line)
    except UnicodeDecodeError:
        raise SluiceError("The values are not UTF-8 text, so nothing was changed.") from None
