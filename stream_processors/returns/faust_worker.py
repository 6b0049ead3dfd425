"""Faust, as far as it is used here: one agent over the partners' returns topics. The only module that imports it.

The configuration is the one in which nothing is lost (docs/adr/0012-returns-on-faust.md): events are acknowledged by
hand, and only when all that came of them is acknowledged by the broker; one agent without concurrency; no tables,
no exactly-once mode, no web server, no topics of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import faust
from aiokafka.errors import KafkaError

from sluice import topics
from sluice.errors import SluiceError
from sluice.kafka.access import Access, access
from sluice.kafka.clients import ClientConfig, KafkaTrouble, KafkaUnavailable
from sluice.log import Written
from sluice.model import Millis, PartnerId, Pointer
from stream_processors.returns.partner_return import Arrival
from stream_processors.returns.reading import USER

_BATCH = 500
_WITHIN_SECONDS = 0.1
_SEND_SECONDS = 20.0
_STOP_SECONDS = 8.0


Settle = Callable[[Sequence[Arrival]], Awaitable[None]]
"""Returns when everything that came of these is written. Raises only when the process has to end."""


class Worker:
    """One member of the group. Not to be started twice: another set of topics is another worker."""

    def __init__(self, client: ClientConfig, group: str, partners: Iterable[PartnerId], unused: Path) -> None:
        """`unused`: where Faust makes folders for tables, of which we have none."""
        self._partners = {topics.returns(partner): partner for partner in partners}
        self._app = faust.App(group, datadir=str(unused), **_settings(way_in(client)))
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self, settle: Settle, on_assigned: Callable[[], None]) -> None:
        """`on_assigned` is called whenever partitions are given to this member, before any of their records is."""

        async def agent(stream: Any) -> None:  # noqa: ANN401 - Faust has no types
            async for events in stream.noack_take(_BATCH, within=_WITHIN_SECONDS):
                try:
                    await settle([self._arrival(event) for event in events])
                except Exception as error:  # noqa: BLE001 - none may leave an agent: Faust would go on without it
                    self._fail(error)
                    return
                except asyncio.CancelledError:
                    self._fail(SluiceError("Faust has ended the agent of the returns: start it again."))
                    raise
                for event in events:
                    event.ack()

        async def assigned(*_what: Any, **_more: Any) -> None:  # noqa: ANN401 - as Faust calls it
            on_assigned()

        self._app.agent(self._topic(*self._partners), concurrency=1)(agent)
        self._app.on_partitions_assigned.connect(assigned, weak=False)
        with _translated():
            await self._app.start()

    async def failed(self) -> None:
        """Raises what the agent could not go on from, when that happens; KafkaUnavailable when Faust gives up."""
        given_up = asyncio.ensure_future(self._app.wait())
        try:
            await asyncio.wait((self._failure, given_up), return_when=asyncio.FIRST_COMPLETED)
        finally:
            given_up.cancel()
        if self._failure.done():
            self._failure.result()
        reason = self._app.crash_reason
        raise KafkaUnavailable(f"Faust has given up ({type(reason).__name__}); it is started again.") from reason

    async def write(self, records: Iterable[Written]) -> None:
        """Returns when the broker has acknowledged each; all may be written again. Raises KafkaTrouble."""
        with _translated():
            sent = [
                await self._topic(one.topic).send(key=one.key, value=one.value, partition=one.partition)
                for one in records
            ]
            for future in sent:
                await future

    async def stop(self) -> None:
        """Commits what was acknowledged, and leaves the group.

        Within _STOP_SECONDS, or it is left behind: the thread of Faust's consumer can die while it stops, with the
        broker away, and then nobody tells whoever waits for it.
        """
        self._failure.cancel()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._app.stop(), _STOP_SECONDS)

    def _topic(self, *names: str) -> Any:  # noqa: ANN401 - Faust has no types
        return self._app.topic(*names, key_type=bytes, value_type=bytes)

    def _fail(self, error: Exception) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)

    def _arrival(self, event: Any) -> Arrival:  # noqa: ANN401 - Faust has no types
        message = event.message
        where = Pointer(message.topic, message.partition, message.offset)
        logged_at = Millis(round(message.timestamp * 1000))
        return Arrival(self._partners[message.topic], where, message.key, message.value, logged_at)


@contextmanager
def _translated() -> Iterator[None]:
    """As `sluice.kafka.clients.translated`, for Faust's client."""
    try:
        yield
    except KafkaError as error:
        why = (str(error) or type(error).__name__).rstrip(".")
        kind = KafkaUnavailable if error.retriable else KafkaTrouble
        raise kind(f"Cannot serve partners' returns: {why}.") from error


def way_in(client: ClientConfig) -> Access:
    """Raises SluiceError for a connection that needs what Faust's client cannot do."""
    return access(client, USER, "What partners return is read")


def _credentials(way: Access) -> Any:  # noqa: ANN401 - Faust has no types
    if way.login is not None:
        return faust.SASLCredentials(
            username=way.login.user, password=way.login.password, mechanism=way.login.mechanism, ssl_context=way.tls
        )
    return None if way.tls is None else faust.SSLCredentials(way.tls)


def _settings(way: Access) -> dict[str, Any]:
    return {
        "broker": [f"kafka://{server}" for server in way.servers],
        "broker_credentials": _credentials(way),
        "broker_commit_interval": 1.0,
        "broker_session_timeout": 10.0,
        "broker_heartbeat_interval": 3.0,
        "consumer_auto_offset_reset": "earliest",  # reading a return again is harmless, missing one is not
        "processing_guarantee": "at_least_once",
        "producer_acks": -1,
        "producer_request_timeout": _SEND_SECONDS,
        "table_standby_replicas": 0,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "web_enabled": False,
        "key_serializer": "raw",
        "value_serializer": "raw",
    }
