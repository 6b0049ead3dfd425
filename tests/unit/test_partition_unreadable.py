"""What cannot be read, names nobody or lies in the wrong partition; and a registry that is away."""

from __future__ import annotations

import pytest

from sluice import topics
from sluice.model import Cause, PartnerId, Reason, Recalled
from sluice.partitioning import partition_of
from sluice.store import Row
from tests.unit.installation import CONSENT, PROFILE, Installation
from tests.unit.lane import DAMAGED, A, B, Lane, came, hoshi, written


@pytest.mark.parametrize(
    ("value", "cause", "schema_id"),
    [
        (b"", Cause.NOT_FRAMED, None),
        (b"no frame", Cause.NOT_FRAMED, None),
        (DAMAGED, Cause.UNDECODABLE, PROFILE),
        (b"\x00\x00\x00\x00\x63abc", Cause.SCHEMA_UNKNOWN, 99),
        (b"\x00\xff\xff\xff\xffabc", Cause.SCHEMA_UNKNOWN, None),
    ],
)
def test_an_unreadable_update_recalls_and_points(lane: Lane, value: bytes, cause: Cause, schema_id: int | None) -> None:
    lane.share()
    lane.update(A, value)
    batch = lane.step()
    held_before = [outcome for outcome in hoshi(batch) if isinstance(outcome, Recalled)]
    assert [outcome.reason for outcome in held_before] == [Reason.PROFILE_UNREADABLE]
    (pointer,) = lane.rejected
    assert pointer == {
        "topic": topics.CUSTOMER_UPDATES,
        "partition": 0,
        "offset": 1,
        "cause": cause.value,
        "schema_id": schema_id,
        "partner": None,
        "detected_at": lane.now,
    }
    assert batch.rejects == [(lane.updates.records[-1], cause)]
    lane.update(A, lane.installation.profile())
    lane.step()
    assert lane.held(A), "the next good update puts it right"


def test_an_unreadable_update_before_a_good_one_in_a_batch_is_pointed_at_and_does_no_harm(lane: Lane) -> None:
    lane.share()
    lane.update(A, DAMAGED)
    lane.update(A, lane.installation.profile(given_name="Hana"))
    lane.step()
    assert len(lane.rejected) == 1
    assert lane.held(A)


@pytest.mark.parametrize("value", [None, b"", DAMAGED, "other", "enum"])
def test_an_unreadable_consent_denies_everywhere_until_it_is_acknowledged(value: bytes | str | None) -> None:
    installation = Installation()
    if value == "other":
        value = installation.answer(B, "hoshi-card", 3)  # about another customer than its key says
    if value == "enum":
        value = installation.profile()  # of another schema
    assert not isinstance(value, str)
    lane = Lane(installation)
    lane.share()
    lane.consent(A, "adresso")
    lane.step()
    lane.consents.append(A.encode(), value)
    lane.step()
    assert lane.row(A).held == {}
    assert [pointer["topic"] for pointer in lane.rejected] == [topics.CONSENT_EVENTS]
    lane.share(B)
    lane.consent(A, "hoshi-card")
    lane.step()
    assert lane.held(A) is None, "a later yes does not put it right"
    where = str(lane.row(A).consents.unreadable[0])
    assert where == f"{topics.CONSENT_EVENTS}/0@2"
    lane.open(lane.partition.store, acknowledged=[where], meta={"catching_up": True})
    lane.step()
    assert set(lane.row(A).held) == {"hoshi-card", "adresso"}


def test_pointers_to_rejects_tell_nothing_of_key_or_value(lane: Lane) -> None:
    lane.update("canary-customer", b"canary-value")
    lane.consents.append(b"canary-customer", b"canary-value")
    lane.consents.append(b"\xff canary-key", b"canary-value")
    batch = lane.step()
    assert written(batch) == [topics.REJECTED] * 3
    for output in batch.outputs:
        assert b"canary" not in (output.key or b"") + (output.value or b"")
    assert len({output.key for output in batch.outputs}) == 2, "filed by customer"


def test_an_update_that_names_nobody_is_pointed_at_and_stops_nothing(lane: Lane) -> None:
    for key in (None, b"", b"\xff\xfe"):
        lane.updates.append(key, lane.installation.profile())
    lane.step()
    assert [pointer["cause"] for pointer in lane.rejected] == [Cause.KEY_UNREADABLE] * 3
    lane.share()


@pytest.mark.parametrize("key", [None, b"", b"\xff\xfe"])
def test_a_consent_that_names_nobody_stops_widening_and_not_recalls(lane: Lane, key: bytes | None) -> None:
    lane.share()
    lane.share(B)
    lane.consents.append(key, lane.installation.answer(A, "hoshi-card", 5))
    lane.consent(A, "hoshi-card", "WITHDRAWN")
    lane.consent(B, "adresso")
    lane.update("dell-crm:3", lane.installation.profile())
    lane.consent("dell-crm:3", "hoshi-card")
    lane.step()
    where = f"{topics.CONSENT_EVENTS}/0@2"
    assert lane.partition.stopped_by() == ["unreadable_consent_key"]
    assert lane.partition.meta.blockers == (where,)
    assert lane.held(A) is None
    assert set(lane.row(B).held) == {"hoshi-card"}
    assert lane.held("dell-crm:3") is None
    lane.update(B, lane.installation.profile(given_name="Hana"))
    lane.step()
    record = lane.record(B)
    assert record is not None
    assert record["given_name"] == "Hana", "what is held is kept up to date"
    lane.open(lane.partition.store, meta={"catching_up": True})
    lane.step()
    assert lane.partition.stopped_by() == ["unreadable_consent_key"], "a restart does not forget"
    assert set(lane.row(B).held) == {"hoshi-card"}
    lane.open(lane.partition.store, acknowledged=[where], meta={"catching_up": True})
    for _ in range(2):
        lane.step()
    assert lane.partition.stopped_by() == []
    assert set(lane.row(B).held) == {"hoshi-card", "adresso"}
    assert lane.held("dell-crm:3")


def test_a_recall_that_waited_for_the_registry_is_as_late_as_its_withdrawal_is_old(lane: Lane) -> None:
    """Otherwise the recalls that took longest would be the only ones that are not counted."""
    lane.share()
    lane.installation.unreachable.add(CONSENT)
    lane.consent(A, "hoshi-card", "WITHDRAWN")
    said_at = lane.consents.records[-1].timestamp
    assert lane.step().recall_timestamps == []
    assert lane.partition.lacks_registry(lane.monotonic)
    lane.monotonic += 2_000
    lane.now += 2_000
    lane.step()
    assert lane.partition.lacks_registry(lane.monotonic)
    lane.installation.unreachable.clear()
    lane.monotonic += 2_000
    lane.now += 2_000
    assert lane.step().recall_timestamps == [said_at]
    assert lane.held(A) is None
    lane.monotonic += 5_000
    assert not lane.partition.lacks_registry(lane.monotonic)


def test_what_turns_out_damaged_when_its_schema_is_there_is_pointed_at_then(lane: Lane) -> None:
    lane.share()
    good = lane.installation.answer(A, "hoshi-card", 5)
    lane.installation.unreachable.add(CONSENT)
    where = lane.consents.append(A.encode(), good[:5] + b"\xff")
    lane.step()
    assert lane.rejected == []
    lane.installation.unreachable.clear()
    lane.monotonic += 2_000
    lane.step()
    assert lane.held(A) is None
    assert [(pointer["topic"], pointer["offset"]) for pointer in lane.rejected] == [(where.topic, where.offset)]
    lane.monotonic += 2_000
    lane.step()
    assert len(lane.rejected) == 1, "once"


# --- in the wrong partition (LOOP 15)


def _of_partition(number: int) -> str:
    return next(f"c:{n}" for n in range(100) if partition_of(f"c:{n}".encode(), 8) == number)


@pytest.fixture
def one_of_eight() -> Lane:
    """Partition 0 of eight, where somebody who belongs there is shared."""
    lane = Lane(Installation(), partitions=8)
    lane.share(_of_partition(0))
    return lane


@pytest.mark.parametrize("value", ["consent", DAMAGED, None])
def test_a_misplaced_consent_is_to_be_written_again_where_it_belongs_and_touches_nobody_here(
    one_of_eight: Lane, value: str | bytes | None
) -> None:
    lane, stranger = one_of_eight, _of_partition(5)
    written_at = lane.installation.answer(stranger, "hoshi-card", 9, "WITHDRAWN") if value == "consent" else value
    assert not isinstance(written_at, str)
    misplaced = lane.consents.append(stranger.encode(), written_at)
    batch = lane.step()
    assert batch.misplaced == [(misplaced, 5)]
    assert written(batch) == [topics.REJECTED]
    (pointer,) = lane.rejected
    assert (pointer["topic"], pointer["offset"], pointer["cause"]) == (topics.CONSENT_EVENTS, 1, "misplaced")
    assert lane.row(stranger) == Row()
    assert lane.partition.stopped_by() == [], "it is heard where it belongs; nobody waits for an operator"
    assert lane.settled
    lane.consent(_of_partition(0), "adresso")
    lane.step()
    assert lane.held(_of_partition(0), "adresso")


def test_a_misplaced_deletion_is_to_be_written_again_where_it_belongs(one_of_eight: Lane) -> None:
    lane, stranger = one_of_eight, _of_partition(5)
    misplaced = lane.update(stranger, None)
    batch = lane.step()
    assert batch.misplaced == [(misplaced, 5)]
    assert [pointer["cause"] for pointer in lane.rejected] == ["misplaced"]
    assert batch.updates == {misplaced.offset: True}, "it counts for the brake"


def test_a_misplaced_snapshot_is_pointed_at_and_recalls_nothing(one_of_eight: Lane) -> None:
    """It says nothing certain: what lies where it belongs may be older or newer."""
    lane, stranger = one_of_eight, _of_partition(5)
    before = lane.everything_held()
    lane.update(stranger, lane.installation.profile())
    batch = lane.step()
    assert batch.misplaced == []
    assert [(pointer["cause"], pointer["schema_id"]) for pointer in lane.rejected] == [("misplaced", PROFILE)]
    assert lane.everything_held() == before
    assert lane.row(stranger) == Row()


def test_a_misplaced_record_is_not_a_place_to_pass_quietly(one_of_eight: Lane) -> None:
    """Its batch has to be committed, for the offsets move past it."""
    one_of_eight.consents.append(_of_partition(5).encode(), DAMAGED)
    batch, _ = one_of_eight.peek()
    assert batch.misplaced
    assert batch.outputs


def test_while_the_registry_is_away_recalls_go_on_and_sharing_happens_later(lane: Lane) -> None:
    lane.share()
    lane.installation.unreachable.add(PROFILE)
    lane.update(A, lane.installation.profile(given_name="Hana"))
    lane.update(B, lane.installation.profile())
    lane.consent(B, "hoshi-card")
    batch = lane.step()
    assert came(batch)[PartnerId("hoshi-card"), "unchanged", ""] == 1
    assert came(batch)[PartnerId("hoshi-card"), "withheld", "profile_not_read_yet"] == 1
    assert batch.outputs == []
    lane.consent(A, "hoshi-card", "WITHDRAWN")
    assert [type(outcome) for outcome in hoshi(lane.step())] == [Recalled]
    lane.installation.unreachable.clear()
    lane.step()
    assert lane.held(B) is None, "asked again after a second, not at once"
    lane.monotonic += 1_000
    lane.step()
    assert lane.held(B)
    assert lane.held(A) is None
    assert lane.waiting() == []


def test_an_update_not_readable_for_now_reaches_the_partner_later(lane: Lane) -> None:
    lane.share()
    lane.installation.unreachable.add(PROFILE)
    lane.update(A, lane.installation.profile(given_name="Hana"))
    lane.step()
    lane.installation.unreachable.clear()
    lane.monotonic += 1_000
    lane.step()
    record = lane.record(A)
    assert record is not None
    assert record["given_name"] == "Hana"


def test_less_consent_narrows_at_once_though_the_profile_cannot_be_read(lane: Lane) -> None:
    """No record without the field can be made, so the whole record has to go: narrowing is never delayed."""
    lane.share()
    lane.installation.unreachable.add(PROFILE)
    lane.update(A, lane.installation.profile())
    lane.step()
    lane.consent(A, "hoshi-card", "WITHDRAWN", data_scope=["user.contact"])
    lane.step()
    held = lane.held(A)
    assert held is None or "email" not in held.fields


def test_a_consent_of_an_unseen_schema_holds_up_its_customer_alone(lane: Lane) -> None:
    lane.share()
    lane.update(B, lane.installation.profile())
    lane.consent(B, "hoshi-card")
    lane.installation.unreachable.add(CONSENT)
    lane.step()
    assert lane.held(B) is None
    assert lane.held(A), "nothing is recalled because the registry is away"
    lane.update(A, None)
    lane.step()
    assert lane.held(A) is None, "recalls go on"
    lane.installation.unreachable.clear()
    lane.monotonic += 2_000
    lane.step()
    assert lane.held(B)


def test_nothing_new_is_given_of_who_may_have_withdrawn(lane: Lane) -> None:
    lane.share()
    lane.share(B)
    lane.installation.unreachable.add(CONSENT)
    lane.consent(A, "hoshi-card", "WITHDRAWN")
    for customer in (A, B):
        lane.update(customer, lane.installation.profile(given_name="Hana"))
    lane.step()
    told = [None if record is None else record["given_name"] for record in map(lane.record, (A, B))]
    assert told == ["Hanako", "Hana"], "what A's consents are is not known, and B's are"
    lane.update(B, None)
    lane.step()
    assert lane.held(B) is None
    lane.installation.unreachable.clear()
    lane.monotonic += 2_000
    lane.step()
    assert lane.held(A) is None, "it was a withdrawal"


def test_who_is_deleted_goes_whatever_cannot_be_read(lane: Lane) -> None:
    lane.share()
    lane.installation.unreachable.add(CONSENT)
    lane.consent(A, "hoshi-card")
    lane.update(A, None)
    lane.step()
    assert lane.held(A) is None
