"""`sluice verify`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from sluice.settings import load_settings
from stream_processors.review import progress
from stream_processors.review.provers import proved
from stream_processors.review.proving import Task
from stream_processors.review.simulation import cores, scratch
from stream_processors.review.verify_report import Report, report, sentences

_DIFFERENT = 2


@click.command("verify")
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml].")
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to look again at who is waiting or moving.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes [one a core].")
@click.option(
    "--list", "listed", type=click.IntRange(0, 1_000), default=100, show_default=True, help="Differences to list."
)
@click.option("--with-values", is_flag=True, help="Tell the values that differ too: customers' data.")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object.")
def verify_command(  # noqa: PLR0913 - a command's options
    settings_path: Path | None,
    wait: float,
    workers: int | None,
    listed: int,
    *,
    with_values: bool,
    as_json: bool,
) -> None:
    """Prove that partners hold what they may: recompute every partner topic from the inputs, and compare.

    Reads the logs as the administrator, up to what the processor has committed, and decides everything once more, with
    another Avro library and without the processor's way of making records. The processor may run meanwhile. Nothing is
    written, no group is joined.

    Exits 0 when nothing differs (what is waiting, moving or indeterminate is told), 2 when something does, 1 when it
    cannot be proved.

    \b
    Examples:
      sluice verify
      sluice verify --json --wait 60 | jq '.faults, .differences[].customer'
      sluice verify --wait 0 --with-values --list 10
    """
    settings = load_settings(settings_path)
    with scratch() as folder, progress.stages() as bars:
        proofs = proved(Task(settings, folder, wait), workers or cores(), bars)
    found = report(proofs, listed, values=with_values)
    _show(found, as_json=as_json)
    if not found.equal:
        raise click.exceptions.Exit(_DIFFERENT)


def _show(found: Report, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        for line in sentences(found):
            click.echo(line)
