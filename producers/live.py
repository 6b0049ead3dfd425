"""What a person sees while it runs, on standard error and only on a terminal."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sluice.bars import bars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rich.progress import Progress

    from producers.publication import Tally

T = TypeVar("T")

_ROWS_BETWEEN_UPDATES = 500


class Source(Protocol):
    """What is read, and how far."""

    @property
    def bytes_read(self) -> int: ...


def reading(size: int | None) -> Progress:
    """A bar over the bytes of a file; without a size it only shows that something goes on."""
    progress = bars()
    progress.add_task("reading", total=size)
    return progress


def followed(rows: Iterable[T], source: Source, tally: Tally, progress: Progress) -> Iterator[T]:
    """The rows, while the bar follows them."""
    task = progress.task_ids[0]
    for count, row in enumerate(rows):
        if count % _ROWS_BETWEEN_UPDATES == 0:
            text = f"{tally.read:,} read, {tally.published:,} published, {tally.refused + tally.failed:,} errors"
            progress.update(task, completed=source.bytes_read, description=text)
        yield row


@contextmanager
def totals(console: Console) -> Iterator[Callable[[str], None]]:
    """A line that is written over; calling what is yielded sets its text."""
    if not console.is_terminal:
        yield lambda _: None
        return
    with Live(console=console, transient=True, refresh_per_second=4) as line:
        yield lambda text: line.update(Text(text))
