"""`sluice demo`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console

from sluice.demo import address_hygiene as hygiene_story
from sluice.demo import email_house as email_story
from sluice.demo.stage import Stage
from sluice.demo.story import Story
from sluice.errors import SluiceError
from sluice.local import stack

_STATE = Path(".sluice/demo")
_deploy = click.option(
    "--deploy", type=click.Path(path_type=Path), default=Path("deploy/demo"), show_default=True,
    help="Folder with the demo's contracts and column mapping.",
)  # fmt: skip
_state = click.option(
    "--state", type=click.Path(path_type=Path), default=_STATE, show_default=True,
    help="Where the demo's own broker lives; made anew each time.",
)  # fmt: skip
_keep = click.option("--keep", is_flag=True, help="Leave the broker running, to look around.")


@click.group(invoke_without_command=True)
@_deploy
@_state
@click.option("--seed", default=2026, show_default=True, help="Decides who consents to what.")
@_keep
@click.pass_context
def demo(context: click.Context, deploy: Path, state: Path, seed: int, keep: bool) -> None:  # noqa: FBT001 - a command's flag
    """Customer updates of 5,000 people reach three partners; then one of them withdraws. Or another story, by name.

    \b
    Examples:
      sluice demo
      sluice demo --keep
      sluice demo address-hygiene
      sluice demo email-house
    """
    if context.invoked_subcommand is None:
        places = deploy.absolute(), state.absolute()
        _tell(state, deploy / "contracts", lambda console: Story(console, *places, seed).tell(), keep=keep)


@demo.command("address-hygiene")
@_deploy
@_state
@_keep
def address_hygiene(deploy: Path, state: Path, keep: bool) -> None:  # noqa: FBT001
    """An address-hygiene house is asked about 200 customers; what comes back, what does not get in, and why."""
    contract = deploy / "contracts" / "adresso.yaml"
    _tell(state, contract, lambda console: hygiene_story.tell(Stage(console, contract, state.absolute())), keep=keep)


@demo.command("email-house")
@_deploy
@_state
@_keep
def email_house(deploy: Path, state: Path, keep: bool) -> None:  # noqa: FBT001
    """An e-mail house is asked to send a campaign, twice; who unsubscribed or withdrew meanwhile is not there."""
    contract = deploy / "email-house" / "letterbird.yaml"
    _tell(state, contract, lambda console: email_story.tell(Stage(console, contract, state.absolute())), keep=keep)


def _tell(state: Path, needed: Path, story: Callable[[Console], None], *, keep: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if not needed.exists():
        raise SluiceError(f"There is no {needed}: run the demo from a checkout, or name the folder with --deploy.")
    if stack.delete(state):  # it is a demo's or a local broker's; anything else in the way is refused when it starts
        shutil.rmtree(state, ignore_errors=True)
    with ExitStack() as cleanup:
        if not keep:
            cleanup.callback(stack.stop, state)
        story(console)
    if keep:
        console.print(f"\nStill running: `sluice local status --state {state}`; its settings: {state}/sluice.yaml")
