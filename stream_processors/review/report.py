"""The figures for people: what each partner gets, of whom, and why not of the others."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from sluice.model import Millis
from stream_processors.review.comparison import Change
from stream_processors.review.figures import Figures, PartnerFigures
from stream_processors.review.instant import written
from stream_processors.review.problems import Problems

_SAME = Change.SAME
_WIDTH = 160
"""Columns, where no terminal says how many it has."""


def show(figures: Figures, at: Millis, *, compared: bool) -> None:
    """Writes the tables to standard output."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    console.print(Text(f"{figures.customers:,} customers, judged as of {written(at)}"))
    for partner, own in sorted(figures.partners.items()):
        console.print(Group(Text(), *_partner(partner, own, figures.customers)))
        if compared:
            console.print(changes(own))


def problems_sentence(problems: Problems) -> str:
    """Empty if everything could be read."""
    if not problems.count:
        return ""
    text = f"{_rows(problems.count)} could not be read."
    if problems.nameless:
        text += (
            f" {_rows(problems.nameless)} of these name no customer, so what they say may be missing in the answers."
        )
    listed = len(problems.listed())
    return text if listed == problems.count else f"{text} The first {listed:,} are listed."


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _partner(name: str, figures: PartnerFigures, customers: int) -> Iterator[RenderableType]:
    stopped = sum(figures.stopped.values())
    yield Text(f"{name}: {figures.shared:,} shared, {stopped:,} not", style="bold")
    yield _table(
        ("not shared", "customers"),
        [(_words(*pair), f"{count:,}") for pair, count in figures.stopped.most_common()],
    )
    yield _table(
        ("field", "reaches", "of all", "of those shared, not to"),
        [
            (path, f"{count:,}", _share(count, customers), _reasons(path, figures))
            for path, count in _reached(figures).items()
        ],
    )


def changes(figures: PartnerFigures) -> RenderableType:
    """Whom the other contracts would reach that these do not, and the other way round."""
    return Group(*_changes(figures))


def _changes(figures: PartnerFigures) -> Iterator[RenderableType]:
    yield _table(
        ("with --against", "customers", "because of"),
        [
            (change.value, f"{count:,}", reason)
            for (change, reason), count in sorted(figures.changes.items())
            if change is not _SAME
        ],
    )
    yield _table(
        ("field", "reaches more", "reaches fewer"),
        [
            (path, f"{figures.gained[path]:,}", f"{figures.lost[path]:,}")
            for path in sorted({*figures.gained, *figures.lost})
        ],
    )
    yield Text(f"  {sum(n for (kind, _), n in figures.changes.items() if kind is _SAME):,} as they are")


def _reached(figures: PartnerFigures) -> Counter[str]:
    """Fields that reach nobody belong to the answer."""
    reached = Counter({path: 0 for path, _ in figures.kept_back})
    reached.update(figures.fields)
    return reached


def _reasons(path: str, figures: PartnerFigures) -> str:
    own = [(reason, count) for (field, reason), count in figures.kept_back.most_common() if field == path]
    return ", ".join(f"{reason} {count:,}" for reason, count in own)


def _words(outcome: str, reason: str) -> str:
    return reason if outcome == "withheld" else f"{outcome}: {reason}"


def _share(count: int, of: int) -> str:
    return f"{100 * count / of:.1f} %" if of else ""


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> RenderableType:
    """Cells are plain text: a field's path may hold brackets."""
    if not rows:
        return Text()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, head in enumerate(heads):
        table.add_column(head, justify="left" if index in (0, len(heads) - 1) and index != 1 else "right")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
