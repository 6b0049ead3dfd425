"""From logs and store to a partition that goes on, against the run that never stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from sluice import rocks
from sluice.log import Committed, Positions
from sluice.model import CustomerId, Millis
from sluice.store import Family, Row, StoreTrouble
from stream_processors.sharing.checkpoint import Checkpoint, decode
from tests.unit.installation import ADRESSO, HOSHI, Installation
from tests.unit.lane import A, B, C, Lane, came
from tests.unit.recovering import WEEK_MS, finished, lose_store, opening, recover, rows


def test_the_first_start_begins_where_the_logs_begin(lane: Lane) -> None:
    positions, previous = recover(lane, Committed(None, ""))
    assert positions == Positions(0, 0)
    assert not lane.partition.meta.catching_up, "there is no earlier life"
    assert previous == Checkpoint(lane.installation.identity, lane.installation.contract_set, False, 0, Millis(0))
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card")
    lane.step()
    assert lane.held(A)


def test_a_restart_with_its_store_folds_nothing_and_goes_on(lived: Lane) -> None:
    before, meta = rows(lived), lived.partition.meta
    positions, previous = recover(lived)
    assert positions == Positions(lived.updates.high, lived.consents.high)
    assert previous.now == lived.now
    assert rows(lived) == before
    assert lived.partition.meta.catching_up is False
    assert lived.partition.meta.updates == meta.updates
    assert lived.step().outputs == []


def _behind(lane: Lane) -> None:
    """The store was written, then a batch was committed, then the process died before the store knew."""
    before = lane.partition.store
    kept, meta = dict(before), before.meta()
    assert meta is not None
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
    lane.partition.store._database.write([(Family.META, b"meta", b"damaged")])


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
    lived.partition.store.write({intruder: (Row(), Row(profile=b"of another life"))}, lived.partition.meta)
    trouble(lived)
    recover(lived)
    assert rows(lived) == before
    assert lived.partition.meta.catching_up, "compaction may have removed what explains what is held"
    lived.audit()
    assert lived.step().outputs == []


def test_a_store_that_cannot_even_be_opened_is_rebuilt_from_the_logs(tmp_path: Path) -> None:
    lane = Lane(Installation(), tmp_path)
    lane.share()
    before = rows(lane)
    lane.close()
    for file in (tmp_path / "0").glob("MANIFEST*"):
        file.write_bytes(b"damaged")
    recover(lane)
    assert rows(lane) == before
    lane.audit()
    lane.close()


@pytest.mark.parametrize("said", ["No space left on device", "Permission denied", "/x/LOCK: No locks available"])
def test_a_store_whose_place_is_at_fault_is_not_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    lane = Lane(Installation(), tmp_path)
    lane.share()
    before = rows(lane)
    lane.close()

    def fail(*_: object, **__: object) -> None:
        raise Exception(said)  # noqa: TRY002 - so does the binding

    with monkeypatch.context() as patch:
        patch.setattr(rocks, "Rdict", fail)
        with pytest.raises(StoreTrouble):
            finished(opening(lane))
    lane.partition.store = lane.stores.open(0)
    assert rows(lane) == before
    recover(lane)
    assert lane.reads == {}, "and nothing had to be read again"
    lane.close()


def test_a_store_as_old_as_the_tombstones_may_still_be_used(lived: Lane) -> None:
    recover(lived)
    lived.partition.store.write({CustomerId("kept"): (Row(), Row(profile=b"x"))}, lived.partition.meta)
    lived.now += WEEK_MS
    recover(lived)
    assert CustomerId("kept") in rows(lived)


def test_a_store_grows_no_younger_while_updates_wait_to_be_read(lived: Lane) -> None:
    recover(lived)
    as_of = lived.partition.meta.as_of
    lived.update(A, None)
    for _ in range(2):
        lived.now += WEEK_MS // 2
        recover(lived)
        assert lived.partition.meta.as_of == as_of
    lived.partition.store.write({CustomerId("kept"): (Row(), Row(profile=b"x"))}, lived.partition.meta)
    lived.now += 1
    recover(lived)
    assert CustomerId("kept") not in rows(lived), "rebuilt"
    assert lived.partition.meta.as_of == lived.now


def test_a_store_that_a_wrong_clock_dated_ahead_is_not_trusted(lived: Lane) -> None:
    recover(lived)
    ahead = msgspec.structs.replace(lived.partition.meta, as_of=lived.now + 11 * 60_000)
    lived.partition.store.write({CustomerId("kept"): (Row(), Row(profile=b"x"))}, ahead)
    recover(lived)
    assert CustomerId("kept") not in rows(lived)
    assert lived.partition.meta.as_of == lived.now


def test_a_store_is_foreign_when_cluster_or_topics_are(lived: Lane) -> None:
    recover(lived)
    for change in ({"cluster": "x"}, {"topics": "x"}):
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


def test_a_rebuild_before_the_first_disclosure_still_settles_who_waited(lane: Lane) -> None:
    """Nothing is disclosed yet, but a committed yes waits for unread updates; the store that knew is lost."""
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


def test_after_a_rebuild_a_yes_still_waits_for_the_updates_that_were_there_when_it_was_said(lane: Lane) -> None:
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


def test_another_contract_set_reconciles_everybody_and_folds_nothing(lived: Lane) -> None:
    lived.installation = lived.installation.renewed({**HOSHI, "fields": {"given_name": "keep"}}, ADRESSO)
    lived.reads.clear()
    recover(lived)
    assert lived.reads == {}
    assert lived.partition.meta.catching_up
    lived.step()
    assert lived.record(A) == {"given_name": "Hanako"}
    assert not lived.partition.meta.catching_up
    recover(lived)
    assert not lived.partition.meta.catching_up, "once"


def test_a_set_that_was_in_force_when_somebody_else_had_the_partition_is_reconciled_against(lived: Lane) -> None:
    """The store knows the set of now; what was committed last was another's."""
    committed = lived.committed()
    assert committed.positions is not None
    of_another = msgspec.structs.replace(decode(committed.metadata), contract_set="between")
    recover(lived, Committed(committed.positions, of_another.encode()))
    assert lived.partition.meta.catching_up


def test_a_scan_goes_on_where_it_was_when_the_process_ended(lane: Lane) -> None:
    customers = [f"dell-crm:{n}" for n in range(9)]
    for customer in customers:
        lane.share(customer)
    lane.allowance = 4
    lane.adopt(lane.installation.renewed({**HOSHI, "fields": {"given_name": "keep"}}, ADRESSO))
    lane.step()
    assert [lane.record(customer) == {"given_name": "Hanako"} for customer in customers] == [True] * 4 + [False] * 5
    recover(lane)
    assert lane.partition.meta.scanned_to == customers[3]
    batch = lane.step()
    assert batch.scanned == 4
    assert came(batch).total() == 8, "the four that follow, at both partners"
    lane.step()
    assert not lane.partition.meta.catching_up
    assert all(lane.record(customer) == {"given_name": "Hanako"} for customer in customers)
    assert lane.partition.meta.scanned_to is None


def test_who_was_scanned_before_the_process_ended_is_not_forgotten_below_the_next_mark(lane: Lane) -> None:
    """Nothing was lost, so nobody is doubted; and whom the scan will not come to again waits in the row."""
    lane.consent(A, "hoshi-card")
    lane.step()
    for number in range(4, 9):
        lane.share(f"dell-crm:{number}")
    lane.allowance = 3
    lane.adopt(lane.installation.renewed({**HOSHI, "fields": {"given_name": "keep"}}, ADRESSO))
    lane.step()
    lane.update(A, lane.installation.profile())
    lane.update("dell-crm:7", lane.installation.profile())
    recover(lane)
    assert lane.partition.meta.scanned_to is not None
    assert lane.partition.meta.scanned_to > A, "and A's turn is over"
    lane.step(updates=1)
    while not lane.settled:
        lane.step()
    assert lane.record(A) == {"given_name": "Hanako"}
