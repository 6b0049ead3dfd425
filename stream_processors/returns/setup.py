"""The returns processor from its settings, and as a process: until SIGINT, SIGTERM, or something is wrong."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog

from sluice import topics
from sluice.avro import Writer
from sluice.errors import SluiceError
from sluice.kafka.admin import topic_names
from sluice.kafka.clients import KafkaTrouble, KafkaUnavailable, admin_client
from sluice.model import PartnerId
from sluice.registry import Registry, RegistryUnavailable, registered_writer
from sluice.settings import Settings
from stream_processors.admin.endpoint import registry_of_a_process, served
from stream_processors.admin.health import Health
from stream_processors.following import Interrupted
from stream_processors.returns.desk import Desk
from stream_processors.returns.faust_worker import Worker, way_in
from stream_processors.returns.metrics import Metrics
from stream_processors.returns.readership import Readership
from stream_processors.returns.reading import USER, Reading
from stream_processors.returns.written import Writers
from stream_processors.serving import log_as_json
from stream_processors.watchdog import watched

_log = structlog.get_logger(__name__)
_TELL_AGAIN_SECONDS = 60.0
_BEFORE = "what was disclosed and returned before to be read"
_LOOKS_TO_A_COUNT = 6
"""How far partners have read is asked for less often than deadlines are looked at."""


def serve(settings: Settings, port: int) -> None:
    """Until SIGINT or SIGTERM. Logs are JSON lines on standard error; `port` 0 takes a free one. Raises SluiceError."""
    log_as_json(USER)
    _log_client()
    registry = registry_of_a_process()
    metrics = Metrics(registry)
    unused = TemporaryDirectory(prefix="sluice-returns-", ignore_cleanup_errors=True)
    with unused as folder:
        process = _Process(settings, metrics, Path(folder))
        health = Health(metrics.unavailable, lambda: process.waits_for)
        with served(registry, settings.returns.metrics.host, port, health):
            asyncio.run(process.run())


class _Process:
    def __init__(self, settings: Settings, metrics: Metrics, unused: Path) -> None:
        self._settings = settings
        self._metrics = metrics
        self._unused = unused
        self._stopped = asyncio.Event()
        self.waits_for = _BEFORE
        self._readership = Readership(settings.client(USER))

    async def run(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._stopped.set)
        way_in(self._settings.client(USER))  # refused before all is read, which may take long
        with closing(Registry(self._settings.registry())) as registry:
            while not self._stopped.is_set():
                try:
                    with suppress(Interrupted):
                        await self._serve(registry)
                except (KafkaUnavailable, RegistryUnavailable) as error:
                    self._metrics.unavailable.met(error)
                    await asyncio.sleep(1)

    async def _serve(self, registry: Registry) -> None:
        """Until stopped, or until a contract set names other partners."""
        self.waits_for = _BEFORE
        writers = _writers(self._settings, registry)
        client, heard = self._settings.client(USER), self._metrics.unavailable.heard
        source = Reading(client, self._settings.returns.group, registry.decode, heard)
        desk = Desk(source, registry.decode, writers, self._metrics, self._settings.returns.warn_after)
        with closing(source), watched(lambda: desk.turns + source.folded):
            await desk.catch_up(self._stopped.is_set)
            partners = self._partners(desk)
            worker = Worker(client, self._settings.returns.group, partners, self._unused)
            await worker.start(lambda arrivals: desk.settle(arrivals, worker.write), desk.assigned)
            self.waits_for = ""
            _log.info("serving", partners=sorted(partners))
            try:
                watched_until = self._watch(desk, worker, partners)
                await _first(self._stopped.wait(), worker.failed(), watched_until, self._count_unread(partners))
            finally:
                await worker.stop()

    async def _watch(self, desk: Desk, worker: Worker, partners: set[PartnerId]) -> None:
        """Looks at deadlines from time to time; returns when there are other partners."""
        while self._partners(desk) == partners:
            await desk.look(worker.write)
            await asyncio.sleep(self._settings.returns.look_every_s)
        _log.info("partners_changed")

    async def _count_unread(self, partners: set[PartnerId]) -> None:
        """Never ends: who cannot be counted is told, and nothing else waits for it."""
        while True:
            try:
                self._metrics.read_by(await asyncio.to_thread(self._readership.look, partners))
            except KafkaTrouble as error:
                self._metrics.read_by({})
                self._readership.forget()
                _log.warning("readership_unknown", why=str(error))
            await asyncio.sleep(_LOOKS_TO_A_COUNT * self._settings.returns.look_every_s)

    def _partners(self, desk: Desk) -> set[PartnerId]:
        """Of the set in force, those that have ended too: what they held is to be given back. Raises SluiceError."""
        if desk.book.in_force is None:
            raise SluiceError("There is no contract set in force: run `sluice apply` first.")
        there = topic_names(admin_client(self._settings.client(USER)))
        return {partner for partner in desk.book.in_force.within_ms if topics.returns(partner) in there}


async def _first(*steps: Awaitable[Any]) -> None:
    """Until one is done; the others are cancelled. Raises what it raised."""
    tasks = [asyncio.ensure_future(step) for step in steps]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _writers(settings: Settings, registry: Registry) -> Writers:
    def writer(topic: str) -> Writer:
        return registered_writer(registry, topic, topics.OWN_SCHEMAS[topic])

    return Writers(
        consent=writer(topics.CONSENT_EVENTS),
        accepted=writer(topics.ACCEPTED_RETURNS),
        refused=writer(topics.REFUSED_RETURNS),
        partitions=settings.partitions,
    )


class _Told(logging.Handler):
    """What Faust and its client have to say, as lines of our log; the same complaint once a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, str], float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        kind = record.name, str(record.msg)
        if record.created - self._told.get(kind, float("-inf")) >= _TELL_AGAIN_SECONDS:
            self._told[kind] = record.created
            _log.warning("client", logger=record.name, level_there=record.levelname, said=record.getMessage())


def _log_client() -> None:
    logging.basicConfig(level=logging.WARNING, handlers=[_Told()], force=True)
    logging.captureWarnings(capture=True)
    sys.unraisablehook = lambda unraisable: _log.warning("client", said=repr(unraisable.exc_value))
