"""What the sharing loop relies on in a log: one suite, passed by the log in memory and by a real broker.

Whoever implements `sluice.log.Log` brings a `Bench` and inherits `BehavesAsALog`. Topics outlive a test, so every test
begins at what the ends are then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest

from sluice import topics
from sluice.log import Aborted, Fenced, Log, OffsetsUnstable, Positions, Record
from sluice.model import PartnerId

UPDATES, CONSENTS, DISCLOSURES = topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS, topics.DISCLOSURES
PARTNER = topics.customers(PartnerId("hoshi-card"))
_PATIENCE_SECONDS = 30.0


class Upstream(Protocol):
    """Another producer's transaction."""

    def write(self, topic: str, partition: int, value: bytes) -> None: ...

    def commit(self) -> None: ...

    def abort(self) -> None: ...


class Bench(Protocol):
    """A cluster with one group, and what others do to it."""

    partitions: int

    def log(self, instance: str) -> Log: ...

    def observer(self) -> Log:
        """Of somebody who may read every topic, and does nothing else."""

    def write(self, topic: str, partition: int, key: bytes, value: bytes | None) -> None:
        """Acknowledged."""

    def upstream(self) -> Upstream: ...

    def wait(self) -> None:
        """A little while; what others have begun goes on."""

    def outlive(self, log: Log) -> None:
        """Wait until the group has given up this process, which does not fetch meanwhile."""

    def leave_offsets_open(self, instance: str, partition: int) -> None:
        """A dead instance's transaction, with offsets in it, that nobody ends."""


def eventually(bench: Bench, condition: Callable[[], Any]) -> Any:  # noqa: ANN401
    """The first true answer."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (answer := condition()):
        assert time.monotonic() < deadline, "not in time"
        bench.wait()
    return answer


def assigned(bench: Bench, log: Log) -> frozenset[int]:
    """What the group gives, once it gives something."""

    def given() -> frozenset[int] | None:
        log.fetch(10, 0.05)
        return log.new_assignment

    found: frozenset[int] = eventually(bench, given)
    return found


def highs(log: Log, numbers: frozenset[int]) -> dict[int, Positions]:
    bounds = {number: log.bounds((UPDATES, CONSENTS), number) for number in numbers}
    return {number: Positions(found[UPDATES].high, found[CONSENTS].high) for number, found in bounds.items()}


def serve(bench: Bench, log: Log) -> dict[int, Positions]:
    """Take what is assigned, and start at the ends."""
    numbers = assigned(bench, log)
    log.take()
    at = highs(log, numbers)
    log.start(at)
    return at


def fetched(bench: Bench, fetch: Callable[[], list[Record]], count: int) -> list[Record]:
    records: list[Record] = []

    def enough() -> bool:
        records.extend(fetch())
        return len(records) >= count

    eventually(bench, enough)
    return records


def values(log: Log, topic: str, number: int, start: int, stop: int) -> list[bytes | None]:
    return [record.value for record in log.read(topic, number, start, stop) if record is not None]


def some_key(number: int) -> bytes:
    return f"crm:{number}".encode()


class BehavesAsALog:
    @pytest.fixture
    def bench(self) -> Bench:
        raise NotImplementedError

    @pytest.fixture
    def log(self, bench: Bench) -> Iterator[Log]:
        one = self._joined(bench, "0")
        yield one
        one.close()

    @staticmethod
    def _joined(bench: Bench, instance: str) -> Log:
        log = bench.log(instance)
        log.claim()
        log.join()
        return log

    # --- membership

    def test_reports_its_assignment_and_gives_nothing_before_the_start(self, bench: Bench, log: Log) -> None:
        numbers = assigned(bench, log)
        at = highs(log, numbers)
        bench.write(UPDATES, 1, some_key(1), b"early")
        assert numbers == frozenset(range(bench.partitions))
        assert log.fetch(10, 0.1) == []
        log.take()
        assert log.new_assignment is None
        assert log.fetch(10, 0.1) == []
        log.start(at)
        records = fetched(bench, lambda: log.fetch(10, 0.1), 1)
        assert [(r.topic, r.partition, r.offset, r.key, r.value) for r in records] == [
            (UPDATES, 1, at[1].driving, some_key(1), b"early")
        ]

    def test_shares_the_partitions_with_who_joins(self, bench: Bench, log: Log) -> None:
        serve(bench, log)
        other = self._joined(bench, "1")
        held: dict[int, frozenset[int]] = {}

        def shared() -> bool:
            for name, one in enumerate((log, other)):
                one.fetch(10, 0.05)
                if one.new_assignment is not None:
                    held[name] = one.new_assignment
                    one.take()
            return all(held.values()) and sum(map(len, held.values())) == bench.partitions and len(held) == 2

        eventually(bench, shared)
        assert held[0].isdisjoint(held[1])
        other.close()

    def test_who_rejoins_is_given_an_assignment_again_and_reads_from_its_start(self, bench: Bench, log: Log) -> None:
        at = serve(bench, log)
        bench.write(UPDATES, 0, some_key(1), b"before")
        fetched(bench, lambda: log.fetch(10, 0.1), 1)
        log.rejoin()
        assert log.new_assignment == frozenset(), "nothing is its own until the group says so"
        log.take()
        numbers = assigned(bench, log)
        assert numbers == frozenset(range(bench.partitions))
        log.take()
        log.start(at)
        assert [record.value for record in fetched(bench, lambda: log.fetch(10, 0.1), 1)] == [b"before"]

    def test_a_start_while_another_assignment_waits_changes_nothing(self, bench: Bench, log: Log) -> None:
        at = highs(log, assigned(bench, log))
        log.start(at)
        bench.write(UPDATES, 0, some_key(1), b"unasked")
        assert log.fetch(10, 0.1) == []
        assert log.new_assignment is not None

    # --- reading

    def test_reads_again_from_where_it_is_started_again(self, bench: Bench, log: Log) -> None:
        at = serve(bench, log)
        for topic in (UPDATES, CONSENTS):
            for value in (b"1", b"2"):
                bench.write(topic, 2, some_key(1), value)
        first = fetched(bench, lambda: log.fetch(10, 0.1), 2)
        first += fetched(bench, lambda: log.fetch_joined(0.1), 2)
        assert log.driving_reached(2) == at[2].driving + 2
        log.start(at)
        assert log.driving_reached(2) == at[2].driving
        again = fetched(bench, lambda: log.fetch(10, 0.1), 2)
        again += fetched(bench, lambda: log.fetch_joined(0.1), 2)
        assert again == first

    def test_holds_partitions_and_no_others(self, bench: Bench, log: Log) -> None:
        serve(bench, log)
        log.hold([1])
        for number in (0, 1):
            bench.write(UPDATES, number, some_key(1), b"held?")
        assert [record.partition for record in fetched(bench, lambda: log.fetch(10, 0.1), 1)] == [0]
        assert log.fetch(10, 0.2) == []
        log.hold([])
        assert [record.partition for record in fetched(bench, lambda: log.fetch(10, 0.1), 1)] == [1]

    def test_what_was_held_before_a_start_is_read_after_it(self, bench: Bench, log: Log) -> None:
        at = serve(bench, log)
        log.hold([0, 1])
        log.start(at)
        for number in (0, 1):
            bench.write(UPDATES, number, some_key(1), b"held?")
        read = fetched(bench, lambda: log.fetch(10, 0.1), 2)
        assert sorted(record.partition for record in read) == [0, 1]
        log.start(at)
        log.hold([1])
        assert [record.partition for record in fetched(bench, lambda: log.fetch(10, 0.1), 1)] == [0]
        assert log.fetch(10, 0.2) == []

    def test_an_open_transaction_holds_the_stable_end_and_nothing_else(self, bench: Bench, log: Log) -> None:
        at = serve(bench, log)
        upstream = bench.upstream()
        upstream.write(CONSENTS, 0, b"pending")
        bench.write(CONSENTS, 0, some_key(1), b"behind it")
        bench.write(UPDATES, 0, some_key(1), b"an update")
        ends = log.ends()[0]
        assert ends.joined_stable == at[0].joined
        assert ends.joined_high == at[0].joined + 2
        assert ends.driving_high == ends.driving_stable == at[0].driving + 1
        assert log.fetch_joined(0.2) == []
        upstream.commit()
        eventually(bench, lambda: log.ends()[0].joined_stable == log.ends()[0].joined_high)
        records = fetched(bench, lambda: log.fetch_joined(0.1), 2)
        assert [record.value for record in records] == [b"pending", b"behind it"]

    def test_reaches_an_end_behind_control_records(self, bench: Bench, log: Log) -> None:
        at = serve(bench, log)
        upstream = bench.upstream()
        upstream.write(CONSENTS, 3, b"never seen")
        upstream.abort()
        stable: int = eventually(bench, lambda: _moved(log.ends()[3].joined_stable, at[3].joined))
        assert stable > at[3].joined + 1
        seen: list[Record] = []

        def reached() -> bool:
            seen.extend(log.fetch_joined(0.05))
            return log.joined_reached(3) >= stable

        eventually(bench, reached)
        assert seen == []

    def test_reads_a_span_of_committed_records(self, bench: Bench, log: Log) -> None:
        at = serve(bench, log)[0].joined
        bench.write(CONSENTS, 0, some_key(1), b"1")
        upstream = bench.upstream()
        upstream.write(CONSENTS, 0, b"aborted")
        upstream.abort()
        eventually(bench, lambda: log.bounds((CONSENTS,), 0)[CONSENTS].high == at + 3)  # its marker is written later
        bench.write(CONSENTS, 0, some_key(1), b"2")
        bench.write(CONSENTS, 0, some_key(1), b"3")
        high = log.bounds((CONSENTS,), 0)[CONSENTS].high
        assert values(log, CONSENTS, 0, at, high) == [b"1", b"2", b"3"]
        assert values(log, CONSENTS, 0, at + 1, high - 1) == [b"2"]
        assert values(log, CONSENTS, 0, high, high) == []

    # --- writing

    def test_commits_records_positions_and_metadata_at_once(self, bench: Bench, log: Log) -> None:
        at = serve(bench, log)
        numbers = frozenset(at)
        observer = bench.observer()
        bounds = observer.bounds((DISCLOSURES, PARTNER), 0)
        log.begin()
        log.produce(PARTNER, 0, b"pseudonym", b"record", 1_000)
        log.produce(DISCLOSURES, 0, some_key(1), b"disclosure", 1_000)
        assert log.flush() == {0: bounds[DISCLOSURES].high + 1}
        ends = log.ends()[0]
        assert (ends.confirmed_stable, ends.confirmed_high) == (bounds[DISCLOSURES].high, bounds[DISCLOSURES].high + 1)
        moved = {number: Positions(one.driving + 1, one.joined + 2) for number, one in at.items()}
        log.commit(moved, {number: f"of {number}" for number in moved})
        committed = eventually(bench, lambda: _stable(log, numbers))
        assert {n: one.positions for n, one in committed.items()} == moved
        assert {n: one.metadata for n, one in committed.items()} == {n: f"of {n}" for n in moved}
        for topic, value in ((PARTNER, b"record"), (DISCLOSURES, b"disclosure")):
            assert values(observer, topic, 0, bounds[topic].high, bounds[topic].high + 1) == [value]
        observer.close()

    def test_commits_positions_alone(self, bench: Bench, log: Log) -> None:
        at = serve(bench, log)
        log.begin()
        assert log.flush() == {}
        log.commit(at, dict.fromkeys(at, "unmoved"))
        committed = eventually(bench, lambda: _stable(log, frozenset(at)))
        assert {one.metadata for one in committed.values()} == {"unmoved"}

    def test_nothing_of_an_aborted_transaction_is_ever_seen(self, bench: Bench, log: Log) -> None:
        at = serve(bench, log)
        before = eventually(bench, lambda: _stable(log, frozenset(at)))
        low = log.bounds((DISCLOSURES,), 1)[DISCLOSURES].high
        log.begin()
        log.produce(DISCLOSURES, 1, some_key(1), b"not to be", 1_000)
        log.flush()
        log.abort()
        log.begin()
        log.produce(DISCLOSURES, 1, some_key(1), b"to be", 1_000)
        high = log.flush()[1]
        log.commit(at, dict.fromkeys(at, "second"))
        assert values(log, DISCLOSURES, 1, low, high) == [b"to be"]
        assert eventually(bench, lambda: _stable(log, frozenset(at))) != before

    def test_republishes_outside_of_transactions(self, bench: Bench, log: Log) -> None:
        at = serve(bench, log)
        log.republish([(Record(UPDATES, 0, 7, some_key(1), None, 1), 1), (Record(CONSENTS, 0, 7, b"k", b"v", 1), 1)])
        assert values(log, UPDATES, 1, at[1].driving, at[1].driving + 1) == [None]
        assert values(log, CONSENTS, 1, at[1].joined, at[1].joined + 1) == [b"v"]

    # --- others in one's place

    def test_who_claims_its_place_fences_it(self, bench: Bench, log: Log) -> None:
        at = serve(bench, log)
        log.begin()
        log.produce(DISCLOSURES, 0, some_key(1), b"by the old one", 1_000)
        log.flush()
        successor = bench.log("0")
        successor.claim()
        with pytest.raises(Fenced):
            log.commit(at, dict.fromkeys(at, "by the old one"))
        eventually(bench, lambda: log.ends()[0].confirmed_stable == log.ends()[0].confirmed_high)
        successor.close()

    def test_who_lost_its_partitions_commits_nothing(self, bench: Bench, log: Log) -> None:
        """LOOP 2: under the membership of the assignment, whatever happened since."""
        at = serve(bench, log)
        log.begin()
        bench.outlive(log)
        with pytest.raises(Aborted):
            log.commit(at, dict.fromkeys(at, "by a zombie"))
        log.abort()
        committed = eventually(bench, lambda: _stable(log, frozenset(at)))
        assert "by a zombie" not in {one.metadata for one in committed.values()}

    def test_ends_what_a_dead_instance_left_open(self, bench: Bench, log: Log) -> None:
        numbers = frozenset(serve(bench, log))
        bench.leave_offsets_open("1", 2)
        with pytest.raises(OffsetsUnstable):
            log.committed(numbers)
        assert [name for name in log.fence_the_dead() if name.endswith("1")]
        assert set(eventually(bench, lambda: _stable(log, numbers))) == numbers


def _stable(log: Log, numbers: frozenset[int]) -> Any:  # noqa: ANN401
    """What is committed; None while it is held back."""
    try:
        return log.committed(numbers)
    except OffsetsUnstable:
        return None


def _moved(to: int, since: int) -> int | None:
    return to if to > since else None
