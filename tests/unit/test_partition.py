"""One partition, batch by batch: sharing, narrowing, duplicates, one partner that cannot be served."""

from __future__ import annotations

import pytest

from sluice import topics
from sluice.model import PartnerId, Reason, Recalled, Rejected, Shared, Unchanged, Withheld
from sluice.store import Family, Unusable
from tests.unit.installation import Installation
from tests.unit.lane import A, B, Lane, came, hoshi, written


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
    lane.share()
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
    lane.share()
    lane.update(A, lane.installation.profile(note="of no interest to the partner"))
    batch = lane.step()
    assert came(batch)[PartnerId("hoshi-card"), "unchanged", ""] == 1
    assert batch.outputs == []


def test_the_same_bytes_on_a_new_basis_are_disclosed_and_not_sent_again(lane: Lane) -> None:
    lane.share()
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


def test_a_withdrawal_recalls_at_once_though_updates_are_unread(lane: Lane) -> None:
    lane.share()
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
    lane.share()
    lane.update(B, lane.installation.profile())
    lane.consent(A, "hoshi-card", "WITHDRAWN", data_scope=["user.contact"])
    lane.step(updates=0)
    assert lane.record(A) == {"given_name": "Hanako", "family_name": "Sato", "email": None}


def test_a_deletion_at_the_source_recalls_and_erases(lane: Lane) -> None:
    lane.share()
    lane.update(A, None)
    batch = lane.step()
    assert [type(outcome) for outcome in hoshi(batch)] == [Recalled]
    assert [message["type"] for _, message in lane.messages] == ["ERASE"]
    lane.update(A, None)
    assert lane.step().outputs == [], "and only once"


def test_a_deleted_customer_comes_back_with_the_next_update(lane: Lane) -> None:
    lane.share()
    lane.update(A, None)
    lane.step()
    lane.update(A, lane.installation.profile())
    lane.step()
    assert lane.held(A)


def test_a_customer_who_leaves_the_row_filter_is_recalled(lane: Lane) -> None:
    lane.share()
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


def test_duplicates_and_disorder_of_consents_give_the_same_view() -> None:
    installation = Installation()
    answers = [
        installation.answer(A, "hoshi-card", 1),
        installation.answer(A, "hoshi-card", 2, "WITHDRAWN", data_scope=["user.contact"]),
        installation.answer(A, "adresso", 3),
    ]
    results = []
    for arrival in (answers, answers[::-1], [*answers, *answers], [answers[1], answers[2], answers[0], answers[1]]):
        lane = Lane(installation)
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


def test_a_record_that_one_partner_cannot_be_given_is_recalled_there_alone() -> None:
    lane = Lane(Installation(max_bytes=400))
    lane.share()
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


def test_a_batch_that_is_not_committed_leaves_no_trace(lane: Lane) -> None:
    lane.share()
    before = (lane.row(A), lane.row(B), lane.partition.meta)
    lane.consent(A, "hoshi-card", "WITHDRAWN")
    lane.consents.append(None, b"")
    lane.update(B, lane.installation.profile())
    first, _ = lane.peek()
    second, _ = lane.peek()
    assert first.outputs == second.outputs, "and the same batch again is the same"
    assert (lane.row(A), lane.row(B), lane.partition.meta) == before
    assert lane.partition.stopped_by() == []


def test_a_recall_discloses_nothing(lane: Lane) -> None:
    lane.share()
    lane.consent(A, "hoshi-card", "WITHDRAWN")
    lane.step()
    (entry,) = lane.installation.decode(lane.disclosures.records[-1].value)["entries"]
    assert (entry["action"], entry["fields"], entry["digest"], entry["consents"]) == ("RECALLED", [], None, [])


def test_a_damaged_row_is_unusable_and_not_quoted(lane: Lane) -> None:
    lane.share()
    lane.partition.store._database.write([(Family.ROWS, A.encode(), b"\xc1 canary")])
    lane.update(A, lane.installation.profile())
    with pytest.raises(Unusable, match="damaged") as raised:
        lane.step()
    assert raised.value.__cause__ is None
    assert "canary" not in str(raised.value)
