"""Ends a process whose loop is stuck in a library: better to be started again than to look alive and do nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

STATUS = 75
"""What the process ends with: a temporary failure, to be tried again (sysexits.h, EX_TEMPFAIL)."""
_LOOK_SECONDS = 1.0
_MOST_LOOKS = 300
"""Longer than everything that the loop waits for, one after the other. Looks are counted and not the time: whoever was
stopped and goes on is not stuck."""


@contextmanager
def watched(turns: Callable[[], int]) -> Iterator[None]:
    """While inside, `turns` must grow; otherwise the process ends on the spot. What was not committed is done again."""
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(turns, ended), name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _watch(turns: Callable[[], int], ended: threading.Event) -> None:
    seen, looks = turns(), 0
    while not ended.wait(_LOOK_SECONDS):
        now = turns()
        looks = looks + 1 if now == seen else 0
        seen = now
        if looks >= _MOST_LOOKS:
            why = "The loop is stuck in the client library: the process ends, and is to be started again."
            structlog.get_logger(__name__).critical("stuck", why=why)
            os._exit(STATUS)  # a thread that waits in a library can be ended in no other way
