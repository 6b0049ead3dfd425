"""`sluice publish` and `sluice simulate-crm`."""

from __future__ import annotations

import contextlib
import json
import secrets
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypedDict, Unpack

import click
from rich.console import Console

from producers import live, simulation
from producers.encoding import (
    CONSENTS,
    CUSTOMERS,
    Encoder,
    Feed,
    encoded_csv,
    encoded_json,
    nothing_filled,
    record_filling,
)
from producers.mapping import ColumnMapping
from producers.publication import Nowhere, Problem, Sink, Summary, Tally
from producers.publication import publish as publish_rows
from producers.publisher import Publisher, connect
from producers.rows import CsvFile, Lines, Row, json_rows
from producers.table import Table, plan, plan_by_header
from sluice.contract import load_contracts
from sluice.document import load
from sluice.errors import SluiceError
from sluice.registry import Registry
from sluice.settings import Settings, load_settings
from sluice.topics import subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USER = "crm"
"""The client that CRMs connect as."""

_FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}


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
            click.option("--mapping", type=click.Path(path_type=Path), help="Which CSV columns become which fields."),
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


def _publish(feed: Feed, **written: Unpack[Written]) -> None:
    settings = load_settings(written["settings"])
    fill = record_filling(_now_ms, secrets.randbits) if feed is CONSENTS else nothing_filled
    encoder = Encoder(feed, *_registered(settings, feed), fill, _checked_source(written["source"]))
    with _opened(written["file"]) as stream, live.reading(_size(stream)) as progress:
        lines = Lines(stream)
        name = "<stdin>" if written["file"] == "-" else written["file"]
        tally = Tally(written["list_errors"], lambda problem: _tell(progress.console, name, problem))
        rows = live.followed(_rows(written, lines, encoder), lines, tally, progress)
        dry_run = written["dry_run"]
        sink: Sink = (
            Nowhere() if dry_run else Publisher(connect(settings.client(USER), [feed.topic]), feed.topic, tally)
        )
        started = time.monotonic()
        publish_rows(rows, sink, tally, written["max_errors"])
        summary = tally.summary(time.monotonic() - started, dry_run=dry_run)
    _print(summary, as_json=written["as_json"])
    if not summary.is_complete:
        raise click.exceptions.Exit(1)


def _rows(written: Written, lines: Lines, encoder: Encoder) -> Iterator[Row]:
    form = written["form"] or _FORMATS.get(Path(written["file"]).suffix.lower())
    match form:
        case "csv":
            file = CsvFile(lines)
            return encoded_csv(file, _table(written["mapping"], file.header, encoder), encoder)
        case "jsonl" if written["mapping"] is None:
            return encoded_json(json_rows(lines), encoder)
        case "jsonl":
            raise SluiceError("A mapping is for CSV; rows of JSON Lines are the records themselves.")
        case _:
            raise SluiceError("Neither .csv nor .jsonl: say with --format what the file is.")


def _table(mapping: Path | None, header: list[str], encoder: Encoder) -> Table:
    if mapping is None:
        return plan_by_header(header, encoder.shape, encoder.feed.fields)
    document, source = load(mapping, ColumnMapping)
    return plan(document, source, header, encoder.shape, encoder.feed.fields)


def _registered(settings: Settings, feed: Feed) -> tuple[int, str]:
    return Registry(settings.registry_url()).latest(subject(feed.topic))


def _checked_source(source: str | None) -> str | None:
    if source is not None and (not source or ":" in source or not source.isprintable() or " " in source):
        raise SluiceError("--source is a name without spaces and colons, such as dell-crm.")
    return source


@contextlib.contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with contextlib.ExitStack() as stack:
        try:
            stream = stack.enter_context(Path(file).open("rb"))
        except OSError as error:
            raise SluiceError(f"{file} cannot be read: {error.strerror}.") from None
        yield stream


def _size(stream: BinaryIO) -> int | None:
    """Bytes to read, where the stream can tell."""
    if not stream.seekable():
        return None
    size = stream.seek(0, 2)
    stream.seek(0)
    return size


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _tell(console: Console, name: str, problem: Problem) -> None:
    console.print(f"{name}:{problem.line}: {problem.problem}", markup=False, highlight=False, soft_wrap=True)


def _print(summary: Summary, *, as_json: bool) -> None:
    click.echo(json.dumps(summary.as_json(), ensure_ascii=False) if as_json else summary.sentence())


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
