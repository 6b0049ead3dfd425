"""`settled` in a checkpoint says: the view is what the inputs say, and nobody waits for their turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice import topics
from tests.unit.installation import ADRESSO, CONSENT, HOSHI, NOW, PROFILE, Installation
from tests.unit.lane import DAMAGED, A, B, Lane, came
from tests.unit.recovering import recover


def says(lane: Lane) -> bool:
    """After one more batch."""
    lane.step()
    return lane.settled


def test_an_empty_partition_is_settled(lane: Lane) -> None:
    assert says(lane)


def test_everything_done_in_the_batch_is_settled_with_it(lane: Lane) -> None:
    lane.share()
    assert lane.settled
    lane.update(B, None)
    lane.consent(A, "hoshi-card", "WITHDRAWN")
    assert says(lane)


# --- what unsettles it, and how it is settled again


def test_while_customers_are_still_to_be_gone_through(lane: Lane) -> None:
    for number in range(4):
        lane.share(f"crm:{number}")
    lane.allowance = 2
    lane.adopt(lane.installation.renewed({**HOSHI, "fields": {"given_name": "keep"}}, ADRESSO))
    assert [says(lane) for _ in range(3)] == [False, False, True]


def test_after_a_rebuild_until_everybody_was_seen(lane: Lane) -> None:
    lane.share()
    lane.close()
    lane.stores.discard(0)
    recover(lane)
    lane.partition._mark = 5
    assert not says(lane), "updates before the mark are unread"
    for _ in range(4):
        lane.update(B, None)
    assert says(lane)


def test_while_somebody_in_the_batch_has_to_wait_for_updates(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.update(B, lane.installation.profile())
    lane.consent(A, "hoshi-card")
    lane.step(updates=1)
    assert not lane.settled
    assert says(lane)


def test_while_somebody_outside_of_the_batch_has_to_wait_for_updates(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    for _ in range(3):
        lane.update(B, lane.installation.profile())
    lane.consent(A, "hoshi-card")
    lane.step(updates=1)
    lane.step(updates=1)
    assert not lane.settled
    lane.step(updates=1)
    assert not lane.settled
    lane.step(updates=1)
    assert lane.settled


def test_while_somebody_is_due_and_their_turn_has_not_come(lane: Lane) -> None:
    for number in range(4):
        lane.update(f"crm:{number}", lane.installation.profile())
        lane.consent(f"crm:{number}", "hoshi-card", valid_until=NOW + 5)
    lane.step()
    assert lane.settled, "what is to come later is no matter"
    lane.now = NOW + 5
    lane.allowance = 3
    assert [says(lane) for _ in range(2)] == [False, True]


def _blocked(lane: Lane) -> None:
    lane.consents.append(None, b"names nobody")


def _unseen_schema_of_a_profile(lane: Lane) -> None:
    lane.installation.unreachable.add(PROFILE)
    lane.update(B, lane.installation.profile())


def _unseen_schema_of_a_consent(lane: Lane) -> None:
    lane.installation.unreachable.add(CONSENT)
    lane.consent(B, "hoshi-card")


@pytest.mark.parametrize("trouble", [_blocked, _unseen_schema_of_a_profile, _unseen_schema_of_a_consent])
def test_while_something_may_not_be_added(lane: Lane, trouble: Callable[[Lane], None]) -> None:
    lane.share()
    trouble(lane)
    assert [says(lane) for _ in range(3)] == [False, False, False]


def test_settled_again_when_the_registry_is_back(lane: Lane) -> None:
    lane.share()
    _unseen_schema_of_a_profile(lane)
    assert not says(lane)
    lane.installation.unreachable.clear()
    assert not says(lane), "asked again after a second"
    lane.monotonic += 1_000
    assert says(lane)


def test_while_an_open_transaction_may_hide_answers(lane: Lane) -> None:
    lane.share()
    lane.step(joined_high=9)
    lane.monotonic += 1_001
    lane.step(joined_high=9)
    assert not lane.settled


def test_settled_again_when_the_blocker_is_acknowledged(lane: Lane) -> None:
    lane.share()
    _blocked(lane)
    assert not says(lane)
    recover(lane, acknowledged=[f"{topics.CONSENT_EVENTS}/0@1"])
    assert says(lane)


def test_a_backlog_of_consents_that_only_narrows_leaves_somebody_waiting(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card")
    lane.step(complete=False)
    assert not lane.settled
    assert says(lane)


def test_rejects_do_not_unsettle_it(lane: Lane) -> None:
    """They are outcomes like others: nobody waits for a turn."""
    lane.update(A, DAMAGED)
    lane.consents.append(B.encode(), DAMAGED)
    assert says(lane)


# --- and it is true

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("update"), st.integers(0, 2)),
        st.tuples(st.just("delete"), st.integers(0, 2)),
        st.tuples(st.just("yes"), st.integers(0, 2)),
        st.tuples(st.just("no"), st.integers(0, 2)),
        st.tuples(st.just("later"), st.integers(1, 9)),
        st.tuples(st.just("batch"), st.integers(0, 2)),
        st.tuples(st.just("contracts"), st.integers(0, 2)),
    ),
    max_size=25,
)
NARROWED = {**HOSHI, "fields": {"given_name": "keep"}}
SETS: list[list[Mapping[str, Any]]] = [[HOSHI, ADRESSO], [NARROWED, ADRESSO], [{**HOSHI, "pseudonym_epoch": 2}]]


def _happen(lane: Lane, what: str, which: int) -> None:
    customer = f"crm:{which}"
    match what:
        case "update":
            lane.update(customer, lane.installation.profile(given_name=f"Name {lane.updates.high}"))
        case "delete":
            lane.update(customer, None)
        case "yes":
            lane.consent(customer, "hoshi-card", valid_until=lane.now + 6)
        case "no":
            lane.consent(customer, "hoshi-card", "WITHDRAWN")
        case "later":
            lane.now += which
        case "contracts":
            former = ["adresso"] if which == 2 else []
            lane.adopt(lane.installation.renewed(*SETS[which], former=former))
        case _:
            lane.step(updates=min(which, lane.updates.high - lane.positions.driving))


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_whenever_it_is_said_going_through_everybody_again_changes_nothing(steps: list[tuple[str, int]]) -> None:
    lane = Lane(Installation(), allowance=2)
    for what, which in steps:
        _happen(lane, what, which)
        if lane.settled and what == "batch":
            _assert_nothing_is_left(lane)
    for _ in range(12):
        lane.step()
    assert lane.settled, "and it comes to rest"
    _assert_nothing_is_left(lane)


def _assert_nothing_is_left(lane: Lane) -> None:
    """By asking for every customer, as an operator may."""
    everybody = [customer for customer, _ in lane.partition.store]
    batch = lane.partition.step((), (), lane.situation(requested=everybody))
    assert batch.outputs == []


def test_a_request_reconciles_whom_it_names_and_nobody_else(lane: Lane) -> None:
    lane.share(A)
    lane.share(B)
    batch = lane.partition.step((), (), lane.situation(requested=[lane.partition.store.customers(None, 1)[0]]))
    assert Counter(partner for partner, *_ in came(batch).elements()) == {"hoshi-card": 1, "adresso": 1}
    assert batch.outputs == []
