"""`sluice publish` and `sluice simulate-crm`."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypedDict, Unpack, get_args

import click
from rich.console import Console

from producers import live, simulation
from producers.drop_publication import watch
from producers.encoding import CONSENTS, CUSTOMERS, Encoder, Feed, nothing_filled, record_filling
from producers.file_publication import USER, Order, publish_file, registered, tell
from producers.publication import Tally
from producers.publisher import connect
from producers.row_source import RowsOf, records
from producers.row_source import signals as signal_rows
from sluice.contract import load_contracts
from sluice.files import opening
from sluice.files.opening import Format
from sluice.settings import load_settings


class Written(TypedDict):
    """The options of `publish`, as click hands them over."""

    file: str
    settings: Path | None
    form: Format | None
    mapping: Path | None
    source: str | None
    max_errors: int | None
    list_errors: int
    dry_run: bool
    watch: bool
    settle: float
    as_json: bool


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(
        (
            click.argument("file"),
            click.option("--settings", type=click.Path(path_type=Path), help="The settings; ./sluice.yaml by default."),
            click.option(
                "--format", "form", type=click.Choice(get_args(Format)), help="Else the file's ending tells it."
            ),
            click.option(
                "--mapping",
                type=click.Path(path_type=Path),
                help="Which columns become which fields; of signals, which vendors and categories are whose.",
            ),
            click.option("--source", metavar="NAME", help="The CRM's name: `NAME:` is put before each customer id."),
            click.option("--max-errors", type=click.IntRange(1), help="Stop after so many errors; never by default."),
            click.option(
                "--list-errors", type=click.IntRange(0), default=20, show_default=True, help="Errors to list."
            ),
            click.option("--dry-run", is_flag=True, help="Check every row and write nothing."),
            click.option(
                "--watch", is_flag=True, help="FILE is a folder: publish what is dropped there, until Ctrl-C."
            ),
            click.option(
                "--settle",
                type=click.FloatRange(0),
                default=5.0,
                show_default=True,
                help="With --watch: a file is complete when it has not changed for so many seconds.",
            ),
            click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON."),
        )
    ):
        command = option(command)
    return command


@click.group()
def publish() -> None:
    """Publish a file of customers or of consent events, each row whole or not at all."""


@publish.command()
@_options
def customers(**written: Unpack[Written]) -> None:
    """Publish customers from FILE: each row is the whole snapshot of one.

    FILE is .csv, .jsonl, .avro or .parquet; - is standard input, of the first two. Parquet needs sluice[parquet].

    \b
    Examples:
      sluice publish customers customers.csv --source dell-crm
      sluice publish customers export.parquet --mapping columns.yaml --dry-run
      sluice publish customers /srv/drops/customers --watch --source dell-crm
    """
    _publish(CUSTOMERS, **written)


@publish.command()
@_options
def consents(**written: Unpack[Written]) -> None:
    """Publish consent events from FILE: each row is one answer of one customer.

    FILE is .csv, .jsonl, .avro or .parquet; - is standard input, of the first two. Parquet needs sluice[parquet].

    \b
    Examples:
      sluice publish consents consents.jsonl --dry-run
      sluice publish consents /srv/drops/consents --watch
    """
    _publish(CONSENTS, **written)


@publish.command(epilog="Example: sluice publish signals signals.jsonl --mapping signals.yaml")
@_options
def signals(**written: Unpack[Written]) -> None:
    """Publish consent events that are read from privacy signals in FILE (.jsonl; - is standard input).

    Global Privacy Control, IAB GPP, TCF and US Privacy strings, consent objects of Segment, RudderStack and OneTrust.
    """
    # one row of signals gives several events, and those are counted
    _publish(CONSENTS, signal_rows, "events", **written)


def _publish(feed: Feed, rows_of: RowsOf = records, rows: str = "rows", **written: Unpack[Written]) -> None:
    order = Order(
        feed=feed,
        rows_of=rows_of,
        rows=rows,
        settings=load_settings(written["settings"]),
        form=written["form"],
        mapping=written["mapping"],
        source=opening.checked_source(written["source"]),
        max_errors=written["max_errors"],
        list_errors=written["list_errors"],
        dry_run=written["dry_run"],
    )
    if written["watch"]:
        if order.mapping is not None and rows_of is records:
            opening.column_mapping(order.mapping)  # what no file could be read by is told now
        watch(Path(written["file"]), order, written["settle"], as_json=written["as_json"])
        return
    fill = record_filling(_now_ms, secrets.randbits) if feed is CONSENTS else nothing_filled
    summary, _ = publish_file(written["file"], order, fill)
    click.echo(json.dumps(summary.as_json(), ensure_ascii=False) if written["as_json"] else summary.sentence(rows))
    if not summary.is_complete:
        raise click.exceptions.Exit(1)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Wanted(TypedDict):
    """The options of `simulate-crm`, as click hands them over."""

    settings: Path | None
    customers: int
    rate: float
    seed: int
    duration: float | None
    events: int | None
    as_json: bool


@click.command("simulate-crm", epilog="Example: sluice simulate-crm --customers 1000 --rate 50 --duration 60")
@click.option("--settings", type=click.Path(path_type=Path), help="The settings; ./sluice.yaml by default.")
@click.option(
    "--customers", type=click.IntRange(1), default=1_000, show_default=True, help="How many there are at once."
)
@click.option("--rate", type=click.FloatRange(0.01), default=20.0, show_default=True, help="Events a second.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed, the same people and events.")
@click.option("--duration", type=click.FloatRange(0), help="Stop after so many seconds.")
@click.option("--events", type=click.IntRange(1), help="Stop after so many events.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def simulate_crm(**wanted: Unpack[Wanted]) -> None:
    """Be a CRM: invented people who move, are promoted, leave, and consent to the contracts' partners or do not.

    Runs until Ctrl-C unless --duration or --events ends it.
    """
    settings = load_settings(wanted["settings"])
    recipients = simulation.recipients(load_contracts(settings.contracts))
    encoders = {feed: Encoder(feed, *registered(settings, feed), nothing_filled) for feed in (CUSTOMERS, CONSENTS)}
    producer = connect(settings.client(USER), [feed.topic for feed in encoders], settings.traces("simulate-crm"))
    run = simulation.Run(wanted["customers"], wanted["rate"], wanted["seed"], wanted["duration"], wanted["events"])
    console = Console(stderr=True)
    tally = Tally(20, lambda problem: tell(console, "event", problem))
    with live.totals(console) as show:
        totals = simulation.simulate(run, recipients, encoders, simulation.Output(producer, tally, show))
    if wanted["as_json"]:
        click.echo(json.dumps(asdict(totals)))
    else:
        click.echo(totals.sentence())
    if totals.refused + totals.failed + totals.unconfirmed:
        raise click.exceptions.Exit(1)
