"""The providers' processor from its settings, and as a process: until SIGINT, SIGTERM, or something is wrong."""

from __future__ import annotations

import signal
import threading
from collections.abc import Collection
from contextlib import closing, suppress
from functools import partial

import structlog

from sluice import topics
from sluice.avro import Decode
from sluice.errors import SluiceError
from sluice.kafka.admin import topic_names
from sluice.kafka.clients import KafkaUnavailable, admin_client
from sluice.kafka.inbox import Inbox
from sluice.log import Aborted
from sluice.model import PartnerId
from sluice.registry import Registry, RegistryUnavailable, registered_writer
from sluice.settings import Settings
from stream_processors.admin.endpoint import registry_of_a_process, served
from stream_processors.admin.health import Health
from stream_processors.following import Following, Interrupted
from stream_processors.providers.book import Book
from stream_processors.providers.desk import Desk, ProvidersChanged
from stream_processors.providers.metrics import Metrics
from stream_processors.providers.reading import LOGS, fold
from stream_processors.providers.written import Writers
from stream_processors.serving import log_as_json
from stream_processors.watchdog import watched

USER = "providers"
_log = structlog.get_logger(__name__)
_AGAIN_SECONDS = 1.0
_LOOK_AGAIN_SECONDS = 5.0
_BEFORE = "what was disclosed and asked before to be read"


def serve(settings: Settings, port: int) -> None:
    """Until SIGINT or SIGTERM. Logs are JSON lines on standard error; `port` 0 takes a free one. Raises SluiceError."""
    log_as_json(USER)
    registry = registry_of_a_process()
    metrics = Metrics(registry)
    process = _Process(settings, metrics)
    health = Health(metrics.unavailable, lambda: process.waits_for)
    with served(registry, settings.providers.metrics.host, port, health):
        process.run()


class _Process:
    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._stopped = threading.Event()
        self.waits_for = _BEFORE
        self._has_nobody = False

    def run(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._stopped.set())
        with closing(Registry(self._settings.registry())) as registry:
            while not self._stopped.is_set():
                try:
                    self._serve(registry)
                except Aborted as error:
                    if not error.retriable:
                        raise SluiceError(f"{error}: mend it, and start again.") from None
                    _log.warning("transaction_aborted", why=str(error))
                    self._stopped.wait(_AGAIN_SECONDS)
                except (KafkaUnavailable, RegistryUnavailable) as error:
                    self._metrics.unavailable.met(error)
                    self._stopped.wait(_AGAIN_SECONDS)

    def _serve(self, registry: Registry) -> None:
        """Until stopped, or until a contract set names other providers."""
        self.waits_for = "" if self._has_nobody else _BEFORE
        client, config = self._settings.client(USER), self._settings.providers
        providers = self._providers(registry.decode)
        if not providers:
            self._wait_for_one()
            return
        self._has_nobody = False
        book = Book()
        logs = (*LOGS, *(topics.requests(provider) for provider in providers))
        replies = {topics.replies(provider): provider for provider in providers}
        heard = self._metrics.unavailable.heard
        following = Following(client, logs, config.group, lambda record: fold(book, record, registry.decode), heard)
        writers = _writers(self._settings, registry, providers)
        with closing(following), closing(Inbox(client, tuple(replies), config.group)) as inbox:
            desk = Desk(book, following, inbox, registry.decode, writers, self._metrics, replies, config.batch)
            with watched(lambda: desk.turns + following.folded), suppress(ProvidersChanged, Interrupted):
                while not self._stopped.is_set():
                    desk.turn(self._stopped.is_set)
                    if desk.turns == 1:
                        self.waits_for = ""
                        self._metrics.unavailable.over()
                        _log.info("serving", partners=sorted(providers))

    def _wait_for_one(self) -> None:
        """No contract in force has a `task`: another set may."""
        if not self._has_nobody:
            _log.info("nobody_to_be_asked", why="No contract in force has a `task`.")
        self._has_nobody = True
        self.waits_for = ""
        self._metrics.unavailable.over()
        self._stopped.wait(_LOOK_AGAIN_SECONDS)

    def _providers(self, decode: Decode) -> set[PartnerId]:
        """Those with a task in the set in force, and former ones, who may still reply. Raises SluiceError."""
        client, book = self._settings.client(USER), Book()
        sets = Following(
            client, (topics.CONTRACT_SETS,), self._settings.providers.group, lambda record: fold(book, record, decode)
        )
        with closing(sets):
            sets.catch_up()
        if book.in_force is None:
            raise SluiceError("There is no contract set in force: run `sluice apply` first.")
        there = topic_names(admin_client(client))
        former = {partner for partner in book.in_force.within_ms if topics.replies(partner) in there}
        return former | book.in_force.work.keys()


def _writers(settings: Settings, registry: Registry, providers: Collection[PartnerId]) -> Writers:
    writer = partial(registered_writer, registry)
    return Writers(
        requests={one: writer(topics.requests(one), "provider_request") for one in providers},
        control={one: writer(topics.control(one), "control") for one in providers},
        enrichment=writer(topics.ENRICHMENTS, topics.OWN_SCHEMAS[topics.ENRICHMENTS]),
        refused=writer(topics.REFUSED_REPLIES, topics.OWN_SCHEMAS[topics.REFUSED_REPLIES]),
        partitions=settings.partitions,
    )
