"""A folder of drops published as the command line wants it: the watcher, given its folder, its files and its end."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from producers import drop_folder
from producers.drop_folder import Drop, Settling
from producers.encoding import CONSENTS, nothing_filled, record_filling
from producers.file_publication import Order, opened, publish_file
from producers.publication import Ending, Summary
from producers.watching import Watcher
from sluice import interrupts
from sluice.errors import SluiceError
from sluice.files.filling import Filling

_PIECE_BYTES = 1 << 20


def watch(folder: Path, order: Order, settle_seconds: float, *, as_json: bool) -> None:
    """Until Ctrl-C or SIGTERM. Raises SluiceError when the folder cannot be had."""
    if order.dry_run:
        raise SluiceError("--dry-run checks a single file; with --watch files are published and moved.")

    def publish(drop: Drop) -> tuple[Summary, Ending]:
        summary, ending = publish_file(str(drop.path), order, _filling(drop, order))
        _print(drop, summary, order.rows, as_json=as_json)
        return summary, ending

    with drop_folder.taken(folder), _ended_by_sigterm():
        Watcher(folder, publish, Settling(settle_seconds), lambda sentence: click.echo(sentence, err=True)).run()


def _print(drop: Drop, summary: Summary, rows: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"file": drop.name, **summary.as_json()}, ensure_ascii=False))
    else:
        click.echo(f"{drop.name}: {summary.sentence(rows)}")


def _filling(drop: Drop, order: Order) -> Filling:
    """The same file gives the same ids and times, so that what is published again is the same event."""
    if order.feed is not CONSENTS:
        return nothing_filled
    written_ms = min(drop.changed_ns, time.time_ns()) // 1_000_000
    return record_filling(lambda: written_ms, random.Random(_digest(drop)).getrandbits)  # noqa: S311 - ids are no secret


def _digest(drop: Drop) -> bytes:
    digest = hashlib.sha256()
    with opened(str(drop.path)) as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.digest()


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """As by Ctrl-C: whatever ends services ends this one between rows."""
    before = signal.signal(signal.SIGTERM, interrupts.hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
