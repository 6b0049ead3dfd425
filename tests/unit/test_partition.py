"""One partition, batch by batch. Every step of a lane is audited: disclosures, store and partner topics must agree."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice import topics
from sluice.decision import Customer, Permitted, decide
from sluice.errors import SluiceError
from sluice.facts import Facts
from sluice.kafka.transactions import Ends
from sluice.law.pack import Law
from sluice.model import Cause, CustomerId, Millis, Outcome, Reason, Recalled, Rejected, Shared, Unchanged, Withheld
from sluice.partitioning import partition_of
from stream_processors.sharing.folding import Misplaced
from stream_processors.sharing.partition import Batch, OpenTransactionWatch

if TYPE_CHECKING:
    from tests.unit.conftest import Installation, Lane

A, B = "dell-crm:1", "dell-crm:2"
PROFILE_SCHEMA, CONSENT_SCHEMA = 1, 2
DAMAGED = b"\x00\x00\x00\x00\x01\xff"


def hoshi(batch: Batch) -> list[Outcome]:
    return [outcome for partnership, outcome in batch.outcomes if partnership.partner == "hoshi-card"]


def written(batch: Batch) -> list[str]:
    return [output.topic for output in batch.outputs]


def shared(lane: Lane, customer: str = A) -> None:
    """The customer stands in the partner's topic."""
    lane.update(customer, lane.installation.profile())
    lane.consent(customer, "hoshi-card")
    lane.step()
    assert lane.held(customer)


# --- the plain way


@pytest.mark.parametrize("first", ["update", "consent", "both"])
def test_an_update_and_a_grant_share_whichever_comes_first(lane: Lane, first: str) -> None:
    if first != "consent":
        lane.update(A, lane.installation.profile())
    if first != "update":
        lane.consent(A, "hoshi-card")
    if first != "both":
        lane.step()
        assert lane.held(A) is None
    if first == "consent":
        lane.update(A, lane.installation.profile())
    if first == "update":
        lane.consent(A, "hoshi-card")
    batch = lane.step()
    assert [type(outcome) for outcome in hoshi(batch)] == [Shared]
    assert written(batch) == ["partner.hoshi-card.customers", topics.DISCLOSURES]
    assert lane.record(A) == {"given_name": "Hanako", "family_name": "Sato", "email": "hanako@example.com"}
    assert lane.held(A, "adresso") is None, "nobody asked about this partner"


def test_a_consent_without_profile_is_kept_and_nothing_is_disclosed(lane: Lane) -> None:
    lane.consent(A, "hoshi-card")
    batch = lane.step()
    assert hoshi(batch) == [Withheld(Reason.NO_PROFILE)]
    assert batch.outputs == []
    assert len(lane.row(A).consents.events) == 1


def test_an_update_without_consent_is_kept_and_nothing_is_disclosed(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    batch = lane.step()
    assert hoshi(batch) == [Withheld(Reason.NO_CONSENT_RECORD)]
    assert batch.outputs == []


def test_a_changed_profile_is_shared_again_under_the_same_pseudonym(lane: Lane) -> None:
    shared(lane)
    before = lane.held(A)
    lane.update(A, lane.installation.profile(given_name="Hana"))
    batch = lane.step()
    after = lane.held(A)
    assert before is not None
    assert after is not None
    assert written(batch) == ["partner.hoshi-card.customers", topics.DISCLOSURES]
    assert (before.pseudonym, before.fields) == (after.pseudonym, after.fields)
    assert before.digest != after.digest


def test_a_no_op_update_gives_nothing(lane: Lane) -> None:
    shared(lane)
    lane.update(A, lane.installation.profile(note="of no interest to the partner"))
    batch = lane.step()
    assert hoshi(batch) == [Unchanged()]
    assert batch.outputs == []


def test_the_same_bytes_on_a_new_basis_are_disclosed_and_not_sent_again(lane: Lane) -> None:
    shared(lane)
    lane.consent(A, "hoshi-card", "RENEWED")
    batch = lane.step()
    assert written(batch) == [topics.DISCLOSURES]
    (entry,) = lane.installation.decode(batch.outputs[0].value)["entries"]
    assert (entry["action"], entry["consents"]) == ("REAFFIRMED", [f"{A} hoshi-card RENEWED 1"])
    held = lane.held(A)
    assert held is not None
    assert held.consents == (f"{A} hoshi-card RENEWED 1",)


def test_two_updates_and_two_answers_in_one_batch_are_one_outcome(lane: Lane) -> None:
    lane.update(A, lane.installation.profile(given_name="Old"))
    lane.update(A, lane.installation.profile(given_name="New"))
    lane.consent(A, "hoshi-card", "WITHDRAWN")
    lane.consent(A, "hoshi-card")
    batch = lane.step()
    assert len(hoshi(batch)) == 1
    assert lane.record(A) == {"given_name": "New", "family_name": "Sato", "email": "hanako@example.com"}
    disclosure = lane.installation.decode(batch.outputs[-1].value)
    covered = {(place["topic"], place["offset"]) for place in disclosure["covers"]}
    assert covered == {(t, n) for t in (topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS) for n in (0, 1)}


def test_what_is_shared_and_recalled_in_one_batch_is_never_written(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card")
    lane.consent(A, "hoshi-card", "WITHDRAWN")
    assert lane.step().outputs == []


# --- narrowing at once


def test_a_withdrawal_recalls_at_once_though_updates_are_unread(lane: Lane) -> None:
    shared(lane)
    pseudonym = lane.held(A)
    lane.update(B, lane.installation.profile())
    lane.consent(A, "hoshi-card", "WITHDRAWN")
    batch = lane.step(updates=0)
    assert pseudonym is not None
    assert hoshi(batch) == [Recalled(pseudonym, Reason.WITHDRAWN)]
    assert written(batch) == ["partner.hoshi-card.customers", "partner.hoshi-card.control", topics.DISCLOSURES]
    ((_, message),) = lane.messages
    assert (message["type"], message["customer"]) == ("WITHDRAW", pseudonym.pseudonym)
    assert message["deadline"] == message["issued_at"] + 3 * 24 * 3_600_000
    assert batch.recall_timestamps == [lane.consents.records[-1].timestamp]


def test_a_withdrawal_for_one_kind_of_data_takes_it_back_at_once(lane: Lane) -> None:
    shared(lane)
    lane.update(B, lane.installation.profile())
    lane.consent(A, "hoshi-card", "WITHDRAWN", data_scope=["user.contact"])
    lane.step(updates=0)
    assert lane.record(A) == {"given_name": "Hanako", "family_name": "Sato", "email": None}


def test_a_deletion_at_the_source_recalls_and_erases(lane: Lane) -> None:
    shared(lane)
    lane.update(A, None)
    batch = lane.step()
    assert [type(outcome) for outcome in hoshi(batch)] == [Recalled]
    assert [message["type"] for _, message in lane.messages] == ["ERASE"]
    lane.update(A, None)
    assert lane.step().outputs == [], "and only once"


def test_a_deleted_customer_comes_back_with_the_next_update(lane: Lane) -> None:
    shared(lane)
    lane.update(A, None)
    lane.step()
    lane.update(A, lane.installation.profile())
    lane.step()
    assert lane.held(A)


def test_a_customer_who_leaves_the_row_filter_is_recalled(lane: Lane) -> None:
    shared(lane)
    lane.update(A, lane.installation.profile(address={"country": "US"}))
    held = lane.held(A)
    assert held is not None
    assert hoshi(lane.step()) == [Recalled(held, Reason.OUTSIDE_ROW_FILTER)]
    lane.update(A, lane.installation.profile(address=None))
    assert hoshi(lane.step()) == [Withheld(Reason.OUTSIDE_ROW_FILTER)]


def test_the_end_of_a_contract_or_of_a_grant_recalls_when_the_customer_is_next_seen(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card", valid_until=lane.now + 1_000)
    lane.step()
    held = lane.held(A)
    assert held is not None
    assert held.expires_at == lane.now + 1_000
    lane.now += 1_000
    lane.update(A, lane.installation.profile())
    assert hoshi(lane.step()) == [Recalled(held, Reason.GRANT_EXPIRED)]


# --- widening when safe (LOOP 12)


def test_a_grant_waits_until_the_updates_have_been_read_to_where_they_ended(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.step()
    for _ in range(3):
        lane.update(B, lane.installation.profile())
    lane.consent(A, "hoshi-card")
    assert hoshi(lane.step(updates=1)) == [Withheld(Reason.NO_CONSENT_RECORD), Withheld(Reason.WAITING_FOR_UPDATES)]
    assert lane.row(A).widen_at == 4
    lane.update(B, lane.installation.profile())
    lane.step(updates=1)
    assert lane.held(A) is None
    lane.step(updates=1)
    assert lane.held(A), "4 is reached; what came later is not waited for"
    assert lane.row(A).widen_at is None
    assert lane.partition.store.waiting(10**6, 10)[0] == []


def test_a_grant_never_shares_a_customer_deleted_in_unread_updates(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.step()
    lane.update(B, lane.installation.profile())
    lane.update(A, None)
    lane.consent(A, "hoshi-card")
    lane.step(updates=1)
    lane.step(updates=1)
    assert lane.held(A) is None
    assert not lane.disclosures.records


def test_an_update_of_a_waiting_customer_adds_nothing_either(lane: Lane) -> None:
    """Whatever the reason to reconcile: before the mark nothing is added."""
    lane.update(A, lane.installation.profile())
    lane.update(A, lane.installation.profile(given_name="Hana"))
    lane.update(A, None)
    lane.consent(A, "hoshi-card")
    for _ in range(3):
        lane.step(updates=1)
        assert lane.held(A) is None
    assert not lane.disclosures.records


def test_a_waiting_customer_keeps_what_is_held_and_no_field_is_added(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card", data_scope=["user.name"])
    lane.step()
    assert lane.record(A) == {"given_name": "Hanako", "family_name": "Sato", "email": None}
    lane.update(A, lane.installation.profile(given_name="Hana"))
    lane.update(B, lane.installation.profile())
    lane.consent(A, "hoshi-card", data_scope=["user.contact"])
    lane.step(updates=1)
    assert lane.record(A) == {"given_name": "Hana", "family_name": "Sato", "email": None}
    lane.step(updates=1)
    assert lane.record(A) == {"given_name": "Hana", "family_name": "Sato", "email": "hanako@example.com"}


def test_what_is_disclosed_while_waiting_names_only_the_answers_relied_on(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card", data_scope=["user.name"])
    lane.step()
    lane.update(B, lane.installation.profile())
    lane.consent(A, "hoshi-card", data_scope=["user.contact"])
    lane.step(updates=0)
    held = lane.held(A)
    assert held is not None
    assert held.fields == ("given_name", "family_name")
    assert held.consents == (f"{A} hoshi-card GIVEN 0",)


def test_waiting_customers_are_settled_in_pieces(new_installation: type[Installation], new_lane: type[Lane]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lane = new_lane(new_installation(), Path(folder), chunk=2)
        customers = [f"dell-crm:{n}" for n in range(5)]
        for customer in customers:
            lane.update(customer, lane.installation.profile())
            lane.consent(customer, "hoshi-card")
        lane.step(updates=0)
        lane.step()  # these are reconciled because their updates came, the waiting ones among them
        assert all(lane.held(customer) for customer in customers)
        for customer in customers:
            lane.consent(customer, "adresso")
        lane.update(B, lane.installation.profile())
        lane.step(updates=0)
        settled = []
        lane.step(consents=0)
        for _ in range(3):
            settled.append(sum(lane.held(customer, "adresso") is not None for customer in customers))
            lane.step()
        assert settled[0] < settled[-1] == 5
        lane.close()


def test_customers_without_a_row_never_crowd_out_those_who_wait(
    new_installation: type[Installation], new_lane: type[Lane]
) -> None:
    """A deletion of somebody unknown leaves no row; it must leave no place in the queue either."""
    with tempfile.TemporaryDirectory() as folder:
        lane = new_lane(new_installation(), Path(folder), chunk=2)
        lane.update(A, lane.installation.profile())
        lane.step(joined_high=1)
        lane.monotonic += 2_000
        for n in range(3):
            lane.update(f"crm:unknown-{n}", None)
        lane.step(joined_high=1)  # an open transaction stops widening
        assert lane.partition.stopped_by() == ["open_transaction"]
        lane.consent(A, "hoshi-card")
        lane.step(joined_high=2)
        for _ in range(5):
            lane.step()
        assert lane.held(A)
        assert lane.partition.store.waiting(10**6, 10)[0] == []
        lane.close()


# --- duplicates and disorder


def test_duplicates_and_disorder_of_consents_give_the_same_view(
    new_installation: type[Installation], new_lane: type[Lane]
) -> None:
    installation = new_installation()
    answers = [
        installation.answer(A, "hoshi-card", 1),
        installation.answer(A, "hoshi-card", 2, "WITHDRAWN", data_scope=["user.contact"]),
        installation.answer(A, "adresso", 3),
    ]
    results = []
    for arrival in (answers, answers[::-1], [*answers, *answers], [answers[1], answers[2], answers[0], answers[1]]):
        with tempfile.TemporaryDirectory() as folder:
            lane = new_lane(installation, Path(folder))
            lane.update(A, installation.profile())
            for value in arrival:
                lane.consents.append(A.encode(), value)
                lane.step()
            results.append(lane.everything_held())
            lane.close()
    assert results[0]
    assert all(result == results[0] for result in results)


def test_a_late_older_withdrawal_overturns_nothing_newer(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consents.append(A.encode(), lane.installation.answer(A, "hoshi-card", 50))
    lane.step()
    lane.consents.append(A.encode(), lane.installation.answer(A, "hoshi-card", 40, "WITHDRAWN"))
    assert lane.step().outputs == []


# --- what cannot be read


@pytest.mark.parametrize(
    ("value", "cause", "schema_id"),
    [
        (b"", Cause.NOT_FRAMED, None),
        (b"no frame", Cause.NOT_FRAMED, None),
        (DAMAGED, Cause.UNDECODABLE, PROFILE_SCHEMA),
        (b"\x00\x00\x00\x00\x63abc", Cause.SCHEMA_UNKNOWN, 99),
        (b"\x00\xff\xff\xff\xffabc", Cause.SCHEMA_UNKNOWN, None),
    ],
)
def test_an_unreadable_update_recalls_and_points(lane: Lane, value: bytes, cause: Cause, schema_id: int | None) -> None:
    shared(lane)
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
    assert batch.rejects == [(topics.CUSTOMER_UPDATES, cause)]
    lane.update(A, lane.installation.profile())
    lane.step()
    assert lane.held(A), "the next good update puts it right"


def test_pointers_to_rejects_tell_nothing_of_key_or_value(lane: Lane) -> None:
    lane.update("canary-customer", b"canary-value")
    lane.consents.append(b"canary-customer", b"canary-value")
    lane.consents.append(b"\xff canary-key", b"canary-value")
    batch = lane.step()
    assert written(batch) == [topics.REJECTED] * 3
    for output in batch.outputs:
        assert b"canary" not in (output.key or b"") + (output.value or b"")
    assert len({output.key for output in batch.outputs}) == 2, "filed by customer"


def test_an_unreadable_update_before_a_good_one_in_a_batch_is_pointed_at_and_does_no_harm(lane: Lane) -> None:
    shared(lane)
    lane.update(A, DAMAGED)
    lane.update(A, lane.installation.profile(given_name="Hana"))
    lane.step()
    assert len(lane.rejected) == 1
    assert lane.held(A)


def test_an_update_that_names_nobody_is_pointed_at_and_stops_nothing(lane: Lane) -> None:
    for key in (None, b"", b"\xff\xfe"):
        lane.updates.append(key, lane.installation.profile())
    lane.step()
    assert [pointer["cause"] for pointer in lane.rejected] == [Cause.KEY_UNREADABLE] * 3
    shared(lane)


@pytest.mark.parametrize("value", [None, b"", DAMAGED, "other", "enum"])
def test_an_unreadable_consent_denies_everywhere_until_it_is_acknowledged(
    new_installation: type[Installation], new_lane: type[Lane], value: bytes | str | None, tmp_path: Path
) -> None:
    installation = new_installation()
    if value == "other":
        value = installation.answer(B, "hoshi-card", 3)  # about another customer than its key says
    if value == "enum":
        value = installation.profile()  # of another schema
    assert not isinstance(value, str)
    lane = new_lane(installation, tmp_path)
    shared(lane)
    lane.consent(A, "adresso")
    lane.step()
    lane.consents.append(A.encode(), value)
    lane.step()
    assert lane.row(A).held == {}
    assert [pointer["topic"] for pointer in lane.rejected] == [topics.CONSENT_EVENTS]
    shared(lane, B)
    lane.consent(A, "hoshi-card")
    lane.step()
    assert lane.held(A) is None, "a later yes does not put it right"
    where = str(lane.row(A).consents.unreadable[0])
    assert where == f"{topics.CONSENT_EVENTS}/0@2"
    lane.open(lane.partition.store, acknowledged=[where], meta={"catching_up": True})
    lane.step()
    assert set(lane.row(A).held) == {"hoshi-card", "adresso"}
    lane.close()


@pytest.mark.parametrize("key", [None, b"", b"\xff\xfe"])
def test_a_consent_that_names_nobody_stops_widening_and_not_recalls(lane: Lane, key: bytes | None) -> None:
    shared(lane)
    shared(lane, B)
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


def test_a_misplaced_record_stops_with_a_sentence(new_installation: type[Installation], new_lane: type[Lane]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lane = new_lane(new_installation(), Path(folder), partitions=8)
        at_home = next(f"c:{n}" for n in range(100) if partition_of(f"c:{n}".encode(), 8) == 0)
        lane.update(at_home, lane.installation.profile())
        lane.consent(at_home, "hoshi-card")
        lane.step()
        stranger = next(f"c:{n}" for n in range(100) if partition_of(f"c:{n}".encode(), 8) == 5)
        lane.consent(stranger, "hoshi-card")
        with pytest.raises(Misplaced, match=r"crm\.consent-events/0@1 belongs into partition 5.*murmur2"):
            lane.peek()
        lane.positions = lane.positions._replace(joined=2)
        lane.update(stranger, None)
        with pytest.raises(Misplaced, match=r"crm\.customer-updates/0@1 belongs into partition 5"):
            lane.peek()
        lane.close()


# --- a record that one partner cannot be given


def test_a_record_that_one_partner_cannot_be_given_is_recalled_there_alone(
    new_installation: type[Installation], new_lane: type[Lane], tmp_path: Path
) -> None:
    lane = new_lane(new_installation(max_bytes=400), tmp_path)
    shared(lane)
    lane.consent(A, "adresso")
    lane.step()
    lane.update(A, lane.installation.profile(email="x" * 300))
    batch = lane.step()
    assert [type(outcome) for _, outcome in batch.outcomes] == [Rejected, Unchanged]
    assert set(lane.row(A).held) == {"adresso"}
    (pointer,) = lane.rejected
    assert (pointer["partner"], pointer["cause"], pointer["offset"]) == ("hoshi-card", "record_too_large", 1)
    lane.update(A, lane.installation.profile())
    lane.step()
    assert set(lane.row(A).held) == {"adresso", "hoshi-card"}
    lane.close()


# --- the registry is away


def test_while_the_registry_is_away_recalls_go_on_and_sharing_happens_later(lane: Lane) -> None:
    shared(lane)
    lane.installation.unreachable.add(PROFILE_SCHEMA)
    lane.update(A, lane.installation.profile(given_name="Hana"))
    lane.update(B, lane.installation.profile())
    lane.consent(B, "hoshi-card")
    batch = lane.step()
    assert hoshi(batch) == [Unchanged(), Withheld(Reason.PROFILE_NOT_READ_YET)]
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
    assert lane.partition.store.waiting(10**6, 10)[0] == []


def test_an_update_not_readable_for_now_reaches_the_partner_later(lane: Lane) -> None:
    shared(lane)
    lane.installation.unreachable.add(PROFILE_SCHEMA)
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
    shared(lane)
    lane.installation.unreachable.add(PROFILE_SCHEMA)
    lane.update(A, lane.installation.profile())
    lane.step()
    lane.consent(A, "hoshi-card", "WITHDRAWN", data_scope=["user.contact"])
    lane.step()
    held = lane.held(A)
    assert held is None or "email" not in held.fields


# --- after a gap or a rebuild (LOOP 22)


def test_while_catching_up_a_customer_without_a_new_update_is_only_recalled(lane: Lane) -> None:
    shared(lane)
    shared(lane, B)
    lane.open(lane.partition.store, mark=lane.updates.high + 2, meta={"catching_up": True})
    lane.consent(A, "hoshi-card", "WITHDRAWN")
    lane.consent(B, "adresso")
    lane.update("dell-crm:9", None)
    batch = lane.step()
    assert [type(outcome) for outcome in hoshi(batch)] == [Withheld, Recalled, Unchanged]
    assert set(lane.row(B).held) == {"hoshi-card"}
    assert lane.partition.meta.catching_up
    lane.update("dell-crm:9", None)
    lane.step()
    assert not lane.partition.meta.catching_up
    assert set(lane.row(B).held) == {"hoshi-card", "adresso"}


def test_while_catching_up_a_customer_with_a_new_update_is_known(lane: Lane) -> None:
    """Known from whatever batch since the assignment: less consent makes a smaller record, and no recall."""
    shared(lane)
    shared(lane, B)
    lane.open(lane.partition.store, mark=lane.updates.high + 9, meta={"catching_up": True})
    lane.update(A, lane.installation.profile())
    lane.step()
    lane.update("dell-crm:9", None)
    lane.step()
    for customer in (A, B):
        lane.consent(customer, "hoshi-card", "WITHDRAWN", data_scope=["user.contact"])
    lane.step()
    assert lane.record(A) == {"given_name": "Hanako", "family_name": "Sato", "email": None}
    assert lane.held(B) is None


def test_at_the_mark_everybody_is_settled_held_without_any_update_included(lane: Lane) -> None:
    customers = [CustomerId(f"dell-crm:{n}") for n in range(7)]
    for customer in customers:
        shared(lane, customer)
    lane.open(lane.partition.store, mark=8, meta={"catching_up": True}, chunk=2)
    rows = {customer: lane.row(customer) for customer in customers}
    gone = {c: (row, msgspec.structs.replace(row, profile=None)) for c, row in rows.items() if c != customers[3]}
    lane.partition.store.write(gone, None)  # compaction removed their updates and tombstones
    lane.update(customers[3], lane.installation.profile(given_name="Hana"))
    while lane.partition.meta.catching_up:
        lane.step()
    assert [customer for customer in customers if lane.held(customer)] == [customers[3]]
    assert {message["type"] for _, message in lane.messages} <= {"WITHDRAW", "ERASE"}


def test_below_the_mark_nobody_is_given_more(lane: Lane) -> None:
    """A rebuild has lost who waits for which update, so nobody may be given more before the mark.

    Here a yes was said after a deletion that is still unread; the store that knew to wait is lost.
    """
    lane.consent(A, "hoshi-card")
    lane.step()
    lane.open(lane.partition.store, mark=2, meta={"catching_up": True})
    lane.update(A, lane.installation.profile())
    lane.update(A, None)
    lane.partition.store.write({}, None)
    lane.step(updates=1)
    assert lane.held(A) is None
    lane.step()
    assert not lane.disclosures.records


# --- an open transaction (LOOP 14)


def test_the_watch_needs_an_end_that_stays_out_of_reach_for_more_than_a_second() -> None:
    watch = OpenTransactionWatch()
    steps = [
        (10, 10, 0.0, False),
        (10, 15, 100.0, False),  # the end runs ahead; this one is to be reached
        (12, 18, 1_100.0, False),
        (12, 18, 1_100.5, True),
        (14, 30, 9_000.0, True),
        (15, 30, 9_001.0, False),  # reached; now the next one
        (29, 40, 10_001.0, False),
        (29, 40, 10_001.5, True),
        (30, 30, 10_002.0, False),
    ]
    for stable, high, at, hides in steps:
        watch.observe(Ends(stable, high, 0), at)
        assert watch.hides_consents is hides, (stable, high, at)


def test_an_open_transaction_stops_widening_and_not_recalls(lane: Lane) -> None:
    shared(lane)
    lane.step(joined_high=9)
    lane.monotonic += 1_001
    lane.update(B, lane.installation.profile())
    lane.consent(B, "hoshi-card")
    lane.consent(A, "hoshi-card", "WITHDRAWN")
    lane.step(joined_high=9)
    assert lane.partition.stopped_by() == ["open_transaction"]
    assert (lane.held(A), lane.held(B)) == (None, None)
    for _ in range(6):
        lane.consent(A, "hoshi-card", "WITHDRAWN")
    lane.step()
    assert lane.partition.stopped_by() == []
    lane.step()
    assert lane.held(B)


# --- nothing is decided before it is committed


def test_a_batch_that_is_not_committed_leaves_no_trace(lane: Lane) -> None:
    shared(lane)
    before = (lane.row(A), lane.row(B), lane.partition.meta)
    lane.consent(A, "hoshi-card", "WITHDRAWN")
    lane.consents.append(None, b"")
    lane.update(B, lane.installation.profile())
    first, _ = lane.peek()
    second, _ = lane.peek()
    assert first.outputs == second.outputs, "and the same batch again is the same"
    assert (lane.row(A), lane.row(B), lane.partition.meta) == before
    assert lane.partition.stopped_by() == []


# --- whatever the batches (one batch with everything is the truth)

CUSTOMERS = [f"dell-crm:{n}" for n in range(3)]
UPDATES = st.tuples(
    st.just("update"),
    st.sampled_from(CUSTOMERS),
    st.sampled_from(["plain", "plain", "other name", "abroad", "no postcode", "deleted", "damaged"]),
)
ANSWERS = st.tuples(
    st.just("answer"),
    st.sampled_from(CUSTOMERS),
    st.tuples(
        st.sampled_from(["hoshi-card", "hoshi-card", "adresso"]),
        st.sampled_from(["GIVEN", "GIVEN", "WITHDRAWN", "OBJECTED", "EXPIRED", "UNKNOWN", "REQUESTED", "damaged"]),
        st.sampled_from([("*",), ("user.name",), ("user.contact",)]),
        st.integers(0, 9),
    ),
)
CUTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=6)


def _append(lane: Lane, kind: str, customer: str, what: Any) -> None:  # noqa: ANN401 - of either kind
    if kind == "update":
        profiles: dict[str, bytes | None] = {
            "plain": lane.installation.profile(),
            "other name": lane.installation.profile(given_name="Hana"),
            "abroad": lane.installation.profile(address={"postal_code": "94025", "country": "US"}),
            "no postcode": lane.installation.profile(address={"country": "JP"}),
            "deleted": None,
            "damaged": DAMAGED,
        }
        lane.update(customer, profiles[what])
        return
    partner, state, data, at = what
    if state == "damaged":
        if at == 0:  # seldom, for it denies for ever
            lane.consents.append(customer.encode(), DAMAGED)
        return
    value = lane.installation.answer(customer, partner, at, state, data_scope=list(data))
    lane.consents.append(customer.encode(), value)


def _overshared(lane: Lane, law: Law) -> Iterator[str]:
    """Who is held without a positive reason, by the decision alone, from the consents that have been read."""
    for customer, row in lane.partition.store:
        for partnership in lane.installation.partnerships:
            held = row.held.get(partnership.partner)
            known = Customer(Facts(residence="AU"), row.consents)
            verdict = decide(partnership.terms, law, known, Millis(lane.now))
            allowed = verdict.fields if isinstance(verdict, Permitted) else ()
            if held is not None and not set(held.fields) <= set(allowed):
                yield f"{customer} at {partnership.partner}"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(UPDATES | ANSWERS, max_size=14), CUTS)
def test_however_inputs_are_cut_into_batches_the_view_is_the_same(
    new_installation: type[Installation],
    new_lane: type[Lane],
    law: Law,
    inputs: list[tuple[str, str, Any]],
    cuts: list[tuple[int, int]],
) -> None:
    installation = new_installation()
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        whole, pieces = new_lane(installation, Path(one)), new_lane(installation, Path(other))
        for lane in (whole, pieces):
            for kind, customer, what in inputs:
                _append(lane, kind, customer, what)
        whole.step()
        for updates, consents in cuts:
            pieces.step(
                min(updates, pieces.updates.high - pieces.positions.driving),
                min(consents, pieces.consents.high - pieces.positions.joined),
            )
            assert list(_overshared(pieces, law)) == []
        pieces.step()
        pieces.step()  # those who waited for the last batch's updates
        assert pieces.everything_held() == whole.everything_held()
        assert list(_overshared(whole, law)) == []
        assert pieces.peek()[0].outputs == [], "and it is at rest"
        whole.close()
        pieces.close()


# --- what a reviewer asked for


def test_a_backlog_of_consents_is_worked_off_narrowing_only(lane: Lane) -> None:
    """Part of the answers is judged: a no among them counts, a yes waits for the rest."""
    shared(lane)
    lane.update(B, lane.installation.profile())
    lane.consent(A, "hoshi-card", "WITHDRAWN")
    lane.consent(B, "hoshi-card")
    lane.step(complete=False)
    assert lane.held(A) is None
    assert lane.held(B) is None
    lane.step()
    assert lane.held(B)


def test_a_consent_of_an_unseen_schema_holds_up_its_customer_alone(lane: Lane) -> None:
    shared(lane)
    lane.update(B, lane.installation.profile())
    lane.consent(B, "hoshi-card")
    lane.installation.unreachable.add(CONSENT_SCHEMA)
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


def test_who_cannot_be_settled_keeps_nobody_from_their_turn(
    new_installation: type[Installation], new_lane: type[Lane], tmp_path: Path
) -> None:
    lane = new_lane(new_installation(), tmp_path, chunk=2)
    stuck = [f"crm:a{n}" for n in range(5)]
    lane.installation.unreachable.add(PROFILE_SCHEMA)
    for customer in stuck:
        lane.update(customer, lane.installation.profile())
    lane.step()
    lane.consent("crm:z", "hoshi-card", "WITHDRAWN")
    lane.consent("crm:z", "hoshi-card", "GIVEN", expression="explicit")
    lane.update("crm:z", None)
    lane.step(updates=0)
    seen = set()
    for _ in range(8):
        lane.monotonic += 2_000
        before = lane.partition._wait_from
        lane.step()
        seen.add(before)
    assert len(seen) > 2, "the queue is gone through in turn"
    lane.close()


def test_a_damaged_row_discards_the_store_and_says_so(lane: Lane) -> None:
    shared(lane)
    lane.partition.store._rows[A.encode()] = b"\xc1"
    lane.update(A, lane.installation.profile())
    folder = lane.partition.store.folder
    with pytest.raises(SluiceError, match="has been discarded") as raised:
        lane.step()
    assert not folder.exists()
    assert raised.value.__cause__ is None


def test_a_recall_discloses_nothing(lane: Lane) -> None:
    shared(lane)
    lane.consent(A, "hoshi-card", "WITHDRAWN")
    lane.step()
    (entry,) = lane.installation.decode(lane.disclosures.records[-1].value)["entries"]
    assert (entry["action"], entry["fields"], entry["digest"], entry["consents"]) == ("RECALLED", [], None, [])
