"""`sluice apply`."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from sluice.contract import load_contracts
from sluice.document import nearest
from sluice.errors import SluiceError
from sluice.installation import apply, partners_in
from sluice.model import PartnerId
from sluice.partner_kit.command import hand_over
from sluice.planning import Plan, Removal, Step
from sluice.rotation import rotate
from sluice.settings import Settings, load_settings
from stream_processors.onboarding import saved, showing
from stream_processors.onboarding.holders import refuse_holders


@click.command("apply")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml].")
@click.option(
    "--destroy", multiple=True, metavar="ADDRESS", help="Remove what is left over: an address, or partner/ID."
)
@click.option("--rotate", "user", metavar="USER", help="Give a user another password, and do nothing else.")
@click.option("--kit", "kits", multiple=True, metavar="PARTNER", help="And write a partner's kit into ./PARTNER-kit.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON, and a line for each kit.")
def apply_command(  # noqa: PLR0913, PLR0917 - what somebody can say
    file: Path | None,
    settings_path: Path | None,
    destroy: tuple[str, ...],
    user: str | None,
    kits: tuple[str, ...],
    yes: bool,  # noqa: FBT001 - a flag
    as_json: bool,  # noqa: FBT001 - a flag
) -> None:
    """Make broker and registry as the contracts ask, and put the contracts in force. May be repeated.

    Shows the plan and asks; with FILE, a plan that was saved, only while what it saw is still true. Nothing is removed
    but what --destroy names, and no partner that still holds customers.

    \b
    Examples:
      sluice apply
      sluice apply --kit hoshi-card
      sluice plan --out plan.json && sluice apply plan.json --yes
      sluice apply --destroy partner/hoshi-card
      sluice apply --destroy quota/hoshi-card --destroy topic/partner.old.customers
      sluice apply --rotate hoshi-card
    """
    settings = load_settings(settings_path)
    if user is not None:
        if file is not None or destroy or kits:
            raise click.UsageError("--rotate does nothing else: leave FILE, --destroy and --kit out.")
        click.echo(rotate(settings, user))
        return
    wanted = [PartnerId(partner) for partner in kits]
    _refuse_kits_of_nobody(settings, wanted, destroy)
    desk = _Desk(settings, file, destroy, Console(highlight=False, stderr=as_json), yes)
    done = apply(settings, desk.told, destroy=destroy, approve=desk.approve)
    if as_json:
        steps = [{"address": step.address, "sign": step.sign} for step in done.steps]
        click.echo(json.dumps({"done": steps, "contract_set": done.contract_set}))
    else:
        desk.console.print(f"Contract set {done.contract_set[:12]} is in force.")
    for partner in wanted:
        written = hand_over(settings, partner)
        click.echo(json.dumps(written.as_json()) if as_json else written.sentence())


def _refuse_kits_of_nobody(settings: Settings, wanted: list[PartnerId], destroy: tuple[str, ...]) -> None:
    """Before anything is done. Raises SluiceError."""
    if not wanted:
        return
    known = load_contracts(settings.contracts).keys() - partners_in(destroy)
    for partner in wanted:
        if partner not in known:
            raise SluiceError(f"There is no contract with {partner}{nearest(partner, known)}; nothing was done.")


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where the plan is looked at."""

    settings: Settings
    file: Path | None
    destroy: tuple[str, ...]
    console: Console
    is_agreed: bool

    def approve(self, plan: Plan, removals: tuple[Removal, ...]) -> None:
        """Raises SluiceError, or click's Abort when somebody says no."""
        if self.file is not None:
            saved.refuse_stale(self.file, plan)
        refuse_holders(self.settings, partners_in(self.destroy))
        showing.show(self.console, plan, removals)
        self.console.print(showing.closing(plan, removals), soft_wrap=True)
        if self.is_agreed or not (plan.steps or removals):
            return
        if not sys.stdin.isatty():
            raise SluiceError("There is nobody to ask: say --yes to do this.")
        click.confirm("Do this?", abort=True, err=True)

    def told(self, step: Step | Removal) -> None:
        self.console.print(f"  {step.sign} {step.address}", soft_wrap=True, style="dim")
