"""`sluice publish` and `sluice simulate-crm`."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypedDict, Unpack

import click
from rich.console import Console

from producers import live, simulation
from producers.encoding import (
    CONSENTS,
    CUSTOMERS,
    Encoder,
    Feed,
    Row,
    encoded_csv,
    encoded_json,
    nothing_filled,
    record_filling,
)
from producers.publication import Nowhere, Problem, Sink, Summary, Tally
from producers.publication import publish as publish_rows
from producers.publisher import Publisher, connect
from producers.signals.mapping import SignalMapping, load_mapping
from producers.signals.rows import Terms, encoded_signals
from sluice.contract import load_contracts
from sluice.errors import SluiceError
from sluice.files import opening
from sluice.files.rows import CsvFile, Lines, json_rows
from sluice.registry import Registry
from sluice.settings import Settings, load_settings
from sluice.topics import subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RowsOf: TypeAlias = "Callable[[Written, Lines, Encoder], Iterator[Row]]"
"""How the rows of a file are read."""

USER = "crm"
"""The client that CRMs connect as."""


class Written(TypedDict):
    """The options of `publish`, as click hands them over."""

    file: str
    settings: Path | None
    form: str | None
    mapping: Path | None
    source: str | None
    max_errors: int | None
    list_errors: int
    dry_run: bool
    as_json: bool


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(
        (
            click.argument("file"),
            click.option("--settings", type=click.Path(path_type=Path), help="The settings; ./sluice.yaml by default."),
            click.option(
                "--format", "form", type=click.Choice(["csv", "jsonl"]), help="Else the file's ending tells it."
            ),
            click.option(
                "--mapping",
                type=click.Path(path_type=Path),
                help="Which CSV columns become which fields; of signals, which vendors and categories are whose.",
            ),
            click.option("--source", metavar="NAME", help="The CRM's name: `NAME:` is put before each customer id."),
            click.option("--max-errors", type=click.IntRange(1), help="Stop after so many errors; never by default."),
            click.option(
                "--list-errors", type=click.IntRange(0), default=20, show_default=True, help="Errors to list."
            ),
            click.option("--dry-run", is_flag=True, help="Check every row and write nothing."),
            click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON."),
        )
    ):
        command = option(command)
    return command


@click.group()
def publish() -> None:
    """Publish a file of customers or of consent events, each row whole or not at all."""


@publish.command(epilog="Example: sluice publish customers customers.csv --source dell-crm")
@_options
def customers(**written: Unpack[Written]) -> None:
    """Publish customers from FILE (.csv, .jsonl; - is standard input): each row is the whole snapshot of one."""
    _publish(CUSTOMERS, **written)


@publish.command(epilog="Example: sluice publish consents consents.jsonl --dry-run")
@_options
def consents(**written: Unpack[Written]) -> None:
    """Publish consent events from FILE (.csv, .jsonl; - is standard input): each row is one answer of one customer."""
    _publish(CONSENTS, **written)


@publish.command(epilog="Example: sluice publish signals signals.jsonl --mapping signals.yaml")
@_options
def signals(**written: Unpack[Written]) -> None:
    """Publish consent events that are read from privacy signals in FILE (.jsonl; - is standard input).

    Global Privacy Control, IAB GPP, TCF and US Privacy strings, consent objects of Segment, RudderStack and OneTrust.
    """
    _publish(CONSENTS, _signal_rows, **written)


def _publish(feed: Feed, rows_of: RowsOf | None = None, **written: Unpack[Written]) -> None:
    settings = load_settings(written["settings"])
    fill = record_filling(_now_ms, secrets.randbits) if feed is CONSENTS else nothing_filled
    encoder = Encoder(feed, *_registered(settings, feed), fill, opening.checked_source(written["source"]))
    with opening.opened(written["file"]) as stream, live.reading(opening.size(stream)) as progress:
        lines = Lines(stream)
        name = opening.shown(written["file"])
        tally = Tally(written["list_errors"], lambda problem: _tell(progress.console, name, problem))
        rows = live.followed((rows_of or _rows)(written, lines, encoder), lines, tally, progress)
        dry_run = written["dry_run"]
        sink: Sink = (
            Nowhere() if dry_run else Publisher(connect(settings.client(USER), [feed.topic]), feed.topic, tally)
        )
        started = time.monotonic()
        publish_rows(rows, sink, tally, written["max_errors"])
        summary = tally.summary(time.monotonic() - started, dry_run=dry_run)
    # one row of signals gives several events, and those are counted
    _print(summary, "rows" if rows_of is None else "events", as_json=written["as_json"])
    if not summary.is_complete:
        raise click.exceptions.Exit(1)


def _rows(written: Written, lines: Lines, encoder: Encoder) -> Iterator[Row]:
    form = written["form"] or opening.format_of(written["file"])
    match form:
        case "csv":
            file = CsvFile(lines)
            return encoded_csv(file, opening.planned(written["mapping"], file.header, encoder.reader), encoder)
        case "jsonl" if written["mapping"] is None:
            return encoded_json(json_rows(lines), encoder)
        case "jsonl":
            raise SluiceError("A mapping is for CSV; rows of JSON Lines are the records themselves.")
        case _:
            raise SluiceError("Neither .csv nor .jsonl: say with --format what the file is.")


def _signal_rows(written: Written, lines: Lines, encoder: Encoder) -> Iterator[Row]:
    if (written["form"] or opening.format_of(written["file"])) != "jsonl":
        raise SluiceError("Signals are rows of JSON Lines; of a file with another ending, say --format jsonl.")
    return encoded_signals(json_rows(lines), _signal_terms(written, encoder), encoder)


def _signal_terms(written: Written, encoder: Encoder) -> Terms:
    if written["mapping"] is None:
        return Terms(SignalMapping(), {}, encoder.reader.customer)
    contracts = load_contracts(load_settings(written["settings"]).contracts)
    kinds = {str(partner): contract.kind for partner, (contract, _) in contracts.items()}
    return Terms(load_mapping(written["mapping"], kinds), kinds, encoder.reader.customer)


def _registered(settings: Settings, feed: Feed) -> tuple[int, str]:
    return Registry(settings.registry()).latest(subject(feed.topic))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _tell(console: Console, name: str, problem: Problem) -> None:
    console.print(f"{name}:{problem.line}: {problem.problem}", markup=False, highlight=False, soft_wrap=True)


def _print(summary: Summary, rows: str, *, as_json: bool) -> None:
    click.echo(json.dumps(summary.as_json(), ensure_ascii=False) if as_json else summary.sentence(rows))


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
    encoders = {feed: Encoder(feed, *_registered(settings, feed), nothing_filled) for feed in (CUSTOMERS, CONSENTS)}
    producer = connect(settings.client(USER), [feed.topic for feed in encoders])
    run = simulation.Run(wanted["customers"], wanted["rate"], wanted["seed"], wanted["duration"], wanted["events"])
    console = Console(stderr=True)
    tally = Tally(20, lambda problem: _tell(console, "event", problem))
    with live.totals(console) as show:
        totals = simulation.simulate(run, recipients, encoders, simulation.Output(producer, tally, show))
    if wanted["as_json"]:
        click.echo(json.dumps(asdict(totals)))
    else:
        click.echo(totals.sentence())
    if totals.refused + totals.failed + totals.unconfirmed:
        raise click.exceptions.Exit(1)
