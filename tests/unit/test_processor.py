"""The loop around a partition: what it does about a store, with a log that is driven by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from sluice import topics
from sluice.errors import SluiceError
from sluice.log import Aborted, Ends, Log, LogUnavailable, OffsetsUnstable, Positions
from sluice.model import Millis
from sluice.store import Change, Family, Store, StoreTrouble
from stream_processors.sharing.checkpoint import Checkpoint
from stream_processors.sharing.clock import Clock
from stream_processors.sharing.contract_sets import ContractSets
from stream_processors.sharing.inputs import Inputs
from stream_processors.sharing.metrics import Metrics
from stream_processors.sharing.plan import Plan
from stream_processors.sharing.processor import Processor
from stream_processors.sharing.redrives import Redrive, Redrives
from stream_processors.sharing.requests import Requested
from stream_processors.sharing.view import View
from tests.unit.installation import Installation
from tests.unit.lane import A, Lane


class OneSet:
    """A contract set that stays in force, and nothing to be driven again."""

    def __init__(self, view: View) -> None:
        self._view = view

    def newest(self) -> View:
        return self._view

    def refresh(self) -> None:
        pass

    def poll(self) -> list[Redrive]:
        return []


@pytest.fixture
def lane(tmp_path: Path) -> Iterator[Lane]:
    """On a disk."""
    one = Lane(Installation(), tmp_path / "stores")
    yield one
    one.close()


@pytest.fixture
def serving(lane: Lane) -> Iterator[Processor]:
    """A processor that serves the lane's partition, where A is shared."""
    lane.share()
    sets = OneSet(lane.partition.view)
    plan = Plan(
        sets=cast("ContractSets", sets),
        stores=lane.stores,
        identity=lane.installation.identity,
        identity_now=lambda _: lane.installation.identity,
        batch=100,
        lease_ms=10_000,
        tombstones_kept_ms=1_000_000,
        redrives=cast("Redrives", sets),
    )
    one = Processor(cast("Log", lane), plan, Metrics(CollectorRegistry()), Clock())
    one._own.partitions = {0: lane.partition}
    yield one
    lane.close()
    lane.partition.store = lane.stores.open(0)


def decide(serving: Processor, lane: Lane) -> None:
    """The processor's step (d), on an update of A."""
    update = lane.update(A, lane.installation.profile())
    ends = {0: Ends(lane.consents.high, lane.consents.high, lane.updates.high)}
    serving._decide(Inputs([update], [], ends, complete=True), Requested([], {}), lane.moment)


def test_a_damaged_row_discards_the_store_and_says_so(serving: Processor, lane: Lane, tmp_path: Path) -> None:
    lane.partition.store._database.write([(Family.ROWS, A.encode(), b"\xc1 canary")])
    with pytest.raises(SluiceError, match=r"damaged.* has been discarded; start again, and it is rebuilt") as raised:
        decide(serving, lane)
    assert not (tmp_path / "stores" / "0").exists()
    assert raised.value.__cause__ is None
    assert "canary" not in str(raised.value)


def test_updates_that_were_held_longer_than_their_tombstones_are_kept_are_not_gone_on_from(
    serving: Processor, lane: Lane, tmp_path: Path
) -> None:
    """A deletion may have been compacted away meanwhile: who is left out of the updates is found by a rebuild."""
    lane.now += serving._plan.tombstones_kept_ms
    decide(serving, lane)
    lane.now += 1
    with pytest.raises(SluiceError, match=r"waited for longer than their tombstones are kept.* it is rebuilt"):
        decide(serving, lane)
    assert not (tmp_path / "stores" / "0").exists()


@pytest.mark.parametrize("trouble", [Aborted("fenced", retriable=True), OffsetsUnstable("open")])
def test_a_broker_that_goes_while_something_else_is_put_right_is_waited_for(
    serving: Processor, lane: Lane, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    """A process that ends instead comes back only when somebody starts it again."""

    def broken(*_: object) -> None:
        raise trouble

    def away(*_: object) -> None:
        raise LogUnavailable("Cannot abort: the broker is away.")

    reconnected = []
    monkeypatch.setattr(serving, "_batch", broken)
    monkeypatch.setattr(serving, "_reconnect", lambda: reconnected.append(serving._metrics.unavailable.needed))
    monkeypatch.setattr(serving._vigil, "end_open_transactions", away)
    monkeypatch.setattr(serving._clock, "sleep", lambda _: None)
    monkeypatch.setattr(lane, "abort", away, raising=False)
    serving.step()
    assert reconnected == ["broker"]


def test_a_broker_that_is_away_when_the_group_is_to_be_joined_is_waited_for(
    serving: Processor, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def claim() -> None:
        tried.append("claim")
        if len(tried) == 1:
            raise LogUnavailable("Cannot begin transactions: the coordinator is not there yet.")

    monkeypatch.setattr(lane, "claim", claim, raising=False)
    monkeypatch.setattr(lane, "join", serving.stop, raising=False)
    monkeypatch.setattr(serving._clock, "sleep", lambda _: None)
    assert serving.run() == {}
    assert tried == ["claim", "claim"]


def test_inputs_that_wait_for_the_registry_are_told_as_long_as_they_wait(serving: Processor, lane: Lane) -> None:
    unavailable = serving._metrics.unavailable
    monotonic_ms = serving._clock.monotonic_ms()
    serving._tell_whether_registry_is_lacking()
    assert unavailable.needed == ""
    lane.partition._unread_at = monotonic_ms
    serving._tell_whether_registry_is_lacking()
    assert unavailable.needed == "registry"
    lane.partition._unread_at = monotonic_ms - 60_000
    serving._tell_whether_registry_is_lacking()
    assert unavailable.needed == ""


def test_consents_that_wait_are_told_beside_updates(serving: Processor, lane: Lane) -> None:
    """A withdrawal that waits behind a million others would not show among updates."""
    metrics, ends = serving._metrics, Ends(joined_stable=9, joined_high=12, driving_high=5)
    metrics.ends({0: ends})
    metrics.standing(lane.partition, ends, Positions(driving=5, joined=2), 0, braked=False)
    (told,) = metrics.lag.collect()
    assert {one.labels["topic"]: one.value for one in told.samples} == {
        topics.CUSTOMER_UPDATES: 0,
        topics.CONSENT_EVENTS: 7,
    }
    metrics.forget(0)
    assert [one.samples for one in metrics.lag.collect()] == [[]]


class Full:
    """A database on a disk without room."""

    def __init__(self, store: Store) -> None:
        self._database = store._database

    def __getattr__(self, name: str) -> object:
        return getattr(self._database, name)

    def get(self, _family: Family, _keys: list[bytes]) -> list[bytes | None]:
        raise StoreTrouble("The store cannot be read: no space left.")

    def write(self, _changes: list[Change]) -> None:
        raise StoreTrouble("The store cannot be written: no space left.")


def test_a_place_at_fault_discards_nothing(
    serving: Processor, lane: Lane, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = dict(lane.partition.store)
    with monkeypatch.context() as patch:
        patch.setattr(lane.partition.store, "_database", Full(lane.partition.store))
        with pytest.raises(StoreTrouble, match="no space left"):
            decide(serving, lane)
    lane.close()
    again = lane.stores.open(0)
    assert dict(again) == before
    again.close()
    assert (tmp_path / "stores" / "0").exists()


def test_the_time_of_decision_is_later_than_what_was_committed_or_stored(serving: Processor, lane: Lane) -> None:
    """LOOP 11, also when another machine with another clock had the partition before."""
    ahead = 10**15
    committed = Checkpoint(lane.installation.identity, "set", True, 1, Millis(ahead))
    serving._own.checkpoints = {0: committed}
    assert serving._moment().now == ahead + 1
    serving._own.checkpoints = {}
    lane.partition.meta = msgspec.structs.replace(lane.partition.meta, as_of=ahead + 5)
    assert serving._moment().now == ahead + 6
