"""A publication's figures are true whatever the broker answers, or does not."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from producers.encoding import Encoded, Row
from producers.publication import Ending, Nowhere, Problem, Summary, Tally, publish
from producers.publisher import Publisher
from sluice.files.rows import Refused
from sluice.interrupts import hear

Answer = Callable[[KafkaError | None, Message], None]

TOO_LARGE = KafkaError.MSG_SIZE_TOO_LARGE
FORBIDDEN = KafkaError.TOPIC_AUTHORIZATION_FAILED
TIMED_OUT = KafkaError._MSG_TIMED_OUT
PURGED = KafkaError._PURGE_QUEUE


@dataclass
class Broker:
    """A producer in memory: answers at `poll` and `flush`, as the real one does."""

    answers: dict[bytes, int] = field(default_factory=dict)
    """Error codes by key; without one a record is acknowledged."""
    room: int = 1_000
    silent: bool = False
    topic: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    queue: list[tuple[bytes, bytes | None, Answer]] = field(default_factory=list)
    raises: KafkaException | None = None

    def produce(self, topic: str, value: bytes | None, key: bytes, *, on_delivery: Answer) -> None:
        assert topic == "t"
        if self.raises:
            raise self.raises
        if len(self.queue) >= self.room:
            raise BufferError
        self.queue.append((key, value, on_delivery))

    def poll(self, timeout: float) -> int:
        if self.silent or not timeout:
            return 0
        return self._answer(self.answers)

    def flush(self, timeout: float) -> int:
        assert timeout > 0
        if not self.silent:
            self._answer(self.answers)
        return len(self.queue)

    def purge(self, in_queue: bool, in_flight: bool) -> None:  # noqa: FBT001 - the library's signature
        assert in_queue
        assert not in_flight
        self._answer(dict.fromkeys((key for key, _, _ in self.queue), PURGED))

    def _answer(self, answers: dict[bytes, int]) -> int:
        queue, self.queue = self.queue, []
        for key, value, answer in queue:
            code = answers.get(key)
            if code is None:
                self.topic.append((key, value))
            answer(None if code is None else KafkaError(code), Message())
        return len(queue)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """As the command line hears it."""
    before = signal.signal(signal.SIGINT, hear)
    yield
    signal.signal(signal.SIGINT, before)


def row(line: int) -> Encoded:
    return Encoded(line, b"k%d" % line, b"v%d" % line)


def run(broker: Broker, rows: Iterator[Row] | list[Row], max_errors: int | None = None, keep: int = 10) -> Summary:
    tally = Tally(keep, lambda _: None)
    publish(rows, Publisher(broker, "t", tally), tally, max_errors)
    return tally.summary(1.0)


def is_true(summary: Summary) -> bool:
    return summary.read == (summary.published + summary.refused + summary.failed + summary.unsent + summary.unconfirmed)


def test_a_refused_row_leaves_nothing_in_the_topic_and_stops_nobody() -> None:
    broker = Broker()
    summary = run(broker, [row(1), Refused(2, "Bad."), row(3)])
    assert broker.topic == [(b"k1", b"v1"), (b"k3", b"v3")]
    assert (summary.read, summary.published, summary.refused) == (3, 2, 1)
    assert summary.errors == (Problem(2, "Bad."),)
    assert not summary.is_complete
    assert summary.sentence() == "3 rows read, 2 published, 1 refused, in 1.0 s."


def test_everything_published_is_complete() -> None:
    assert run(Broker(), [row(1), row(2)]).is_complete


def test_a_full_queue_is_waited_for() -> None:
    broker = Broker(room=1)
    assert run(broker, [row(line) for line in range(1, 6)]).published == 5
    assert len(broker.topic) == 5


def test_a_record_that_the_topic_does_not_take_is_counted_and_the_others_go_on() -> None:
    summary = run(Broker(answers={b"k2": TOO_LARGE}), [row(1), row(2), row(3)])
    assert (summary.published, summary.failed, summary.stopped) == (2, 1, None)
    assert summary.errors == (Problem(2, "the record is larger than t takes."),)


def test_a_record_that_the_client_does_not_take_is_counted_too() -> None:
    summary = run(Broker(raises=KafkaException(KafkaError(TOO_LARGE))), [row(1), row(2)])
    assert (summary.published, summary.failed, summary.stopped) == (0, 2, None)


@pytest.mark.parametrize(
    ("code", "reason"),
    [(FORBIDDEN, "this user may not write to t"), (TIMED_OUT, "the broker did not acknowledge it within 30 s")],
)
def test_what_would_hit_every_row_stops_the_publication(code: int, reason: str) -> None:
    broker = Broker(answers={b"k1": code}, room=1)
    summary = run(broker, [row(line) for line in range(1, 100)])
    assert summary.stopped == reason
    assert summary.read == 2
    assert summary.failed == 1
    assert is_true(summary)


def test_trouble_that_comes_with_the_last_answers_is_told() -> None:
    summary = run(Broker(answers={b"k1": FORBIDDEN}), [row(1), row(2)])
    assert (summary.published, summary.failed, summary.stopped) == (1, 1, "this user may not write to t")


def test_enough_errors_end_it_early_and_what_was_sent_is_waited_for() -> None:
    rows: list[Row] = [row(1), Refused(2, "Bad."), Refused(3, "Bad."), row(4)]
    summary = run(Broker(), rows, max_errors=2)
    assert (summary.read, summary.published, summary.refused) == (3, 1, 2)
    assert summary.stopped == "2 errors were reached"


def interrupted() -> Iterator[Row]:
    yield row(1)
    yield row(2)
    raise KeyboardInterrupt


def test_ctrl_c_drops_what_was_not_sent_and_says_so() -> None:
    summary = run(Broker(), interrupted())
    assert (summary.read, summary.published, summary.unsent, summary.stopped) == (2, 0, 2, "interrupted")
    assert not summary.is_complete


def test_ctrl_c_counts_only_what_was_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.publisher._ABANDON_SECONDS", 0.0)
    broker = Broker(silent=True)
    monkeypatch.setattr(broker, "purge", lambda **_: None)  # everything is on its way
    summary = run(broker, interrupted())
    assert (summary.published, summary.unconfirmed) == (0, 2)
    assert summary.sentence().endswith("2 sent without an answer, in 1.0 s. Stopped: interrupted.")


def test_only_the_first_problems_are_kept_and_all_are_counted() -> None:
    told: list[Problem] = []
    tally = Tally(2, told.append)
    publish([Refused(line, "Bad.") for line in range(1, 6)], Nowhere(), tally)
    summary = tally.summary(1.0, dry_run=True)
    assert [problem.line for problem in summary.errors] == [1, 2] == [problem.line for problem in told]
    assert summary.refused == 5
    assert "The first 2 problems are listed." in summary.sentence()


def test_a_dry_run_publishes_nothing_and_says_what_is_valid() -> None:
    tally = Tally(2, lambda _: None)
    publish([row(1), row(2)], Nowhere(), tally)
    summary = tally.summary(1.0, dry_run=True)
    assert (summary.valid, summary.published, summary.unconfirmed, summary.is_complete) == (2, 0, 0, True)
    assert summary.sentence() == "2 rows read, 2 valid, nothing written, 0 refused, in 1.0 s."


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_while_the_client_calls_back_is_heard_afterwards() -> None:
    """The real client, to which nobody answers: it loses what a callback raises, and fails with a SystemError."""
    producer = Producer({"bootstrap.servers": "127.0.0.1:1", "message.timeout.ms": "50", "log_level": "0"})
    tally = Tally(10, lambda _: signal.raise_signal(signal.SIGINT))
    publisher = Publisher(producer, "t", tally)
    assert publish([row(1)], publisher, tally) is Ending.INTERRUPTED
    assert (tally.summary(1.0).failed, tally.stopped) == (1, "interrupted")


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_while_what_is_left_is_abandoned_is_heard_too() -> None:
    """Else a watcher whose broker is away could not be ended."""
    tally = Tally(10, lambda _: None)
    broker = Broker(room=1, answers={b"k1": FORBIDDEN})
    publisher = Publisher(broker, "t", tally)

    def purge(**_: bool) -> None:
        broker.purge = lambda **_: None  # type: ignore[method-assign]
        signal.raise_signal(signal.SIGINT)

    broker.purge = purge  # type: ignore[assignment,method-assign]
    assert publish([row(1), row(2), row(3)], publisher, tally) is Ending.INTERRUPTED


def test_answers_are_heard_while_there_is_room_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hits the rows behind too is known after a few of them."""
    broker = Broker(answers={b"k1": FORBIDDEN})
    monkeypatch.setattr(broker, "poll", lambda _: broker._answer(broker.answers))
    summary = run(broker, [row(line) for line in range(1, 100)])
    assert summary.read < 10
    assert summary.stopped == "this user may not write to t"
