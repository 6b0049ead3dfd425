"""`sluice demo`."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console

from sluice.demo.story import Story
from sluice.errors import SluiceError
from sluice.local import stack


@click.command()
@click.option("--deploy", type=click.Path(path_type=Path), default=Path("deploy/demo"), show_default=True,
              help="Folder with the demo's contracts and column mapping.")  # fmt: skip
@click.option("--state", type=click.Path(path_type=Path), default=Path(".sluice/demo"), show_default=True,
              help="Where the demo's own broker lives; made anew each time.")  # fmt: skip
@click.option("--seed", default=2026, show_default=True, help="Decides who consents to what.")
@click.option("--keep", is_flag=True, help="Leave everything running, to look around.")
def demo(deploy: Path, state: Path, seed: int, keep: bool) -> None:  # noqa: FBT001 - a command's flag
    """Customer updates of 5,000 people reach three partners; then one of them withdraws.

    \b
    Examples:
      sluice demo
      sluice demo --keep
    """
    console = Console(highlight=False, soft_wrap=True)
    if not (deploy / "contracts").is_dir():
        raise SluiceError(
            f"There are no contracts in {deploy}: run the demo from a checkout, or name the folder with --deploy."
        )
    if stack.delete(state):  # it is a demo's or a local broker's; anything else in the way is refused when it starts
        shutil.rmtree(state, ignore_errors=True)
    with ExitStack() as cleanup:
        if not keep:
            cleanup.callback(stack.stop, state)
        Story(console, deploy.absolute(), state.absolute(), seed).tell()
    if keep:
        console.print(f"\nStill running: `sluice local status --state {state}`; its settings: {state}/sluice.yaml")
