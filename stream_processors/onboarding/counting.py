"""Whom other contracts would reach: the inputs judged under the set in force and under the contracts as they stand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from sluice import recorded_set
from sluice.keys import load_master_key
from sluice.model import Millis
from sluice.recording import Draft
from sluice.settings import Settings
from stream_processors.review import progress, report
from stream_processors.review.comparison import Change
from stream_processors.review.figures import Figures
from stream_processors.review.recorded_topics import deal_topics
from stream_processors.review.rulebook import Rulebook
from stream_processors.review.simulation import Simulation, cores, scratch, simulate


def counted(settings: Settings, draft: Draft) -> Figures:
    """Of every partner: who would newly be shared, recalled, given more or less. Raises SluiceError.

    Nothing is written and nobody is taken to hold anything: two answers are compared, as `sluice simulate` does.
    """
    with _rulebooks(settings, draft) as (now, then), scratch() as folder, progress.stages() as bars:
        bars.begin("reading", None)
        dealt = deal_topics(settings, folder, bars.reach_of)
        bars.begin("judging", dealt.shards)
        asked = Simulation(now or then, then if now else None, cores(), 0, None)
        return simulate(asked, dealt, folder, bars.reach).figures


@contextmanager
def _rulebooks(settings: Settings, draft: Draft) -> Iterator[tuple[Rulebook | None, Rulebook]]:
    """Of the set in force, if there is one, and of the contracts as they stand."""
    at = Millis(time.time_ns() // 1_000_000)
    acknowledged = frozenset(settings.sharing.acknowledged)
    master = load_master_key(settings.master_key)
    then = Rulebook(settings.contracts, settings.load_law(), draft.source, master, at, acknowledged)
    if draft.before is None:
        yield None, then
        return
    with TemporaryDirectory(prefix="sluice-set-") as name:
        folder = Path(name)
        law = recorded_set.unpack(draft.before, folder)
        yield Rulebook(folder / "contracts", law, draft.before.source_schema, master, at, acknowledged), then


def as_json(figures: Figures) -> dict[str, Any]:
    """By partner: customers by kind of change, and those that a field would reach more or fewer of."""
    return {
        partner: {
            **{kind.value: _of(own.changes, kind) for kind in Change if kind is not Change.SAME},
            "shared": own.shared,
            "fields_gained": dict(own.gained),
            "fields_lost": dict(own.lost),
        }
        for partner, own in sorted(figures.partners.items())
    }


def _of(changes: dict[tuple[Change, str], int], kind: Change) -> int:
    return sum(count for (one, _), count in changes.items() if one is kind)


def show(console: Console, figures: Figures, *, compared: bool) -> None:
    for partner, own in sorted(figures.partners.items()):
        console.print(
            f"\n{partner}: {own.shared:,} of {figures.customers:,} customers shared {'now' * compared or 'then'}"
        )
        if compared:
            console.print(report.changes(own))
