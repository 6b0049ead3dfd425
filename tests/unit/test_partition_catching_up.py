"""After a gap or a rebuild (LOOP 22): nothing is added before the mark, and everybody is settled at it."""

from __future__ import annotations

import msgspec

from sluice.model import CustomerId, Recalled, Unchanged, Withheld
from tests.unit.lane import A, B, Lane, hoshi


def test_while_catching_up_a_customer_without_a_new_update_is_only_recalled(lane: Lane) -> None:
    lane.share()
    lane.share(B)
    lane.open(lane.partition.store, mark=lane.updates.high + 2, meta={"catching_up": True})
    lane.consent(A, "hoshi-card", "WITHDRAWN")
    lane.consent(B, "adresso")
    lane.update("dell-crm:9", None)
    batch = lane.step()
    assert [type(outcome) for outcome in hoshi(batch)] == [Recalled, Unchanged, Withheld]
    assert set(lane.row(B).held) == {"hoshi-card"}
    assert lane.partition.meta.catching_up
    lane.update("dell-crm:9", None)
    lane.step()
    assert not lane.partition.meta.catching_up
    assert set(lane.row(B).held) == {"hoshi-card", "adresso"}


def test_while_catching_up_a_customer_with_a_new_update_is_known(lane: Lane) -> None:
    """Known from whatever batch since the assignment: less consent makes a smaller record, and no recall."""
    lane.share()
    lane.share(B)
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
        lane.share(customer)
    lane.open(lane.partition.store, mark=8, meta={"catching_up": True})
    lane.allowance = 2
    rows = {customer: lane.row(customer) for customer in customers}
    gone = {c: (row, msgspec.structs.replace(row, profile=None)) for c, row in rows.items() if c != customers[3]}
    lane.partition.store.write(gone, lane.partition.meta)  # compaction removed their updates and tombstones
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
    lane.step(updates=1)
    assert lane.held(A) is None
    lane.step()
    assert not lane.disclosures.records
