"""Other contracts on a running view: everybody is reconciled, in pieces, and each change means what it should."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sluice import topics
from sluice.model import PartnerId, Reason, Recalled, Shared, Unchanged, Withheld
from sluice.store import Row
from stream_processors.sharing import folding
from tests.unit.installation import ADRESSO, HOSHI, NOW, Installation
from tests.unit.lane import A, B, C, Lane, came, hoshi, written
from tests.unit.recovering import recover

NARROWED = {**HOSHI, "fields": {"given_name": "keep"}}
WIDENED = {**HOSHI, "fields": {**HOSHI["fields"], "residence": "keep"}}
CARD = PartnerId("hoshi-card")
PAUSED = {**HOSHI, "paused": True}
SECOND_EPOCH = {**HOSHI, "pseudonym_epoch": 2}


def settled(lane: Lane) -> None:
    """Step until everybody was seen."""
    for _ in range(50):
        if not lane.partition.meta.catching_up:
            return
        lane.step()
    raise AssertionError("never settled")


@pytest.fixture
def three(lane: Lane) -> Lane:
    """A and B are shared with the card and the address checker, C only with the address checker."""
    for customer in (A, B, C):
        lane.update(customer, lane.installation.profile())
        lane.consent(customer, "adresso")
        if customer != C:
            lane.consent(customer, "hoshi-card")
    lane.step()
    return lane


# --- what each change means


def test_a_narrowed_field_goes_from_everybody(three: Lane) -> None:
    three.adopt(three.installation.renewed(NARROWED, ADRESSO))
    settled(three)
    assert three.record(A) == three.record(B) == {"given_name": "Hanako"}
    assert three.messages == [], "a smaller record, no recall"


def test_a_widened_field_comes_to_everybody_who_agreed_to_it(three: Lane) -> None:
    three.consent(B, "hoshi-card", "WITHDRAWN", data_scope=["user.contact"])
    three.step()
    three.adopt(three.installation.renewed(WIDENED, ADRESSO))
    settled(three)
    record = three.record(A)
    assert record is not None
    assert record["residence"] == "AU"


def test_a_partner_that_is_added_gets_whom_it_may() -> None:
    lane = Lane(Installation(ADRESSO))
    lane.share_without_looking(A)
    lane.update(B, lane.installation.profile())
    lane.consent(B, "adresso")
    lane.step()
    lane.adopt(lane.installation.renewed(HOSHI, ADRESSO))
    settled(lane)
    assert set(lane.row(A).held) == {"hoshi-card"}
    assert set(lane.row(B).held) == {"adresso"}


def test_the_same_contracts_once_more_say_nothing(three: Lane) -> None:
    before = three.disclosures.high
    three.adopt(three.installation.renewed())
    settled(three)
    assert three.disclosures.high == before


def test_a_change_that_only_the_basis_shows_is_reaffirmed_and_not_sent_again(three: Lane) -> None:
    three.adopt(three.installation.renewed({**HOSHI, "name": "Hoshi Card K.K."}, ADRESSO))
    batch = three.step()
    assert set(written(batch)) == {topics.DISCLOSURES}
    actions = {entry["action"] for o in batch.outputs for entry in three.installation.decode(o.value)["entries"]}
    assert actions == {"REAFFIRMED"}
    assert set(_contracts(three)) == {three.installation.partner("hoshi-card").contract}


def _contracts(lane: Lane) -> list[str]:
    return [held.contract for row in lane.everything_held().values() for p, held in row.items() if p == "hoshi-card"]


# --- paused


@pytest.fixture
def paused(three: Lane) -> Lane:
    three.adopt(three.installation.renewed(PAUSED, ADRESSO))
    settled(three)
    return three


def test_a_paused_contract_recalls_nobody(paused: Lane) -> None:
    assert {c for c, held in paused.everything_held().items() if "hoshi-card" in held} == {A, B}
    assert paused.messages == []


def test_a_paused_contract_adds_nobody(paused: Lane) -> None:
    paused.consent(C, "hoshi-card")
    assert hoshi(paused.step()) == [Withheld(Reason.CONTRACT_PAUSED)]
    paused.update(C, paused.installation.profile(given_name="Hana"))
    assert came(paused.step())[PartnerId("hoshi-card"), "withheld", "contract_paused"] == 1
    paused.consent(C, "hoshi-card", "WITHDRAWN")
    assert hoshi(paused.step()) == [Withheld(Reason.WITHDRAWN)], "a refusal is told before"


def test_a_paused_contract_adds_no_field() -> None:
    lane = Lane(Installation())
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card", data_scope=["user.name"])
    lane.step()
    lane.adopt(lane.installation.renewed(PAUSED, ADRESSO))
    settled(lane)
    lane.consent(A, "hoshi-card", data_scope=["user.contact"])
    lane.update(A, lane.installation.profile(given_name="Hana"))
    lane.step()
    assert lane.record(A) == {"given_name": "Hana", "family_name": "Sato", "email": None}
    lane.adopt(lane.installation.renewed())
    settled(lane)
    assert lane.record(A) == {"given_name": "Hana", "family_name": "Sato", "email": "hanako@example.com"}


def test_a_paused_contract_that_lists_more_fields_adds_none(three: Lane) -> None:
    three.adopt(three.installation.renewed({**WIDENED, "paused": True}, ADRESSO))
    settled(three)
    record = three.record(A)
    assert record is not None
    assert record["residence"] is None
    assert record["email"] == "hanako@example.com"


def test_a_paused_contract_keeps_what_is_held_up_to_date(paused: Lane) -> None:
    paused.update(A, paused.installation.profile(given_name="Hana"))
    assert [type(outcome) for outcome in hoshi(paused.step())] == [Shared]
    record = paused.record(A)
    assert record is not None
    assert record["given_name"] == "Hana"


def test_a_paused_contract_recalls_as_ever(paused: Lane) -> None:
    paused.consent(A, "hoshi-card", "WITHDRAWN")
    paused.update(B, None)
    assert [type(outcome) for outcome in hoshi(paused.step())] == [Recalled, Recalled]
    assert [message["type"] for _, message in paused.messages if _.startswith("partner.hoshi")] == ["ERASE", "WITHDRAW"]


def test_a_paused_contract_never_gives_back_what_was_recalled(paused: Lane) -> None:
    paused.consent(A, "hoshi-card", "WITHDRAWN")
    paused.step()
    paused.consent(A, "hoshi-card")
    assert hoshi(paused.step()) == [Withheld(Reason.CONTRACT_PAUSED)]


def test_when_the_pause_is_over_who_waited_is_added(paused: Lane) -> None:
    paused.consent(C, "hoshi-card")
    paused.step()
    paused.adopt(paused.installation.renewed())
    settled(paused)
    assert paused.held(C)


# --- over


def test_a_partner_without_contract_gives_everything_back(three: Lane) -> None:
    held = three.held(A)
    three.adopt(three.installation.renewed(ADRESSO, former=["hoshi-card"]))
    batch = three.step()
    settled(three)
    assert held is not None
    assert Recalled(held, Reason.CONTRACT_ENDED) in hoshi(batch)
    assert hoshi(batch)[-1] == Withheld(Reason.CONTRACT_ENDED), "C was never there, and nobody is told"
    assert three.seen["partner.hoshi-card.customers"] == {}
    assert [(topic, message["type"]) for topic, message in three.messages] == [
        ("partner.hoshi-card.control", "CONTRACT_ENDED")
    ] * 2
    assert {entry["reason"] for entry in _entries(three, "hoshi-card", "RECALLED")} == {"contract_ended"}
    assert set(three.row(A).held) == {"adresso"}


def _entries(lane: Lane, partner: str, action: str) -> list[Mapping[str, Any]]:
    disclosures = [lane.installation.decode(record.value) for record in lane.disclosures.records]
    entries = [entry for disclosure in disclosures for entry in disclosure["entries"]]
    return [entry for entry in entries if (entry["partner"], entry["action"]) == (partner, action)]


def test_a_former_partner_gets_nothing_more_whatever_comes(three: Lane) -> None:
    three.adopt(three.installation.renewed(ADRESSO, former=["hoshi-card"]))
    settled(three)
    three.update(A, three.installation.profile(given_name="Hana"))
    three.consent(A, "hoshi-card")
    assert hoshi(three.step()) == [Withheld(Reason.CONTRACT_ENDED)]
    assert len(three.messages) == 2, "and is told once"


def test_a_former_partner_is_recalled_from_also_before_the_mark_and_without_profile(three: Lane) -> None:
    """A recall needs no profile, so it does not wait for one."""
    three.installation = three.installation.renewed(ADRESSO, former=["hoshi-card"])
    three.open(three.partition.store, mark=99, meta={"catching_up": True})
    three.consent(A, "adresso")
    batch = three.step()
    assert [type(outcome) for outcome in hoshi(batch)] == [Recalled]


def test_a_contract_that_comes_back_shares_again(three: Lane) -> None:
    three.adopt(three.installation.renewed(ADRESSO, former=["hoshi-card"]))
    settled(three)
    three.adopt(three.installation.renewed())
    settled(three)
    assert three.record(A) == {"given_name": "Hanako", "family_name": "Sato", "email": "hanako@example.com"}


def test_a_contract_that_was_over_while_the_process_was_away_gives_everything_back(three: Lane) -> None:
    three.installation = three.installation.renewed(ADRESSO, former=["hoshi-card"])
    recover(three)
    settled(three)
    assert three.seen["partner.hoshi-card.customers"] == {}


def test_a_contract_edited_to_have_ended_is_over_likewise(three: Lane) -> None:
    yesterday = datetime.fromtimestamp(NOW / 1000, UTC).date() - timedelta(days=1)
    three.adopt(three.installation.renewed({**HOSHI, "valid": {**HOSHI["valid"], "until": yesterday}}, ADRESSO))
    settled(three)
    assert three.seen["partner.hoshi-card.customers"] == {}
    assert {message["type"] for _, message in three.messages} == {"CONTRACT_ENDED"}
    assert {entry["reason"] for entry in _entries(three, "hoshi-card", "RECALLED")} == {"contract_not_in_force"}


# --- another pseudonym


def test_another_epoch_takes_the_old_record_back_and_gives_the_new_one(three: Lane) -> None:
    before = three.held(A)
    three.adopt(three.installation.renewed(SECOND_EPOCH, ADRESSO))
    batch, _ = three.peek()
    settled(three)
    after = three.held(A)
    assert before is not None
    assert after is not None
    assert (before.key_epoch, after.key_epoch) == (1, 2)
    assert before.pseudonym != after.pseudonym
    keys = [(o.key, o.value is None) for o in batch.outputs if o.topic == "partner.hoshi-card.customers"]
    assert keys[:2] == [(before.pseudonym.encode(), True), (after.pseudonym.encode(), False)]
    assert three.seen["partner.hoshi-card.customers"].keys() == {
        held.pseudonym.encode() for held in (three.held(A), three.held(B)) if held
    }
    assert {message["customer"] for _, message in three.messages} >= {before.pseudonym}
    assert {message["type"] for _, message in three.messages} == {"WITHDRAW"}


def test_another_epoch_is_disclosed_as_a_recall_and_a_share_in_that_order(three: Lane) -> None:
    before = three.held(A)
    three.adopt(three.installation.renewed(SECOND_EPOCH, ADRESSO))
    settled(three)
    newest = [three.installation.decode(r.value) for r in three.disclosures.records if r.key == A.encode()][-1]
    entries = [one for one in newest["entries"] if one["partner"] == "hoshi-card"]
    assert [(one["action"], one["reason"], one["key_epoch"]) for one in entries] == [
        ("RECALLED", "pseudonym_replaced", 1),
        ("SHARED", None, 2),
    ]
    assert before is not None
    assert entries[0]["pseudonym"] == before.pseudonym
    assert folding.with_disclosure(Row(held={CARD: before}), newest).held[CARD] == three.held(A)


def test_another_epoch_replaces_once_and_each_in_turn(three: Lane) -> None:
    three.allowance = 1
    three.adopt(three.installation.renewed(SECOND_EPOCH, ADRESSO))
    three.step()
    epochs = [held.key_epoch for held in (three.held(A), three.held(B)) if held]
    assert epochs == [2, 1]
    settled(three)
    assert len(three.messages) == 2
    three.update(A, three.installation.profile(given_name="Hana"))
    three.step()
    assert len(three.messages) == 2, "from then on it is the pseudonym"


def test_a_withdrawal_between_the_change_and_ones_turn_takes_back_what_is_held(three: Lane) -> None:
    """Under the pseudonym that was disclosed (LOOP 16), and the new one is never told."""
    before = three.held(B)
    three.allowance = 1
    three.adopt(three.installation.renewed(SECOND_EPOCH, ADRESSO))
    three.consent(B, "hoshi-card", "WITHDRAWN")
    three.step()
    assert before is not None
    assert three.held(B) is None
    assert before.pseudonym in {message["customer"] for _, message in three.messages}
    settled(three)


# --- the way through everybody


@pytest.fixture
def nine(lane: Lane) -> Lane:
    for number in range(9):
        lane.share(f"dell-crm:{number}")
    lane.allowance = 2
    return lane


def _names(lane: Lane) -> list[str]:
    return ["".join(sorted(k for k, v in (lane.record(f"dell-crm:{n}") or {}).items() if v)) for n in range(9)]


def test_a_second_change_before_the_first_is_through_begins_anew_and_the_last_one_holds(nine: Lane) -> None:
    nine.adopt(nine.installation.renewed(NARROWED, ADRESSO))
    nine.step()
    nine.step()
    assert nine.partition.meta.scanned_to == "dell-crm:3"
    nine.adopt(nine.installation.renewed({**HOSHI, "fields": {"email": "keep"}}, ADRESSO))
    assert nine.partition.meta.scanned_to is None
    assert nine.partition.meta.catching_up
    nine.step()
    assert _names(nine)[:5] == ["email", "email", "given_name", "given_name", "emailfamily_namegiven_name"]
    settled(nine)
    assert _names(nine) == ["email"] * 9


def test_a_change_and_back_before_anybodys_turn_says_nothing(nine: Lane) -> None:
    before = nine.disclosures.high
    nine.adopt(nine.installation.renewed(NARROWED, ADRESSO))
    nine.adopt(nine.installation.renewed())
    settled(nine)
    assert nine.disclosures.high == before


def test_a_change_and_back_half_way_leaves_nobody_behind(nine: Lane) -> None:
    original = _names(nine)
    nine.adopt(nine.installation.renewed(NARROWED, ADRESSO))
    nine.step()
    nine.adopt(nine.installation.renewed())
    settled(nine)
    assert _names(nine) == original


@pytest.mark.parametrize("steps", range(6))
def test_a_restart_goes_on_where_the_scan_was(nine: Lane, steps: int) -> None:
    nine.adopt(nine.installation.renewed(NARROWED, ADRESSO))
    for _ in range(steps):
        nine.step()
    recover(nine)
    assert nine.partition.meta.scanned_to == (None if steps in (0, 5) else f"dell-crm:{2 * steps - 1}")
    seen = 0
    while nine.partition.meta.catching_up:
        seen += nine.step().scanned
    assert seen == (0 if steps == 5 else 9 - 2 * steps)
    assert _names(nine) == ["given_name"] * 9


def test_a_restart_before_the_first_batch_of_a_change_begins_with_the_first_customer(nine: Lane) -> None:
    nine.adopt(nine.installation.renewed(NARROWED, ADRESSO))
    nine.step()
    nine.adopt(nine.installation.renewed({**HOSHI, "fields": {"email": "keep"}}, ADRESSO))
    recover(nine)
    assert nine.partition.meta.scanned_to is None
    settled(nine)
    assert _names(nine) == ["email"] * 9


def test_customers_who_come_during_the_scan_are_under_the_new_contracts(nine: Lane) -> None:
    nine.adopt(nine.installation.renewed(NARROWED, ADRESSO))
    nine.step()
    nine.share("a-before-everybody")
    nine.share("z-behind-everybody")
    settled(nine)
    assert nine.record("a-before-everybody") == nine.record("z-behind-everybody") == {"given_name": "Hanako"}


def test_withdrawals_during_the_scan_are_heard_at_once(nine: Lane) -> None:
    nine.adopt(nine.installation.renewed(NARROWED, ADRESSO))
    nine.consent("dell-crm:8", "hoshi-card", "WITHDRAWN")
    nine.step()
    assert nine.held("dell-crm:8") is None


def test_a_change_of_contracts_does_not_wait_for_updates_that_are_unread(nine: Lane) -> None:
    """There was no gap: what the store says of everybody is so."""
    for _ in range(5):
        nine.update("dell-crm:0", nine.installation.profile())
    nine.adopt(nine.installation.renewed(NARROWED, ADRESSO))
    nine.step(updates=1)
    assert nine.partition.meta.scanned_to == "dell-crm:1"


@pytest.mark.parametrize("on_disk", [True, False])
def test_how_many_are_left_is_told(
    tmp_path: Path,
    on_disk: bool,  # noqa: FBT001 - a table's column
) -> None:
    """A store on a disk counts a row that was written again twice; that must not hide that there are fewer."""
    lane = Lane(Installation(), tmp_path if on_disk else None, allowance=2)
    for number in range(9):
        lane.share(f"dell-crm:{number}")
    assert lane.partition.to_reconcile == 0
    lane.close()
    lane.partition.store = lane.stores.open(0)
    lane.adopt(lane.installation.renewed(NARROWED, ADRESSO))
    left = []
    while lane.partition.meta.catching_up:
        left.append(lane.partition.to_reconcile)
        lane.step()
    assert [before - after for before, after in pairwise(left)] == [2] * 4
    assert lane.partition.to_reconcile == 0
    lane.close()


def test_answers_are_not_believed_under_other_contracts(three: Lane) -> None:
    """The purpose is another: the same answers say no."""
    other = {**HOSHI, "purpose": ADRESSO["purpose"], "fields": {"given_name": "keep"}}
    three.adopt(three.installation.renewed(other, ADRESSO))
    batch = three.step()
    assert Unchanged() not in hoshi(batch)
    assert three.held(A) is None
