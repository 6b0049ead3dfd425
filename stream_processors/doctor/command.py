"""`sluice doctor`."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from sluice.settings import load_settings
from stream_processors.doctor.checks import every
from stream_processors.doctor.verdict import State

_MARKS = {State.FINE: "[green]fine   [/]", State.TROUBLE: "[bold red]TROUBLE[/]", State.UNSEEN: "[yellow]unseen [/]"}


@click.command("doctor")
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml].")
@click.option("--json", "as_json", is_flag=True, help="Print each finding as a JSON object.")
def doctor(settings_path: Path | None, as_json: bool) -> int:  # noqa: FBT001 - a flag
    """Look over a whole installation, and say what to do about each thing that is not well. Changes nothing.

    Key, contracts, disk, who may log in, registry, clock, everything that `sluice plan` compares (topics and their
    partitions and settings, rights too few or too many, quotas, schemas, the set in force), the store's age, and
    whether anybody works. Exits 1 when something is not well, or could not be looked at.

    \b
    Examples:
      sluice doctor
      sluice doctor --json | jq -r 'select(.state != "fine") | .says'
    """
    settings = load_settings(settings_path)
    console = Console(highlight=False)
    is_well = True
    for verdict in every(settings):
        is_well &= verdict.state is State.FINE
        if as_json:
            click.echo(json.dumps(verdict.as_json()))
        else:
            console.print(f"{_MARKS[verdict.state]} [bold]{verdict.check:<15}[/] ", end="")
            console.print(verdict.says, markup=False, soft_wrap=True)
    return 0 if is_well else 1
