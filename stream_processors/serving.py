"""One sharing processor as a process: its metrics are served, and a signal ends it after the batch in hand."""

from __future__ import annotations

import gc
import logging
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from structlog.typing import EventDict

from sluice.metrics import catalogue
from sluice.settings import Settings
from stream_processors.admin.endpoint import registry_of_a_process, served
from stream_processors.admin.guard import guard
from stream_processors.admin.health import Health
from stream_processors.admin.page import Page
from stream_processors.sharing.metrics import Done, Metrics
from stream_processors.sharing.setup import processor
from stream_processors.watchdog import watched

_COLLECT_AFTER = 200_000
"""Objects that a batch may have alive before Python looks for cycles among them: hardly any are in one."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a run has done, and what it left undone for somebody to mend."""

    done: Done
    held_up: dict[int, list[str]]
    """Why, by partition."""


def serve(settings: Settings, port: int, until: Callable[[bool], bool] | None = None) -> Served:
    """Until SIGINT or SIGTERM, or what `until` says whenever it is told if there is nothing left to do.

    Logs are JSON lines on standard error. `port` 0 takes a free one. Raises SluiceError.
    """
    log_as_json(settings.sharing.instance)
    registry = registry_of_a_process()
    metrics = Metrics(registry)
    work = processor(settings, metrics)
    health = Health(registry, catalogue.UNAVAILABLE, lambda: work.waits_for, lambda: work.turns > 0)
    host = settings.sharing.metrics.host
    page = Page(settings, registry, guard(host, settings.page.token))
    with served(registry, host, port, health, page.routes()):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: work.stop())
        collect_rarely()
        with watched(lambda: work.turns):
            held_up = work.run(until)
    return Served(metrics.done(), held_up)


def collect_rarely() -> None:
    """What is there now stays for good, what a batch makes goes by itself: to look for cycles in it cost a quarter."""
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 10, 10)


def log_as_json(instance: str) -> None:
    """One JSON object a line; events carry places and counts, never a customer's values."""

    def named(_logger: object, _method: str, event: EventDict) -> EventDict:
        return {**event, "instance": instance}

    structlog.configure(
        processors=[
            named,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
