"""One sharing processor as a process: its metrics are served, and a signal ends it after the batch in hand."""

from __future__ import annotations

import gc
import logging
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from structlog.typing import EventDict

from sluice.log import LogUnavailable
from sluice.registry import RegistryUnavailable
from sluice.settings import Settings
from stream_processors.admin.endpoint import registry_of_a_process, served
from stream_processors.admin.guard import guard
from stream_processors.admin.health import Health
from stream_processors.admin.page import Page
from stream_processors.sharing.metrics import Done, Metrics
from stream_processors.sharing.processor import Processor
from stream_processors.sharing.setup import processor
from stream_processors.watchdog import watched

_TO_BEGIN = "what it needs to begin"
_AGAIN_SECONDS = 1.0
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

    A broker or registry that is away is waited for; with `until` it has to be there when this begins. Logs are JSON
    lines on standard error. `port` 0 takes a free one. Raises SluiceError.
    """
    log_as_json(settings.sharing.instance)
    registry = registry_of_a_process()
    run = _Run(settings, Metrics(registry))
    health = Health(run.metrics.unavailable, lambda: run.waits_for, lambda: run.has_started)
    host = settings.sharing.metrics.host
    page = Page(settings, registry, guard(host, settings.page.token))
    with served(registry, host, port, health, page.routes()):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: run.stop())
        held_up = run.to_its_end(until)
    return Served(run.metrics.done(), held_up)


class _Run:
    """A processor, and the time before there is one."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.metrics = metrics
        self._settings = settings
        self._work: Processor | None = None
        self._waits = False
        self._stopping = False

    @property
    def waits_for(self) -> str:
        return _TO_BEGIN if self._work is None else self._work.waits_for

    @property
    def has_started(self) -> bool:
        """Who waits for a broker has: starting it again would not help."""
        return self._waits or (self._work is not None and self._work.turns > 0)

    def stop(self) -> None:
        """May be called by a signal handler."""
        self._stopping = True
        if self._work is not None:
            self._work.stop()

    def to_its_end(self, until: Callable[[bool], bool] | None) -> dict[int, list[str]]:
        """See Processor.run."""
        self._work = self._begun(may_wait=until is None)
        if self._work is None:
            return {}
        if self._stopping:  # asked for between the two
            self._work.stop()
        collect_rarely()
        work = self._work
        with watched(lambda: work.turns):
            return work.run(until)

    def _begun(self, *, may_wait: bool) -> Processor | None:
        """None when it was stopped before."""
        while not self._stopping:
            try:
                work = processor(self._settings, self.metrics)
            except (LogUnavailable, RegistryUnavailable) as error:
                if not may_wait:
                    raise
                self._waits = True
                self.metrics.unavailable.met(error)
                time.sleep(_AGAIN_SECONDS)
            else:
                self._waits = False
                self.metrics.unavailable.over()
                return work
        return None


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
