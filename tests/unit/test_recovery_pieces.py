"""A recovery goes on in pieces: interrupted anywhere, it goes on where it was and ends as if it had not been."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from sluice import topics
from sluice.errors import SluiceError
from sluice.model import CustomerId
from sluice.store import Row
from stream_processors.sharing import recovery as module
from tests.unit.lane import A, Lane
from tests.unit.recovering import finished, lose_store, opening, recover, rows

CHUNK = 3


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", CHUNK)


@pytest.fixture
def long(lived: Lane) -> Lane:
    """Several pieces of each log."""
    for number in range(10, 16):
        lived.share(f"dell-crm:{number}")
    lived.consents.append(None, b"names nobody")
    lived.step()
    return lived


def _all(lane: Lane) -> set[tuple[str, int]]:
    logs = (lane.updates, lane.consents, lane.disclosures)
    return {(log.topic, record.offset) for log in logs for record in log.records}


def test_it_is_told_how_many_records_are_left(long: Lane) -> None:
    lose_store(long)
    left = list(opening(long))
    records = long.updates.high + long.consents.high + long.disclosures.high
    assert len(left) == sum(-(-log.high // CHUNK) for log in (long.updates, long.consents, long.disclosures))
    assert all(0 < before - after <= CHUNK for before, after in pairwise([records, *left]))
    assert left[-1] == 0


@pytest.mark.parametrize("pieces", range(1, 13))
def test_an_interrupted_rebuild_goes_on_and_reads_nothing_twice(long: Lane, pieces: int) -> None:
    expected, blockers = rows(long), long.partition.meta.blockers
    lose_store(long)
    interrupted = opening(long)
    for _ in range(pieces):
        next(interrupted)
    interrupted.close()
    recover(long)
    assert rows(long) == expected
    assert long.partition.meta.blockers == blockers
    assert long.partition.meta.catching_up
    assert set(long.reads) == _all(long)
    assert set(long.reads.values()) == {1}
    long.audit()


def test_interrupted_again_and_again_it_ends(long: Lane) -> None:
    expected = rows(long)
    lose_store(long)
    for _ in range(100):
        begun = opening(long)
        if next(begun, None) is None:
            break
        begun.close()
    recover(long)
    assert rows(long) == expected
    assert set(long.reads.values()) == {1}


def test_an_interrupted_gap_goes_on_and_reads_nothing_twice(long: Lane) -> None:
    store, meta = long.partition.store, long.partition.meta
    kept = dict(store)
    for number in range(20, 25):
        long.share_without_looking(f"dell-crm:{number}")
    expected, after = rows(long), dict(store)
    store.write({customer: (row, kept.get(customer, Row())) for customer, row in after.items()}, meta)
    begun = opening(long)
    next(begun)
    next(begun)
    begun.close()
    recover(long)
    assert rows(long) == expected
    assert set(long.reads.values()) == {1}
    assert min(offset for topic, offset in long.reads if topic == topics.CUSTOMER_UPDATES) == meta.updates
    long.audit()


def test_a_log_that_fails_in_between_loses_no_piece(long: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = rows(long)
    lose_store(long)

    def broken(topic: str, partition: int, start: int, stop: int) -> Iterator[Any]:
        if topic == topics.DISCLOSURES:
            raise SluiceError("The broker is away.")
        return Lane.read(long, topic, partition, start, stop)

    with monkeypatch.context() as patch:
        patch.setattr(long, "read", broken)
        with pytest.raises(SluiceError, match="away"):
            recover(long)
    recover(long)
    assert rows(long) == expected
    assert set(long.reads.values()) == {1}
    long.audit()


def test_an_interrupted_rebuild_is_never_mistaken_for_a_store_that_is_up_to_date(long: Lane) -> None:
    """All updates are folded and nobody's answers: nothing may be decided on that."""
    lose_store(long)
    begun = opening(long)
    while next(begun) > long.consents.high + long.disclosures.high:
        pass
    begun.close()
    store = long.stores.open(0)
    meta = store.meta()
    assert meta is not None
    assert (meta.updates, meta.consents, meta.disclosures) == (long.updates.high, 0, 0)
    assert meta.catching_up
    assert store.get([CustomerId(A)])[CustomerId(A)].consents.events == ()
    store.close()
    opened = finished(opening(long))
    assert opened.partition.meta.consents == long.consents.high
    long.partition = opened.partition


def _discarded(lane: Lane) -> None:
    lane.stores.discard(0)


def _folded_further(lane: Lane) -> None:
    lane.update(A, lane.installation.profile(given_name="Hana"))
    lane.positions = lane.positions._replace(driving=lane.updates.high)


@pytest.mark.parametrize("between", [_discarded, _folded_further])
def test_what_happens_between_two_pieces_is_no_matter(long: Lane, between: Callable[[Lane], None]) -> None:
    lose_store(long)
    begun = opening(long)
    next(begun)
    begun.close()
    between(long)
    recover(long)
    assert {customer: row.held for customer, row in rows(long).items() if row.held} == long.everything_held()
    assert long.row(A).profile == long.updates.records[-1 if between is _folded_further else 0].value
    long.audit()
