"""`sluice simulate`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Unpack

import click

from schemas import catalogue
from sluice.files.opening import checked_source
from sluice.model import Millis
from sluice.settings import load_settings
from stream_processors.review import options, progress, report
from stream_processors.review.instant import millis
from stream_processors.review.options import Told
from stream_processors.review.recorded_files import Files, deal_files, total_bytes
from stream_processors.review.recorded_topics import deal_topics
from stream_processors.review.rulebook import Rulebook
from stream_processors.review.simulation import Result, Simulation, checked, cores, scratch
from stream_processors.review.simulation import simulate as simulated


class Asked(Told):
    """The options of `simulate`, as click hands them over."""

    against: Path | None
    workers: int | None
    list_errors: int


@click.command()
@options.command_with(
    click.option("--against", type=click.Path(path_type=Path), help="Folder of other contracts: what would change?"),
    click.option("--workers", type=click.IntRange(1), help="Processes [one a core]."),
    click.option("--list-errors", type=click.IntRange(0), default=20, show_default=True, help="Errors to list."),
)
def simulate(**asked: Unpack[Asked]) -> None:
    """Show what each partner would get of whom, and why not, without doing anything.

    From files when --customers, --consents and --contracts are given: no broker, registry or settings are needed.
    Otherwise from the topics as they stand, with the contracts of the settings. Exits 1 when there are rows that cannot
    be read and name nobody, because what they say is then missing in the answer.

    \b
    Examples:
      sluice simulate --customers customers.csv --consents consents.jsonl --contracts contracts
      sluice simulate --customers c.jsonl --consents e.jsonl --contracts contracts --at 2027-01-01 --json
      sluice simulate --customers c.jsonl --consents e.jsonl --contracts contracts --against draft
      sluice simulate --settings sluice.yaml --against draft
    """
    at = millis(asked["at"]) if asked["at"] is not None else Millis(time.time_ns() // 1_000_000)
    paths = _paths(asked)
    result = _from_topics(asked, at) if paths is None else _from_files(asked, *paths, at)
    for problem in result.problems.listed():
        click.echo(str(problem), err=True)
    if not asked["as_json"]:
        report.show(result.figures, at, compared=asked["against"] is not None)
    if result.problems.count:
        click.echo(report.problems_sentence(result.problems), err=True)
    if result.problems.nameless:
        raise click.exceptions.Exit(1)


def _paths(asked: Asked) -> tuple[Path, Path, Path] | None:
    """Customers, consents and contracts; None: the topics are meant."""
    if asked["customers"] is None and asked["consents"] is None:
        return None
    customers, consents, contracts = asked["customers"], asked["consents"], asked["contracts"]
    if customers is None or consents is None or contracts is None:
        raise click.UsageError("Files need all three: --customers, --consents and --contracts.")
    return customers, consents, contracts


def _from_files(asked: Asked, customers: Path, consents: Path, contracts: Path, at: Millis) -> Result:
    schema = options.schema_in(asked["schema"]) or catalogue.text("customer_profile")
    master = options.master_key_in(asked["master_key"])
    law = options.law_of(None if asked["settings"] is None else load_settings(asked["settings"]), asked["law"])
    simulation = _simulation(asked, Rulebook(contracts, law, schema, master, at, then=asked["at"] is not None))
    for book in (simulation.rulebook, simulation.against):
        options.refuse_without_key(book.loaded().contracts.values() if book else (), asked["master_key"])
    files = Files(customers, consents, schema, at, asked["mapping"], checked_source(asked["source"]))
    with scratch() as folder, progress.stages() as bars:
        bars.begin("reading", total_bytes(files))
        dealt = deal_files(files, folder, bars.reach)
        bars.begin("judging", dealt.shards)
        return simulated(simulation, dealt, folder, bars.reach)


def _from_topics(asked: Asked, at: Millis) -> Result:
    _refuse_file_options(asked)
    settings = load_settings(asked["settings"])
    schema = options.schema_in(asked["schema"]) or options.registered_schema(settings)
    master = options.master_key_of(settings, asked["master_key"])
    acknowledged = frozenset(settings.sharing.acknowledged)
    law = options.law_of(settings, asked["law"])
    book = Rulebook(
        asked["contracts"] or settings.contracts, law, schema, master, at, acknowledged, asked["at"] is not None
    )
    simulation = _simulation(asked, book)
    with scratch() as folder, progress.stages() as bars:
        bars.begin("reading", None)
        dealt = deal_topics(settings, folder, bars.reach_of)
        bars.begin("judging", dealt.shards)
        return simulated(simulation, dealt, folder, bars.reach)


def _simulation(asked: Asked, book: Rulebook) -> Simulation:
    """Raises DocumentError for contracts and laws that do not load, before any customer is read."""
    simulation = Simulation(
        rulebook=book,
        against=None if asked["against"] is None else book.with_contracts(asked["against"]),
        workers=asked["workers"] or cores(),
        list_problems=asked["list_errors"],
        lines=sys.stdout.buffer if asked["as_json"] else None,
    )
    checked(simulation)
    return simulation


def _refuse_file_options(asked: Asked) -> None:
    for name, value in (("--mapping", asked["mapping"]), ("--source", asked["source"])):
        if value is not None:
            raise click.UsageError(f"{name} is for files: give --customers and --consents.")
