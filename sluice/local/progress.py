"""How long work reports what it does; the form that a terminal shows is in ``terminal``."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Progress(Protocol):
    """A listener. It must not fail and must not block."""

    def say(self, sentence: str) -> None:
        """One finished step."""

    def download(self, title: str, size: int) -> AbstractContextManager[Callable[[int], None]]:
        """A file of ``size`` bytes is fetched while the context is open; what it yields is told each count of bytes."""


class Silence:
    """Reports nothing."""

    def say(self, sentence: str) -> None:
        pass

    @contextmanager
    def download(self, title: str, size: int) -> Iterator[Callable[[int], None]]:  # noqa: ARG002 - the protocol's
        yield lambda _: None
