"""Ctrl-C, where it must not be heard at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_held() -> Iterator[None]:
    """What is started meanwhile never hears of Ctrl-C, not even while it starts; this process does, at the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """What would raise KeyboardInterrupt meanwhile raises it at the end.

    For calls of confluent-kafka that call back: what is raised in a callback they lose, and fail with a SystemError.
    """
    heard: list[int] = []
    numbers = [number for number in (signal.SIGINT, signal.SIGTERM) if _raises(number)]
    for number in numbers:
        signal.signal(number, lambda number, _: heard.append(number))
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.default_int_handler)
        if heard:
            raise KeyboardInterrupt


def _raises(number: signal.Signals) -> bool:
    here = threading.current_thread() is threading.main_thread()
    return here and signal.getsignal(number) is signal.default_int_handler
