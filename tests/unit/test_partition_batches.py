"""However inputs are cut into batches: one batch with everything is the truth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.decision import Customer, Permitted, decide
from sluice.facts import Facts
from sluice.law.pack import Law
from sluice.model import Millis
from tests.unit.installation import Installation
from tests.unit.lane import DAMAGED, Lane

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
    law: Law,
    inputs: list[tuple[str, str, Any]],
    cuts: list[tuple[int, int]],
) -> None:
    installation = Installation()
    whole, pieces = Lane(installation), Lane(installation)
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
