"""Returns settled by a desk that can be killed between any two records that it writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from schemas import catalogue
from sluice import topics
from sluice.avro import Reader, Writer, unframe
from sluice.kafka.clients import KafkaUnavailable
from sluice.log import Record, Written
from sluice.model import CustomerId, Millis
from stream_processors.following import Interrupted, never
from stream_processors.returns import desk as desk_module
from stream_processors.returns.book import Book
from stream_processors.returns.desk import Desk
from stream_processors.returns.metrics import Metrics
from stream_processors.returns.partner_return import Arrival
from stream_processors.returns.reading import fold
from stream_processors.returns.written import Writers
from tests.unit.returning import AGREEMENTS, DAY_MS, HOSHI, NOW, arrival, disclosure, pseudonym

IDS = {"consent_event": 1, "accepted_return": 2, "rejected": 3, "partner_return": 4}
WRITERS = {name: Writer(catalogue.text(name), number) for name, number in IDS.items()}
READERS = {number: Reader(catalogue.text(name)) for name, number in IDS.items()}
SHARED = disclosure("crm:1", (HOSHI, "SHARED"))
RECALLED = disclosure("crm:1", (HOSHI, "RECALLED"), at=NOW + 1000, decision="d-1")


class Killed(BaseException):
    """The process is gone."""


def decode(value: bytes | None) -> dict[str, Any]:
    number, payload = unframe(value)
    return READERS[number].read(payload)


class Log:
    """What was written; kills or refuses when it is told to."""

    def __init__(self, kill_at: int = -1, away: int = 0) -> None:
        self.records: list[Written] = []
        self.kill_at, self.away = kill_at, away

    async def write(self, records: Iterable[Written]) -> None:
        for record in records:
            if self.away:
                self.away -= 1
                raise KafkaUnavailable("Cannot write: away.")
            if len(self.records) == self.kill_at:
                self.kill_at = -1
                raise Killed
            self.records.append(record)

    def told(self, topic: str) -> dict[bytes, set[bytes]]:
        """Distinct values by key."""
        found: dict[bytes, set[bytes]] = {}
        for record in self.records:
            if record.topic == topic:
                found.setdefault(record.key, set()).add(record.value or b"")
        return found


class Source:
    """A book that is read from the log, and from disclosures that some others have written meanwhile."""

    def __init__(self, log: Log, *known: dict[str, Any], later: Iterable[dict[str, Any]] = ()) -> None:
        self.book = Book()
        self.book.agree(AGREEMENTS)
        self._log, self._later = log, [*later]
        self.caught_up = 0
        for one in known:
            self.book.disclose(CustomerId("crm:1"), one)

    def catch_up(self, _stopped: Callable[[], bool] = never) -> None:
        self.caught_up += 1
        for one in self._later:
            self.book.disclose(CustomerId("crm:1"), one)
        self.look()

    def look(self) -> None:
        for record in self._log.records:
            if record.topic in (topics.ACCEPTED_RETURNS, topics.PAUSES):
                fold(self.book, Record(record.topic, record.partition, 0, record.key, record.value, 0), decode)


def desk(source: Source) -> Desk:
    writers = Writers(WRITERS["consent_event"], WRITERS["accepted_return"], WRITERS["rejected"], 4)
    return Desk(source, decode, writers, Metrics(CollectorRegistry()), 0.75)


def returned(offset: int, kind: str, **fields: Any) -> Arrival:  # noqa: ANN401
    record = {"return_id": f"r-{offset}", "type": kind, "customer": pseudonym(HOSHI, "crm:1"), "at": NOW, **fields}
    one = arrival(offset, value=WRITERS["partner_return"].write(record))
    return one._replace(key=str(record["customer"]).encode())


RETURNS = [
    returned(0, "ACKNOWLEDGED", decision_id="d-1"),
    returned(1, "UNSUBSCRIBED"),
    returned(2, "DECEASED", customer="x"),
    returned(3, "BOUNCED", return_id="r-1"),
    returned(4, "BOUNCED"),
]


def settle(log: Log, source: Source, returns: list[Arrival]) -> None:
    asyncio.run(desk(source).settle(returns, log.write))


def reference() -> Log:
    log = Log()
    settle(log, Source(log, SHARED, RECALLED), RETURNS)
    return log


def test_everything_that_comes_of_returns_is_written_consents_first() -> None:
    written = [record.topic for record in reference().records]
    accepted, refused = topics.ACCEPTED_RETURNS, topics.REFUSED_RETURNS
    assert written == [topics.CONSENT_EVENTS, accepted, accepted, refused, refused, accepted]


@pytest.mark.parametrize("kill_at", range(len(reference().records) + 1))
@pytest.mark.parametrize("batches", [1, 2, 5])
def test_killed_between_any_two_records_it_comes_to_the_same(kill_at: int, batches: int) -> None:
    """Whatever was not acknowledged is read again by a desk that knows only what was written."""
    log, done = Log(kill_at), 0
    size = -(-len(RETURNS) // batches)
    while done < len(RETURNS):
        working = desk(Source(log, SHARED, RECALLED))
        try:
            while done < len(RETURNS):
                asyncio.run(working.settle(RETURNS[done : done + size], log.write))
                done += size
        except Killed:
            continue
    for topic in (topics.CONSENT_EVENTS, topics.ACCEPTED_RETURNS, topics.REFUSED_RETURNS):
        assert log.told(topic) == reference().told(topic), topic


def test_a_no_is_said_only_after_everything_was_read_that_had_been_written() -> None:
    """The recall is known to the partner before it is known here."""
    log = Log()
    source = Source(log, SHARED, later=[RECALLED])
    settle(log, source, [returned(0, "ACKNOWLEDGED", decision_id="d-1")])
    assert [record.topic for record in log.records] == [topics.ACCEPTED_RETURNS]


def test_a_yes_needs_no_more_than_what_is_known() -> None:
    log = Log()
    source = Source(log, SHARED, RECALLED)
    working = desk(source)

    async def two() -> None:
        await working.settle(RETURNS[:1], log.write)
        assert source.caught_up == 1, "partitions that are ours now were another's"
        await working.settle(RETURNS[1:2], log.write)
        assert source.caught_up == 1
        working.assigned()
        await working.settle(RETURNS[4:], log.write)
        assert source.caught_up == 2

    asyncio.run(two())


def test_what_another_accepted_before_is_not_accepted_again() -> None:
    log = Log()
    settle(log, Source(log, SHARED, RECALLED), RETURNS[:1])
    settle(log, Source(log, SHARED, RECALLED), [RETURNS[0]._replace(where=RETURNS[0].where._replace(offset=9))])
    assert [record.topic for record in log.records] == [topics.ACCEPTED_RETURNS, topics.REFUSED_RETURNS]


def test_a_broker_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "_WAIT_SECONDS", 0)
    log = Log(away=3)
    settle(log, Source(log, SHARED, RECALLED), RETURNS)
    assert log.told(topics.ACCEPTED_RETURNS) == reference().told(topics.ACCEPTED_RETURNS)
    assert log.told(topics.CONSENT_EVENTS) == reference().told(topics.CONSENT_EVENTS)


# --- deadlines


def looked(log: Log, source: Source, now: int, monkeypatch: pytest.MonkeyPatch) -> Callable[..., float | None]:
    monkeypatch.setattr(desk_module, "now_ms", lambda: Millis(now))
    registry = CollectorRegistry()
    working = desk(source)
    working.metrics = Metrics(registry)
    asyncio.run(working.look(log.write))
    return lambda name, **labels: registry.get_sample_value(name, {"partner": HOSHI, **labels})


def test_a_broken_deadline_pauses_once_and_an_acknowledgement_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    log, late = Log(), NOW + 4 * DAY_MS
    source = Source(log, SHARED, RECALLED)
    value = looked(log, source, late, monkeypatch)
    assert (value("sluice_recalls", state="overdue"), value("sluice_partner_paused")) == (1, 1)
    looked(log, source, late + 1, monkeypatch)
    assert [(record.topic, record.key) for record in log.records] == [(topics.PAUSES, HOSHI.encode())]
    settle(log, source, RETURNS[:1])
    value = looked(log, source, late + 2, monkeypatch)
    assert (value("sluice_recalls", state="overdue"), value("sluice_partner_paused")) == (0, 0)
    assert [record.value for record in log.records if record.topic == topics.PAUSES][1:] == [None]
    assert source.book.paused == {}


def test_who_waits_for_the_broker_in_a_first_read_can_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise nothing but SIGKILL would do."""
    monkeypatch.setattr(desk_module, "_WAIT_SECONDS", 0.01)
    tried = []

    class Away(Source):
        def catch_up(self, stopped: Callable[[], bool] = never) -> None:
            if stopped():
                raise Interrupted
            tried.append("read")
            raise KafkaUnavailable("Cannot read: away.")

    with pytest.raises(Interrupted):
        asyncio.run(desk(Away(Log())).catch_up(lambda: len(tried) == 3))
