"""Ctrl-C, where it must not be heard at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@contextmanager
def interrupts_held() -> Iterator[None]:
    """What is started meanwhile never hears of Ctrl-C, not even while it starts; this process does, at the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass
class _Deferred:
    """Signals are the process's, and so is this. Handlers run in the main thread, between two of its instructions."""

    depth: int = 0
    heard: bool = False


_deferred = _Deferred()


def hear(number: int, frame: object) -> None:  # noqa: ARG001 - as Python calls it
    """The handler of signals that end a command: KeyboardInterrupt, unless it is deferred."""
    if _deferred.depth:
        _deferred.heard = True
    else:
        raise KeyboardInterrupt


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """What `hear` would raise meanwhile is raised at the end; other handlers are none of its business.

    For calls of confluent-kafka that call back: what is raised in a callback they lose, and fail with a SystemError.
    """
    _deferred.depth += 1
    try:
        yield
    finally:
        _deferred.depth -= 1
        if _deferred.heard and not _deferred.depth:
            _deferred.heard = False
            raise KeyboardInterrupt
