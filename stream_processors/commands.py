"""`sluice run …`: the processors."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from sluice.settings import load_settings
from stream_processors.providers.setup import serve as serve_providers
from stream_processors.serving import Served, serve
from stream_processors.workers import MOST_WORKERS, Workers


@click.group()
def run() -> None:
    """Run a processor until it is stopped (Ctrl-C or SIGTERM)."""


@run.command()
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml].")
@click.option("--instance", help="Name of this process in its group; overrides the settings.")
@click.option("--metrics-port", type=click.IntRange(0, 65_535), help="Overrides the settings; 0 takes a free port.")
@click.option(
    "--workers",
    type=click.IntRange(1, MOST_WORKERS),
    default=1,
    show_default=True,
    help="Processes, for several cores.",
)
@click.option("--until-end", is_flag=True, help="Do what there is to do, print what was done as JSON, and end.")
def sharing(
    settings_path: Path | None,
    instance: str | None,
    metrics_port: int | None,
    workers: int,
    until_end: bool,  # noqa: FBT001 - a flag
) -> int:
    """Maintain the partner topics: consent filter, redaction, recall. Logs are JSON lines on standard error.

    With --workers the processes are instances of one group, named after this one (0-0, 0-1 and so on), each with a
    store of its own and its metrics on the next port. One that dies is started again; the others have its partitions
    meanwhile.

    With --until-end it exits 1 when something was left undone for somebody to mend, and says what.

    \b
    Examples:
      sluice run sharing
      sluice run sharing --settings deploy/demo/sluice.yaml --instance 1 --metrics-port 0
      sluice run sharing --workers 4
      sluice run sharing --until-end | jq .seconds
    """
    started = time.monotonic()
    settings = load_settings(settings_path)
    if instance is not None:
        own = settings.sharing.model_copy(update={"instance": instance})
        settings = settings.model_copy(update={"sharing": own})
    port = settings.sharing.metrics.port if metrics_port is None else metrics_port
    if workers > 1:
        served = Workers(settings, port, workers, until_end=until_end).run()
    else:
        served = [serve(settings, port, _as_it_is if until_end else None)]
    if until_end:
        click.echo(json.dumps(_told(served) | {"seconds": round(time.monotonic() - started, 3)}))
    return 1 if any(one.held_up for one in served) else 0


@run.command()
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml].")
@click.option("--metrics-port", type=click.IntRange(0, 65_535), help="Overrides the settings; 0 takes a free port.")
def returns(settings_path: Path | None, metrics_port: int | None) -> None:
    """Take in what partners return: acknowledgements of recalls and their deadlines, unsubscribes, corrections.

    Logs are JSON lines on standard error.

    \b
    Examples:
      sluice run returns
      sluice run returns --settings deploy/demo/sluice.yaml --metrics-port 0
    """
    from stream_processors.returns.setup import serve as serve_returns  # noqa: PLC0415 - Faust takes a second to load

    settings = load_settings(settings_path)
    serve_returns(settings, settings.returns.metrics.port if metrics_port is None else metrics_port)


@run.command()
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="Settings file [./sluice.yaml].")
@click.option("--metrics-port", type=click.IntRange(0, 65_535), help="Overrides the settings; 0 takes a free port.")
def providers(settings_path: Path | None, metrics_port: int | None) -> None:
    """Ask service providers for what their contracts name, and take in what they reply, with where it is from.

    Logs are JSON lines on standard error. One process: a second one ends the first.

    \b
    Examples:
      sluice run providers
      sluice run providers --settings deploy/demo/sluice.yaml --metrics-port 0
    """
    settings = load_settings(settings_path)
    serve_providers(settings, settings.providers.metrics.port if metrics_port is None else metrics_port)


def _as_it_is(at_end: bool) -> bool:  # noqa: FBT001 - as it is called
    return at_end


def _told(served: Sequence[Served]) -> dict[str, object]:
    """The counts of all workers together."""
    counts = [asdict(one.done) for one in served]
    held_up = {number: why for one in served for number, why in one.held_up.items()}
    return {name: sum(one[name] for one in counts) for name in counts[0]} | {"held_up": held_up} if counts else {}
