"""Nothing is added before it is safe (LOOP 12, 14); narrowing is never delayed."""

from __future__ import annotations

from sluice.model import Reason, Withheld
from stream_processors.sharing.partition import OpenTransactionWatch
from tests.unit.installation import PROFILE, Installation
from tests.unit.lane import A, B, Lane, hoshi


def test_a_grant_waits_until_the_updates_have_been_read_to_where_they_ended(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.step()
    for _ in range(3):
        lane.update(B, lane.installation.profile())
    lane.consent(A, "hoshi-card")
    assert hoshi(lane.step(updates=1)) == [Withheld(Reason.WAITING_FOR_UPDATES), Withheld(Reason.NO_CONSENT_RECORD)]
    assert lane.row(A).widen_at == 4
    lane.update(B, lane.installation.profile())
    lane.step(updates=1)
    assert lane.held(A) is None
    lane.step(updates=1)
    assert lane.held(A), "4 is reached; what came later is not waited for"
    assert lane.row(A).widen_at is None
    assert lane.waiting() == []


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


def test_waiting_customers_are_settled_in_pieces() -> None:
    lane = Lane(Installation(), allowance=2)
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


def test_customers_without_a_row_never_crowd_out_those_who_wait() -> None:
    """A deletion of somebody unknown leaves no row; it must leave no place in the queue either."""
    lane = Lane(Installation(), allowance=2)
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
    assert lane.waiting() == []


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
        watch.observe(stable, high, at)
        assert watch.hides is hides, (stable, high, at)


def test_an_open_transaction_stops_widening_and_not_recalls(lane: Lane) -> None:
    lane.share()
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


def test_a_backlog_of_consents_is_worked_off_narrowing_only(lane: Lane) -> None:
    """Part of the answers is judged: a no among them counts, a yes waits for the rest."""
    lane.share()
    lane.update(B, lane.installation.profile())
    lane.consent(A, "hoshi-card", "WITHDRAWN")
    lane.consent(B, "hoshi-card")
    lane.step(complete=False)
    assert lane.held(A) is None
    assert lane.held(B) is None
    lane.step()
    assert lane.held(B)


def test_who_cannot_be_settled_keeps_nobody_from_their_turn() -> None:
    lane = Lane(Installation(), allowance=2)
    stuck = [f"crm:a{n}" for n in range(5)]
    lane.installation.unreachable.add(PROFILE)
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
