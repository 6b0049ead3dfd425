"""Progress on a terminal. It goes to standard error, so that standard output carries results alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
from rich.progress import Progress as Bars


class Terminal:
    """Sentences as lines, downloads as bars that vanish when done."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)

    def say(self, sentence: str) -> None:
        self._console.print(sentence, markup=False, soft_wrap=True)

    @contextmanager
    def download(self, title: str, size: int) -> Iterator[Callable[[int], None]]:
        if not self._console.is_terminal:
            yield lambda _: None
            return
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Bars(*columns, console=self._console, transient=True) as bars:
            task = bars.add_task(title, total=size)
            yield lambda count: bars.advance(task, count)
