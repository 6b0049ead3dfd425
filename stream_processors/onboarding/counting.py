"""Whom other contracts would reach: the inputs judged under the set in force and under the contracts as they stand."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from sluice import recorded_set
from sluice.keys import load_master_key
from sluice.model import Millis, PartnerId
from sluice.recording import Draft
from sluice.settings import Settings
from stream_processors.onboarding.holders import holders
from stream_processors.review import progress, report
from stream_processors.review.comparison import Change
from stream_processors.review.figures import Figures
from stream_processors.review.recorded_topics import deal_topics
from stream_processors.review.rulebook import Rulebook
from stream_processors.review.simulation import Simulation, cores, scratch, simulate


@dataclass(frozen=True, slots=True)
class Counts:
    figures: Figures
    """Of every partner: who would newly be shared, recalled, given more or less."""
    held: Mapping[PartnerId, int]
    """How many customers each partner holds, by the disclosures."""
    compared: bool
    """Whether there is a set in force that the contracts were compared with."""


def counted(settings: Settings, draft: Draft) -> Counts:
    """Two answers to the inputs are compared, as `sluice simulate` does, and told beside what is held. Writes nothing.

    Raises SluiceError.
    """
    figures = _figures(settings, draft)
    known = frozenset(PartnerId(partner) for partner in figures.partners)
    held = {} if draft.before is None else holders(settings, known)
    return Counts(figures, held, draft.before is not None)


def _figures(settings: Settings, draft: Draft) -> Figures:
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


def as_json(counts: Counts) -> dict[str, Any]:
    """By partner: customers by kind of change, and those that a field would reach more or fewer of."""
    return {
        partner: {
            "holds": counts.held.get(PartnerId(partner), 0),
            **{kind.value: _of(own.changes, kind) for kind in Change if kind is not Change.SAME},
            "shared": own.shared,
            "fields_gained": dict(own.gained),
            "fields_lost": dict(own.lost),
        }
        for partner, own in sorted(counts.figures.partners.items())
    }


def _of(changes: dict[tuple[Change, str], int], kind: Change) -> int:
    return sum(count for (one, _), count in changes.items() if one is kind)


def show(console: Console, counts: Counts) -> None:
    when = "now" if counts.compared else "then"
    for partner, own in sorted(counts.figures.partners.items()):
        console.print(f"\n{partner}: {own.shared:,} of {counts.figures.customers:,} customers shared {when}")
        if counts.compared:
            console.print(f"  it holds {counts.held.get(PartnerId(partner), 0):,}, by the disclosures")
            console.print(report.changes(own))
