"""What time alone changes is carried out when it comes, without any input (and not before)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.contract import CheckedContract, Contract
from sluice.model import Reason, Recalled, Shared, Unchanged
from tests.unit import installation as module
from tests.unit.installation import ADRESSO, DAY_MS, HOSHI, NOW, Installation
from tests.unit.lane import A, B, Lane, hoshi, written
from tests.unit.recovering import recover

EPOCH = date(1970, 1, 1)


def day(now: int) -> date:
    return datetime.fromtimestamp(now / 1000, UTC).date()


def midnight(of: date) -> int:
    return (of - EPOCH).days * DAY_MS


@pytest.fixture
def filtered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contracts are checked with what their row filters look at, too."""

    def checked(written: Mapping[str, Any]) -> CheckedContract:
        contract = Contract.model_validate(written)
        schema = module.source_leaves()
        shared, looked_at = ({path: schema[path] for path in one} for one in (contract.shared_fields, contract.where))
        return CheckedContract(contract, shared, filtered=looked_at)

    monkeypatch.setattr(module, "checked", checked)


def until(lane: Lane, instant: int) -> None:
    """Nothing happens before; at it, everything is done without any input, and nothing is due any more."""
    lane.now = instant - 1
    assert lane.step().outputs == []
    lane.now = instant
    batch = lane.step()
    assert batch.background == 1
    assert batch.outputs
    assert lane.step().outputs == [], "once"


# --- each kind of instant


def test_the_end_of_a_grant(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card", valid_until=NOW + 5_000)
    lane.step()
    held = lane.held(A)
    assert held is not None
    assert lane.row(A).due_at == held.expires_at == NOW + 5_000
    until(lane, NOW + 5_000)
    assert lane.held(A) is None
    assert lane.messages[-1][1]["type"] == "WITHDRAW"
    assert lane.due() == []


def test_the_beginning_of_a_grant(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card", valid_from=NOW + 5_000)
    lane.step()
    assert lane.held(A) is None
    until(lane, NOW + 5_000)
    assert lane.held(A)


def test_the_beginning_and_the_end_of_a_contract() -> None:
    start, end = day(NOW) + timedelta(days=2), day(NOW) + timedelta(days=5)
    lane = Lane(Installation({**HOSHI, "valid": {"from": start, "until": end}}, ADRESSO))
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card")
    lane.step()
    assert lane.held(A) is None
    until(lane, midnight(start))
    assert lane.held(A)
    until(lane, midnight(end))
    assert lane.held(A) is None
    assert [message["type"] for _, message in lane.messages] == ["CONTRACT_ENDED"]


def test_the_end_of_a_retention() -> None:
    lane = Lane(Installation({**HOSHI, "limits": {"retain": "P30D"}}, ADRESSO))
    lane.share(updated_at=NOW - DAY_MS)
    assert lane.row(A).due_at == NOW + 29 * DAY_MS
    until(lane, NOW + 29 * DAY_MS)
    assert lane.held(A) is None
    lane.update(A, lane.installation.profile(updated_at=lane.now))
    lane.step()
    assert lane.held(A), "and the source's next change begins another"


@pytest.mark.usefixtures("filtered")
def test_the_ages_of_a_row_filter() -> None:
    where = {"birth_date": {"age": {"at_least": 18, "below": 19}}}
    lane = Lane(Installation({**HOSHI, "where": where}, ADRESSO))
    today = day(NOW)
    born = today.replace(year=today.year - 18) + timedelta(days=3)
    lane.update(A, lane.installation.profile(birth_date=(born - EPOCH).days))
    lane.consent(A, "hoshi-card")
    lane.step()
    assert lane.held(A) is None
    until(lane, midnight(born.replace(year=born.year + 18)))
    held = lane.held(A)
    assert held is not None
    assert held.expires_at == midnight(born.replace(year=born.year + 19)), "the partner's basis ends with the filter"
    until(lane, midnight(born.replace(year=born.year + 19)))
    assert lane.held(A) is None


def test_the_earliest_of_all_partners_instants_counts(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card", valid_until=NOW + 9_000)
    lane.consent(A, "adresso", valid_until=NOW + 5_000)
    lane.step()
    until(lane, NOW + 5_000)
    assert set(lane.row(A).held) == {"hoshi-card"}
    until(lane, NOW + 9_000)
    assert lane.row(A).held == {}


# --- when it is and when it is not


def test_an_instant_that_was_slept_through_is_carried_out_late_and_only_once(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card", valid_until=NOW + 5_000)
    lane.step()
    recover(lane)
    lane.now += 10 * DAY_MS
    assert [type(outcome) for outcome in hoshi(lane.step())] == [Recalled]
    assert lane.step().outputs == []


def test_a_renewal_moves_the_instant_and_leaves_no_other(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card", valid_until=NOW + 5_000)
    lane.step()
    lane.consent(A, "hoshi-card", valid_until=NOW + 9_000)
    lane.step()
    lane.now = NOW + 5_000
    assert lane.step().background in (0, 1), "the older grant's end may be looked at, and changes nothing"
    assert lane.held(A)
    until(lane, NOW + 9_000)
    assert lane.due() == []


def test_who_is_deleted_or_withdraws_is_due_no_more(lane: Lane) -> None:
    for customer in (A, B):
        lane.update(customer, lane.installation.profile())
        lane.consent(customer, "hoshi-card", valid_until=NOW + 5_000)
    lane.step()
    assert set(lane.due()) == {A, B}
    lane.update(A, None)
    lane.consent(B, "hoshi-card", "WITHDRAWN")
    lane.step()
    lane.now = NOW + 5_000
    assert lane.step().outputs == []
    assert lane.due() == []


def test_a_thousand_at_once_are_worked_off_in_pieces_and_each_is_reconciled_once(lane: Lane) -> None:
    customers = [f"crm:{number}" for number in range(1_000)]
    for customer in customers:
        lane.update(customer, lane.installation.profile())
        lane.consent(customer, "hoshi-card", valid_until=NOW + 5_000)
    lane.step()
    lane.now = NOW + 5_000
    lane.allowance = 300
    pieces = []
    while batch := lane.step():
        if not batch.background:
            break
        pieces.append(batch.background)
        assert len(hoshi(batch)) == batch.background
        assert lane.settled is (len(pieces) == 4), "only when nobody's turn is left"
    assert pieces == [300] * 3 + [100]
    assert len(lane.messages) == 1_000
    assert lane.everything_held() == {}
    assert lane.due() == []


def test_a_withdrawal_is_not_kept_waiting_by_those_who_are_due(lane: Lane) -> None:
    for number in range(50):
        lane.update(f"crm:{number}", lane.installation.profile())
        lane.consent(f"crm:{number}", "hoshi-card", valid_until=NOW + 5_000)
    lane.share("crm:z")
    lane.now = NOW + 5_000
    lane.allowance = 2
    lane.consent("crm:z", "hoshi-card", "WITHDRAWN")
    batch = lane.step()
    assert lane.held("crm:z") is None
    assert batch.background == 2


def test_who_is_due_and_named_by_an_input_is_reconciled_once(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card", valid_until=NOW + 5_000)
    lane.step()
    lane.now = NOW + 5_000
    lane.update(A, lane.installation.profile(given_name="Hana"))
    batch = lane.step()
    assert len(hoshi(batch)) == 1
    assert written(batch).count("sluice.disclosures") == 1


def test_what_is_due_narrows_also_while_nothing_may_be_added(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card", valid_until=NOW + 5_000)
    lane.update(B, lane.installation.profile())
    lane.consent(B, "hoshi-card", valid_from=NOW + 5_000)
    lane.step()
    lane.consents.append(None, b"names nobody")
    lane.now = NOW + 5_000
    lane.step()
    assert lane.partition.stopped_by() == ["unreadable_consent_key"]
    assert (lane.held(A), lane.held(B)) == (None, None)
    assert B in lane.waiting(), "the widening is not forgotten"


def test_before_the_mark_a_basis_that_ends_is_recalled_without_a_profile(lane: Lane) -> None:
    """LOOP 22: the disclosure's own rules need no profile, and its expiry stands in the store's index."""
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card", valid_until=NOW + 5_000)
    lane.step()
    lane.open(lane.partition.store, mark=99, meta={"catching_up": True})
    lane.now = NOW + 5_000
    batch = lane.step()
    assert [outcome.reason for outcome in hoshi(batch) if isinstance(outcome, Recalled)] == [Reason.GRANT_EXPIRED]


def test_who_is_looked_at_without_a_profile_stays_due(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card", valid_until=NOW + 5_000)
    lane.step()
    lane.open(lane.partition.store, mark=99, meta={"catching_up": True})
    lane.consent(A, "adresso")
    assert hoshi(lane.step()) == [Unchanged()]
    assert lane.row(A).due_at == NOW + 5_000
    lane.now = NOW + 5_000
    lane.step()
    assert lane.held(A) is None


def test_a_fold_of_disclosures_alone_knows_when_what_is_held_expires(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card", valid_until=NOW + 5_000)
    lane.step()
    lane.close()
    lane.stores.discard(0)
    recover(lane)
    assert lane.due() == [A]


# --- whatever is said, and whenever it is looked at

INSTANTS = st.none() | st.integers(1, 6)
SAID = st.lists(st.tuples(st.sampled_from(["hoshi-card", "adresso"]), INSTANTS, INSTANTS), min_size=1, max_size=4)


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(SAID, st.lists(st.integers(0, 3), max_size=6))
def test_looking_at_the_due_is_as_good_as_looking_at_everybody_all_the_time(
    said: list[tuple[str, int | None, int | None]], steps: list[int]
) -> None:
    """One lane only gets on with time; the other is reconciled by an update at each instant."""
    patient = Lane(Installation())
    asked = Lane(patient.installation)
    for lane in (patient, asked):
        lane.update(A, lane.installation.profile())
        for partner, start, end in said:
            bounds: dict[str, Any] = {"valid_from": start and NOW + start, "valid_until": end and NOW + end}
            lane.consent(A, partner, **bounds)
        lane.step()
    for later in steps:
        for lane in (patient, asked):
            lane.now += later
        asked.update(A, asked.installation.profile())
        patient.step()
        asked.step()
        assert patient.everything_held() == asked.everything_held()
        assert all(lane.row(A).due_at is None or lane.row(A).due_at > lane.now for lane in (patient, asked))  # type: ignore[operator]


def test_sharing_at_an_instant_is_an_ordinary_share(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card", valid_from=NOW + 1)
    lane.step()
    lane.now += 1
    batch = lane.step()
    assert [type(outcome) for outcome in hoshi(batch)] == [Shared]
    assert lane.installation.decode(batch.outputs[-1].value)["covers"] == [], "no input is answered"
