"""From logs and store to a partition that goes on; with logs that can be cut, against the run that never stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from sluice import topics
from sluice.errors import SluiceError
from sluice.kafka.transactions import Committed, Positions, TransactionalLog
from sluice.model import CustomerId, Millis
from sluice.store import Row, Store
from stream_processors.sharing.checkpoint import Checkpoint
from stream_processors.sharing.recovery import Recovery, open_partition

if TYPE_CHECKING:
    from tests.unit.conftest import Installation, Lane

A, B, C = "dell-crm:1", "dell-crm:2", "dell-crm:3"
WEEK_MS = 7 * 24 * 3_600_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "0"


@pytest.fixture
def lived(new_installation: type[Installation], new_lane: type[Lane], folder: Path) -> Iterator[Lane]:
    """A partition with a history: one customer shared, one withdrawn, one deleted, one never asked."""
    lane = new_lane(new_installation(), folder)
    for customer in (A, B, C, "dell-crm:4"):
        lane.update(customer, lane.installation.profile())
        lane.consent(customer, "hoshi-card" if customer != "dell-crm:4" else "adresso", "GIVEN")
    lane.step()
    lane.consent(B, "hoshi-card", "WITHDRAWN")
    lane.update(C, None)
    lane.step()
    yield lane
    lane.close()


def recover(lane: Lane, committed: Committed | None = None, **view: Any) -> tuple[Positions, Checkpoint]:  # noqa: ANN401
    """The process ends and another one begins."""
    lane.close()
    recovery = Recovery(
        log=cast("TransactionalLog", lane),
        view=lane.installation.view(**view),
        identity=lane.installation.identity,
        state=lane.folder.parent,
        tombstones_kept_ms=WEEK_MS,
        now=Millis(lane.now),
    )
    refusal = None
    try:
        lane.partition, lane.positions, previous = open_partition(recovery, 0, committed or lane.committed())
    except SluiceError as error:
        refusal = type(error)(str(error))  # without the traceback, which would keep the store open
    if refusal is not None:
        lane.partition.store = Store(lane.folder)
        raise refusal
    return lane.positions, previous


def rows(lane: Lane) -> dict[CustomerId, Row]:
    """What is known; that a customer is deleted is only known while something else is, and a ruling is made anew."""
    return {
        customer: msgspec.structs.replace(row, deleted=False, ruling=None) for customer, row in lane.partition.store
    }


def lose_store(lane: Lane) -> None:
    lane.close()
    for file in lane.folder.iterdir():
        file.unlink()
    lane.partition.store = Store(lane.folder)


# --- a start without trouble


def test_the_first_start_begins_where_the_logs_begin(
    new_installation: type[Installation], new_lane: type[Lane], folder: Path
) -> None:
    lane = new_lane(new_installation(), folder)
    positions, previous = recover(lane, Committed(None, ""))
    assert positions == Positions(0, 0)
    assert previous == Checkpoint(lane.installation.identity, 0, Millis(0))
    assert not lane.partition.meta.catching_up, "there is no earlier life"
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card")
    lane.step()
    assert lane.held(A)
    lane.close()


def test_a_restart_with_its_store_folds_nothing_and_goes_on(lived: Lane) -> None:
    before, meta = rows(lived), lived.partition.meta
    positions, previous = recover(lived)
    assert positions == Positions(lived.updates.high, lived.consents.high)
    assert previous.now == lived.now
    assert rows(lived) == before
    assert lived.partition.meta.catching_up is False
    assert lived.partition.meta.updates == meta.updates
    assert lived.step().outputs == []


# --- a gap and a rebuild


def _behind(lane: Lane) -> None:
    """The store was written, then a batch was committed, then the process died before the store knew."""
    lane.close()
    before = Store(lane.folder)
    kept, meta = dict(before), before.meta()
    before.close()
    lane.partition.store = Store(lane.folder)
    lane.update(A, lane.installation.profile(given_name="Hana"))
    lane.update("dell-crm:5", lane.installation.profile())
    lane.consent("dell-crm:5", "hoshi-card")
    lane.consent("dell-crm:4", "adresso", "WITHDRAWN")
    lane.step()
    after = rows(lane)
    back = {customer: (row, kept.get(customer, Row())) for customer, row in after.items()}
    lane.partition.store.write(back, meta)


def test_a_gap_is_folded_to_what_the_run_without_stop_knew(lived: Lane) -> None:
    _behind(lived)
    untouched = lived.disclosures.high
    recover(lived)
    expected = {customer: row.held for customer, row in rows(lived).items() if row.held}
    lived.audit()
    assert set(expected) == {A, "dell-crm:5"}
    assert lived.row(A).profile == lived.installation.profile(given_name="Hana")
    assert len(lived.row("dell-crm:4").consents.events) == 2
    assert lived.disclosures.high == untouched, "nothing is emitted while folding"
    assert lived.partition.meta.catching_up
    assert lived.step().outputs == [], "and there was nothing left to say"
    assert not lived.partition.meta.catching_up


def _damaged(lane: Lane) -> None:
    lane.close()
    for file in lane.folder.glob("MANIFEST*"):
        file.write_bytes(b"damaged")
    lane.partition.store = Store(lane.folder.parent / "elsewhere")


def _foreign(lane: Lane) -> None:
    lane.partition.store.write({}, msgspec.structs.replace(lane.partition.meta, identity="another cluster"))


def _ahead(lane: Lane) -> None:
    lane.partition.store.write({}, msgspec.structs.replace(lane.partition.meta, disclosures=99))


def _old(lane: Lane) -> None:
    lane.partition.store.write({}, lane.partition.meta)
    lane.now += WEEK_MS + 1


def _gone(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.step()
    lane.partition.store.write({}, msgspec.structs.replace(lane.partition.meta, updates=0))
    lane.updates.compact()
    lane.updates.low = lane.updates.records[0].offset
    assert lane.updates.low > 0


@pytest.mark.parametrize("trouble", [lose_store, _damaged, _foreign, _ahead, _old, _gone])
def test_a_store_that_cannot_be_trusted_is_rebuilt_from_the_logs(lived: Lane, trouble: Callable[[Lane], None]) -> None:
    lived.step()
    intruder = CustomerId("intruder")
    before = rows(lived)
    lived.partition.store.write({intruder: (Row(), Row(profile=b"of another life"))}, None)
    trouble(lived)
    recover(lived)
    assert rows(lived) == before
    assert lived.partition.meta.catching_up, "compaction may have removed what explains what is held"
    lived.audit()
    assert lived.step().outputs == []


def test_a_store_as_old_as_the_tombstones_may_still_be_used(lived: Lane) -> None:
    recover(lived)
    lived.partition.store.write({CustomerId("kept"): (Row(), Row(profile=b"x"))}, lived.partition.meta)
    lived.now += WEEK_MS
    recover(lived)
    assert CustomerId("kept") in rows(lived)


def test_a_store_is_foreign_when_any_of_cluster_topics_and_contracts_is(lived: Lane) -> None:
    recover(lived)
    for change in ({"cluster": "x"}, {"topics": "x"}, {"contracts": "x"}):
        lived.partition.store.write({CustomerId("kept"): (Row(), Row(profile=b"x"))}, lived.partition.meta)
        lived.installation.identity = msgspec.structs.replace(lived.installation.identity, **change)
        recover(lived)
        assert CustomerId("kept") not in rows(lived)


def test_after_a_rebuild_who_is_held_without_any_update_is_recalled_at_the_mark(lived: Lane) -> None:
    """C's tombstone was compacted away before the rebuild read it: nobody can say why C would be held."""
    lived.update(A, None)
    lived.positions = lived.positions._replace(driving=lived.updates.high)  # committed, but the recall is not: a bug
    lived.updates.compact()
    lose_store(lived)
    recover(lived)
    assert lived.held(A), "folding recalls nobody"
    lived.step()
    assert lived.held(A) is None
    assert [message["type"] for _, message in lived.messages][-1:] == ["WITHDRAW"]


def test_a_rebuild_from_compacted_updates_gives_the_same_view(lived: Lane) -> None:
    held = lived.everything_held()
    lived.update(B, lived.installation.profile())
    lived.update(B, lived.installation.profile(given_name="Hana"))
    lived.step()
    lived.updates.compact()
    lose_store(lived)
    recover(lived)
    assert lived.step().outputs == []
    assert lived.everything_held() == held


def test_a_rebuild_before_the_first_disclosure_still_settles_who_waited(
    new_installation: type[Installation], new_lane: type[Lane], folder: Path
) -> None:
    """Nothing is disclosed yet, but a committed yes waits for unread updates; the store that knew is lost."""
    lane = new_lane(new_installation(), folder)
    lane.update(A, lane.installation.profile())
    lane.update(B, lane.installation.profile())
    lane.consent(A, "hoshi-card")
    lane.step(updates=1)
    assert lane.row(A).widen_at == 2
    lose_store(lane)
    recover(lane)
    for _ in range(3):
        lane.step()
    assert lane.held(A)
    lane.close()


def test_after_a_rebuild_a_yes_still_waits_for_the_updates_that_were_there_when_it_was_said(
    new_installation: type[Installation], new_lane: type[Lane], folder: Path
) -> None:
    lane = new_lane(new_installation(), folder)
    lane.update(C, lane.installation.profile())
    lane.consent(C, "hoshi-card")
    lane.step()
    lane.update(A, lane.installation.profile())
    lane.update(A, None)
    lane.consent(A, "hoshi-card")
    lane.step(updates=0)
    lose_store(lane)
    recover(lane)
    lane.step(updates=1)
    assert lane.held(A) is None, "the deletion has been there all the time"
    lane.step()
    assert set(lane.everything_held()) == {C}
    lane.close()


def test_a_rebuild_that_is_interrupted_begins_again(lived: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = rows(lived)
    lose_store(lived)

    def broken(topic: str, partition: int, start: int, stop: int) -> Iterator[Any]:
        if topic == topics.DISCLOSURES:
            raise SluiceError("The broker is away.")
        return type(lived).read(lived, topic, partition, start, stop)

    with monkeypatch.context() as patch:
        patch.setattr(lived, "read", broken)
        with pytest.raises(SluiceError, match="away"):
            recover(lived)
    recover(lived)
    assert rows(lived) == expected
    lived.audit()


def test_without_committed_offsets_what_was_disclosed_still_counts(lived: Lane) -> None:
    """The group's offsets expired: the inputs are read again, the disclosures are believed."""
    held = lived.everything_held()
    lose_store(lived)
    positions, previous = recover(lived, Committed(None, ""))
    assert positions == Positions(0, 0)
    assert previous.disclosures == lived.disclosures.high
    assert lived.everything_held() == held
    assert lived.partition.meta.catching_up
    lived.step(updates=2, consents=2)
    lived.step()
    assert lived.everything_held() == held


# --- blockers and acknowledgements


def test_a_consent_that_names_nobody_is_remembered_by_a_gap_and_by_a_rebuild(lived: Lane) -> None:
    lived.consents.append(None, b"")
    lived.positions = lived.positions._replace(joined=lived.consents.high)
    where = f"{topics.CONSENT_EVENTS}/0@5"
    recover(lived)
    assert lived.partition.meta.blockers == (where,)
    assert lived.partition.stopped_by() == ["unreadable_consent_key"]
    recover(lived)
    assert lived.partition.meta.blockers == (where,), "also without a gap"
    lose_store(lived)
    recover(lived)
    assert lived.partition.meta.blockers == (where,)


def test_an_acknowledgement_reconciles_everybody(lived: Lane) -> None:
    lived.consents.append(A.encode(), b"")
    lived.consents.append(None, b"")
    lived.step()
    assert lived.held(A) is None
    recover(lived)
    assert not lived.partition.meta.catching_up
    recover(lived, acknowledged=[f"{topics.CONSENT_EVENTS}/0@5", f"{topics.CONSENT_EVENTS}/0@6"])
    assert lived.partition.meta.catching_up
    lived.step()
    assert lived.held(A)
    recover(lived, acknowledged=[f"{topics.CONSENT_EVENTS}/0@5", f"{topics.CONSENT_EVENTS}/0@6"])
    assert not lived.partition.meta.catching_up, "once"


def test_an_acknowledgement_taken_back_denies_again(lived: Lane) -> None:
    lived.consents.append(A.encode(), b"")
    lived.step()
    recover(lived, acknowledged=[f"{topics.CONSENT_EVENTS}/0@5"])
    lived.step()
    assert lived.held(A)
    recover(lived)
    lived.step()
    assert lived.held(A) is None


def test_an_unreadable_consent_in_a_gap_denies(lived: Lane) -> None:
    lived.consents.append(A.encode(), b"\x00\x00\x00\x00\x02damaged")
    lived.positions = lived.positions._replace(joined=lived.consents.high)
    recover(lived)
    assert lived.row(A).consents.unreadable == (f"{topics.CONSENT_EVENTS}/0@5",)
    lived.step()
    assert lived.held(A) is None


# --- what contradicts itself


@pytest.mark.parametrize("name", ["consents", "disclosures"])
def test_evidence_that_lost_its_beginning_stops(lived: Lane, name: str) -> None:
    getattr(lived, name).low = 1
    with pytest.raises(SluiceError, match=r"/0 begins at offset 1: older records were deleted"):
        recover(lived)


@pytest.mark.parametrize("name", ["consents", "disclosures"])
def test_evidence_that_lost_its_end_stops(lived: Lane, name: str) -> None:
    committed = lived.committed()
    log = getattr(lived, name)
    log.high -= 1
    with pytest.raises(SluiceError, match=rf"/0 ends at offset {log.high}, but {log.high + 1} was committed"):
        recover(lived, committed)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"cluster": "elsewhere"}, "belong to the Kafka cluster cluster, and this is elsewhere"),
        ({"topics": "others"}, "A topic was re-created"),
        ({"contracts": "others"}, "The contract set changed"),
    ],
)
def test_offsets_of_another_installation_stop(lived: Lane, change: dict[str, str], sentence: str) -> None:
    committed = lived.committed()
    lived.installation.identity = msgspec.structs.replace(lived.installation.identity, **change)
    with pytest.raises(SluiceError, match=sentence):
        recover(lived, committed)


def test_without_committed_offsets_the_newest_disclosure_tells_the_contract_set(lived: Lane) -> None:
    lived.installation.identity = msgspec.structs.replace(lived.installation.identity, contracts="others")
    with pytest.raises(SluiceError, match="The contract set changed"):
        recover(lived, Committed(None, ""))


def test_offsets_committed_by_somebody_else_stop(lived: Lane) -> None:
    with pytest.raises(SluiceError, match="not written by this processor"):
        recover(lived, Committed(lived.positions, "metadata of another program"))


def test_a_disclosure_that_cannot_be_read_stops(lived: Lane) -> None:
    lived.disclosures.append(A.encode(), b"damaged")
    lose_store(lived)
    with pytest.raises(SluiceError, match=r"sluice\.disclosures/0@\d+ cannot be read"):
        recover(lived)
