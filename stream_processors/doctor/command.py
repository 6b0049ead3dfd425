"""`sluice doctor`."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from sluice.settings import load_settings
from stream_processors.doctor.checks import every
from stream_processors.doctor.verdict import State

_MARKS = {
    State.FINE: "[green]fine   [/]",
    State.NOTICE: "[cyan]notice [/]",
    State.TROUBLE: "[bold red]TROUBLE[/]",
    State.UNSEEN: "[yellow]unseen [/]",
}


@click.command("doctor")
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml].")
@click.option("--json", "as_json", is_flag=True, help="Print each finding as a JSON object.")
def doctor(settings_path: Path | None, as_json: bool) -> int:  # noqa: FBT001 - a flag
    """Look over a whole installation, and say what to do about each thing that is not well. Changes nothing.

    Disk, who may log in, registry, clock, master key, contracts, everything that `sluice plan` compares (topics and
    their partitions and settings, rights too few or too many, quotas, schemas, the set in force), the age of the
    stores, and whether anybody shares. Whether providers are served it cannot see. Exits 1 when something is not well.

    \b
    Examples:
      sluice doctor
      sluice doctor --json | jq -r 'select(.state == "trouble") | .says'
    """
    settings = load_settings(settings_path)
    console = Console(highlight=False)
    troubles = 0
    for verdict in every(settings):
        troubles += verdict.state is State.TROUBLE
        if as_json:
            click.echo(json.dumps(verdict.as_json()))
        else:
            console.print(f"{_MARKS[verdict.state]} [bold]{verdict.check:<15}[/] ", end="")
            console.print(verdict.says, markup=False, soft_wrap=True)
    return 1 if troubles else 0
