"""One file published: opened, its rows read, encoded and sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rich.console import Console

from producers import live
from producers.encoding import Encoder, Feed
from producers.publication import Ending, Nowhere, Problem, Sink, Summary, Tally, publish
from producers.publisher import Publisher, connect
from producers.row_source import Reading, RowsOf
from sluice.document import DocumentError
from sluice.errors import SluiceError
from sluice.files import opening
from sluice.files.filling import Filling
from sluice.files.opening import Format
from sluice.registry import Registry
from sluice.settings import Settings
from sluice.topics import subject

USER = "crm"
"""The client that CRMs connect as."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted of every file."""

    feed: Feed
    rows_of: RowsOf
    rows: str
    """What the figures count, in a word."""
    settings: Settings
    form: Format | None
    mapping: Path | None
    source: str | None
    max_errors: int | None
    list_errors: int
    dry_run: bool


class FileFault(SluiceError):
    """Nothing of this file can be published; another one may do."""


def publish_file(file: str, order: Order, fill: Filling) -> tuple[Summary, Ending]:
    """Raises FileFault, DocumentError for a mapping that does not fit, SluiceError for what every file would meet.

    All of them before anything of the file is sent.
    """
    encoder = Encoder(order.feed, *registered(order.settings, order.feed), fill, order.source)
    reading = Reading(order.form or opening.format_of(file), order.mapping, order.settings.contracts)
    with opened(file) as stream, live.reading(opening.size(stream)) as progress:
        with _faults_of_the_file():
            source, rows = order.rows_of(reading, stream, encoder)
        tally = Tally(order.list_errors, _teller(progress.console, opening.shown(file)))
        sink = Nowhere() if order.dry_run else _publisher(order, tally)
        started = time.monotonic()
        ending = publish(live.followed(rows, source, tally, progress), sink, tally, order.max_errors)
        return tally.summary(time.monotonic() - started, dry_run=order.dry_run), ending


@contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """The file's bytes. Raises FileFault."""
    with ExitStack() as stack:
        with _faults_of_the_file():
            stream = stack.enter_context(opening.opened(file))
        yield stream


@contextmanager
def _faults_of_the_file() -> Iterator[None]:
    try:
        yield
    except DocumentError:
        raise  # says where in the mapping
    except SluiceError as error:
        raise FileFault(str(error)) from None


def registered(settings: Settings, feed: Feed) -> tuple[int, str]:
    return Registry(settings.registry()).latest(subject(feed.topic))


def _publisher(order: Order, tally: Tally) -> Sink:
    producer = connect(order.settings.client(USER), [order.feed.topic], order.settings.traces("publish"))
    return Publisher(producer, order.feed.topic, tally)


def _teller(console: Console, name: str) -> Callable[[Problem], None]:
    return lambda problem: tell(console, name, problem)


def tell(console: Console, name: str, problem: Problem) -> None:
    console.print(f"{name}:{problem.line}: {problem.problem}", markup=False, highlight=False, soft_wrap=True)
