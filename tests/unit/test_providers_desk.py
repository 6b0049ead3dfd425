"""Turns of a desk whose log takes all of a turn or nothing, as transactions do; killed before or after any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from schemas import catalogue
from sluice import topics
from sluice.avro import Reader, Writer, unframe
from sluice.log import Record, Written
from sluice.model import CustomerId
from sluice.partitioning import partition_of
from stream_processors.following import never
from stream_processors.providers.book import Agreements, Book, Work, request_id
from stream_processors.providers.desk import Desk, ProvidersChanged
from stream_processors.providers.metrics import Metrics
from stream_processors.providers.reading import fold
from stream_processors.providers.written import Writers
from tests.unit.providing import ADRESSO, AGREEMENTS, DAY_MS, NOW, OTHER, TASK, entry, pseudonym

IDS = {"provider_request": 1, "enrichment": 2, "rejected": 3, "control": 4, "provider_reply": 5}
WRITERS = {name: Writer(catalogue.text(name), number) for name, number in IDS.items()}
READERS = {number: Reader(catalogue.text(name)) for name, number in IDS.items()}
REPLIES = topics.replies(ADRESSO)
PARTITIONS = 7


class Killed(BaseException):
    """The process is gone."""


def decode(value: bytes | None) -> dict[str, Any]:
    number, payload = unframe(value)
    return READERS[number].read(payload)


def replied(offset: int, customer: str, decision: str = "d-1", **values: Any) -> Record:  # noqa: ANN401
    record = {
        "reply_id": f"r-{offset}",
        "request_id": request_id(ADRESSO, f"{customer}/{decision}"),
        "customer": pseudonym(ADRESSO, customer),
        "values": [{"field": name, "value": value} for name, value in (values or {"code": "Y"}).items()],
    }
    value = WRITERS["provider_reply"].write(record)
    return Record(REPLIES, 0, offset, str(record["customer"]).encode(), value, NOW + 1000 + offset)


class Log:
    """The broker: disclosures and replies that come from others, and what was committed, with how far was read."""

    def __init__(self, replies: Iterable[Record], kill_at: int = -1, *, after: bool = False) -> None:
        self.disclosures: list[tuple[str, dict[str, Any]]] = []
        self.replies = [*replies]
        self.written: list[Written] = []
        self.reached = 0
        self.commits, self.kill_at, self.after = 0, kill_at, after

    def poll(self, limit: int, _wait_seconds: float) -> list[Record]:
        return self.replies[self.reached : self.reached + limit]

    def commit(self, taken: Iterable[Record], written: Iterable[Written]) -> None:
        self.commits += 1
        if self.commits == self.kill_at and not self.after:
            raise Killed
        self.written += written
        self.reached += len([*taken])
        if self.commits == self.kill_at:
            raise Killed

    def of(self, topic: str) -> list[Written]:
        return [one for one in self.written if one.topic == topic]


class Source:
    """Reads everything anew, as a book that begins at the beginning does, and then what has come."""

    def __init__(self, log: Log, book: Book) -> None:
        self._log, self._book = log, book
        self._disclosed = self._folded = 0

    def catch_up(self, _stopped: Callable[[], bool] = never) -> None:
        for customer, one in self._log.disclosures[self._disclosed :]:
            self._book.disclose(CustomerId(customer), one)
        for written in self._log.written[self._folded :]:
            if written.topic in (topics.ENRICHMENTS, topics.requests(ADRESSO)):
                fold(self._book, Record(written.topic, 0, 0, written.key, written.value, 0), decode)
        self._disclosed, self._folded = len(self._log.disclosures), len(self._log.written)


def desk(log: Log, batch: int = 2, agreements: Agreements = AGREEMENTS, metrics: Metrics | None = None) -> Desk:
    book = Book()
    book.agree(agreements)
    writers = Writers(
        requests={ADRESSO: WRITERS["provider_request"]},
        control={ADRESSO: WRITERS["control"]},
        enrichment=WRITERS["enrichment"],
        refused=WRITERS["rejected"],
        partitions=PARTITIONS,
    )
    served = {REPLIES: ADRESSO, topics.replies(OTHER): OTHER}
    shown = metrics or Metrics(CollectorRegistry())
    return Desk(book, Source(log, book), log, decode, writers, shown, served, batch)


def life(log: Log, batch: int = 2) -> None:
    """Three customers are shared, one is recalled again; then replies come. Killed, it begins anew."""
    steps = [
        [(f"crm:{n}", {"entries": [entry("SHARED", f"crm:{n}/d-1", customer=f"crm:{n}")]}) for n in (1, 2, 3)],
        [("crm:2", {"entries": [entry("RECALLED", "recall", customer="crm:2")]})],
        [],
    ]
    working = desk(log, batch)
    replies, log.replies = log.replies, []
    for number, disclosures in enumerate(steps):
        log.disclosures += disclosures
        if number == 2:
            log.replies = replies
        for _ in range(6):
            try:
                working.turn()
            except Killed:
                working = desk(log, batch)


CAME = [
    replied(0, "crm:1"),
    replied(1, "crm:2"),
    replied(2, "crm:3", code="?"),
    replied(3, "crm:1"),
    replied(4, "crm:3", street="1 LONG ST"),
]


def reference(batch: int) -> Log:
    log = Log(CAME)
    life(log, batch)
    return log


def told(log: Log) -> set[Written]:
    """Requests without their times, which are those of the turn."""
    records = {one for one in log.written if one.topic != topics.requests(ADRESSO)}
    return records | {one._replace(value=None) for one in log.of(topics.requests(ADRESSO))}


def test_what_comes_of_a_life() -> None:
    log = reference(10)
    asked = [one.key.decode() for one in log.of(topics.requests(ADRESSO))]
    assert asked == [pseudonym(ADRESSO, f"crm:{number}") for number in (1, 2, 3)]
    assert [one.key for one in log.of(topics.ENRICHMENTS)] == [b"crm:1", b"crm:3"]
    causes = [decode(one.value)["cause"] for one in log.of(topics.REFUSED_REPLIES)]
    assert causes == ["withdrawn", "value_not_agreed", "repeated"]
    (erasure,) = log.of(topics.control(ADRESSO))
    message = decode(erasure.value)
    assert (message["type"], message["decision_id"]) == ("ERASE", "recall")
    assert message["deadline"] == CAME[1].timestamp + DAY_MS
    for one in (*log.of(topics.requests(ADRESSO)), *log.of(topics.ENRICHMENTS), erasure):
        customer = one.key.decode().removeprefix(f"{ADRESSO}~")
        assert one.partition == partition_of(customer.encode(), PARTITIONS), "as everything about this customer"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kill_at", range(1, 10))
@pytest.mark.parametrize("batch", [1, 2, 10])
def test_killed_before_or_after_any_commit_it_comes_to_the_same(batch: int, kill_at: int, after: bool) -> None:  # noqa: FBT001
    log = Log(CAME, kill_at, after=after)
    life(log, batch)
    assert told(log) == told(reference(batch))
    assert len(log.written) == len(reference(batch).written), "nothing is written twice"


def test_a_recall_that_was_written_before_a_reply_is_decided_wins() -> None:
    """It is read after the reply was fetched, and the reply is not taken in."""
    log = Log([])
    working = desk(log)
    log.disclosures.append(("crm:1", {"entries": [entry("SHARED", "crm:1/d-1", customer="crm:1")]}))
    working.turn()
    log.replies.append(replied(0, "crm:1"))
    log.disclosures.append(("crm:1", {"entries": [entry("RECALLED", "recall", customer="crm:1")]}))
    working.turn()
    assert log.of(topics.ENRICHMENTS) == []
    assert len(log.of(topics.control(ADRESSO))) == 1


def test_values_are_taken_back_in_the_turn_after_they_were_taken_in() -> None:
    log = Log([replied(0, "crm:1")])
    working = desk(log)
    log.disclosures.append(("crm:1", {"entries": [entry("SHARED", "crm:1/d-1", customer="crm:1")]}))
    log.replies, replies = [], log.replies
    working.turn()
    log.replies = replies
    working.turn()
    log.disclosures.append(("crm:1", {"entries": [entry("RECALLED", "recall", customer="crm:1")]}))
    working.turn()
    assert [one.value is None for one in log.of(topics.ENRICHMENTS)] == [False, True]


def test_who_is_not_served_yet_is_asked_by_another_desk() -> None:
    other = Agreements({}, {**AGREEMENTS.work, entry("SHARED", "d", provider="late")["partner"]: Work("x", TASK)})
    with pytest.raises(ProvidersChanged):
        desk(Log([]), agreements=other).turn()


def test_nothing_is_committed_where_nothing_has_come() -> None:
    log = Log([])
    desk(log).turn()
    assert log.commits == 0


def test_what_was_done_is_counted() -> None:
    registry = CollectorRegistry()
    log = Log([])
    working = desk(log, metrics=Metrics(registry))
    log.disclosures.append(("crm:1", {"entries": [entry("SHARED", "crm:1/d-1", customer="crm:1")]}))
    working.turn()
    log.replies += [replied(0, "crm:1"), replied(1, "crm:1")]
    working.turn()
    assert registry.get_sample_value("sluice_provider_requests_total", {"partner": ADRESSO}) == 1
    labels = {"partner": ADRESSO, "outcome": "refused", "cause": "repeated"}
    assert registry.get_sample_value("sluice_provider_replies_total", labels) == 1
    assert (
        registry.get_sample_value("sluice_provider_replies_total", {**labels, "outcome": "taken_in", "cause": ""}) == 1
    )
