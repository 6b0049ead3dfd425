"""`sluice destroy-key`: make unreadable what was sealed for one customer, wherever it was copied."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from sluice.customer_keys import SqliteCustomerKeys, issued_key
from sluice.errors import SluiceError
from sluice.keys import NoKey, load_master_key
from sluice.model import CustomerId
from sluice.settings import load_settings

_BACKUPS = "Backups of the file still hold the key until they end."
_ENDED = {
    NoKey.NOT_ISSUED: "This customer had no key, and will never have one. If that surprises you, check the id.",
    NoKey.DESTROYED: "It was destroyed before. " + _BACKUPS,
}


@click.command("destroy-key")
@click.argument("customer")
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml].")
@click.option("--yes", is_flag=True, help="Do not ask first.")
def destroy_key(customer: str, settings_path: Path | None, yes: bool) -> None:  # noqa: FBT001 - a command's flag
    """Destroy CUSTOMER's own key for ever: fields encrypted with it (`aes_gcm`, `aes_siv`) open nowhere again.

    Those fields become empty at the customer's next event. To take the customer out altogether, delete the profile at
    its source.

    \b
    Example:
      sluice destroy-key dell-crm:000123
    """
    settings = load_settings(settings_path)
    if settings.customer_keys is None:
        raise SluiceError("The settings name no `customer_keys`, so nothing was encrypted with customers' own keys.")
    master = load_master_key(settings.master_key)
    if not yes:
        click.confirm("This cannot be undone. Destroy the key?", abort=True)
    before = issued_key(settings.customer_keys, master, CustomerId(customer))
    with closing(SqliteCustomerKeys(settings.customer_keys, master)) as keys:
        keys.destroy(CustomerId(customer))
    click.echo(_ENDED[before] if isinstance(before, NoKey) else "Destroyed. " + _BACKUPS)
