"""`sluice plan`."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from sluice.installation import plan as planned
from sluice.settings import load_settings
from stream_processors.onboarding import counting, saved, showing

_DIFFERS = 2


@click.command("plan")
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml].")
@click.option("--out", type=click.Path(path_type=Path), help="Save the plan, for `sluice apply FILE`.")
@click.option("--counts", is_flag=True, help="Whom it would reach: reads all inputs, so it takes its time.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def plan_command(settings_path: Path | None, out: Path | None, counts: bool, as_json: bool) -> int:  # noqa: FBT001 - flags
    """Show what contracts ask of broker and registry that is not so, without doing anything.

    + is made, ~ changed, - removed. Exits 0 when everything is as the contracts ask, 2 when something differs, 1 when
    it cannot be told.

    \b
    Examples:
      sluice plan
      sluice plan --counts
      sluice plan --out plan.json && sluice apply plan.json
      sluice plan --json | jq '.steps[].address'
    """
    settings = load_settings(settings_path)
    found = planned(settings)
    if out is not None:
        saved.save(found.plan, out)
    counted = counting.counted(settings, found.draft) if counts else None
    if as_json:
        told = found.plan.as_json()
        click.echo(json.dumps(told if counted is None else told | {"counts": counting.as_json(counted)}))
    else:
        console = Console(highlight=False)
        showing.show(console, found.plan)
        if counted is not None:
            counting.show(console, counted)
        console.print(showing.closing(found.plan), soft_wrap=True)
    return 0 if found.plan.is_empty else _DIFFERS
