"""Answers that stand: what comes of an update is the same as if everything had been asked anew."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice import topics
from sluice.model import CustomerId, PartnerId
from sluice.store import Store
from stream_processors.sharing.batch import Batch
from stream_processors.sharing.output import COVERS
from tests.simulation.memory_store import MemoryStores
from tests.unit.installation import ADRESSO, DAY_MS, HOSHI, PROFILE, Installation
from tests.unit.lane import DAMAGED, A, B, C, Lane, came

CUSTOMERS = (A, B, C)
PLAIN = {key: value for key, value in HOSHI.items() if key != "where"}
RETAINED = {**ADRESSO, "limits": {"retain": "P30D"}}
OLDER = {**HOSHI, "where": {"birth_date": {"age": {"below": 65}}}}


class Forgetful(Store):
    """Nothing stands: everybody takes the full way."""

    def stored(self, customers: Collection[CustomerId]) -> dict[CustomerId, bytes | None]:
        return {customer: self._without_standing(row) for customer, row in super().stored(customers).items()}

    def _without_standing(self, row: bytes | None) -> bytes | None:
        return None if row is None else self._encoded(self.row(row), b"")


@pytest.fixture
def lane() -> Lane:
    return Lane(Installation())


def shares(batch: Batch) -> list[bytes | None]:
    return [output.key for output in batch.outputs if output.topic == topics.customers(PartnerId("hoshi-card"))]


def test_an_update_that_changes_values_alone_is_carried_out_because_the_answer_stands(lane: Lane) -> None:
    lane.share()
    lane.update(A, lane.installation.profile(given_name="Hana"))
    batch = lane.step()
    assert list(batch.repeated) == [A]
    assert batch.rows == {}
    assert came(batch) == {("hoshi-card", "shared", ""): 1, ("adresso", "withheld", "no_matching_grant"): 1}
    assert (lane.record(A) or {})["given_name"] == "Hana"


def test_an_update_that_changes_nothing_writes_nothing(lane: Lane) -> None:
    lane.share()
    lane.update(A, lane.installation.profile())
    batch = lane.step()
    assert list(batch.repeated) == [A]
    assert batch.outputs == []
    assert came(batch)[PartnerId("hoshi-card"), "unchanged", ""] == 1
    assert lane.row(A).profile == lane.updates.records[-1].value


def test_of_several_updates_the_newest_is_shared_and_all_are_answered(lane: Lane) -> None:
    lane.share()
    for name in ("Hana", "Mio", "Rin"):
        lane.update(A, lane.installation.profile(given_name=name))
    batch = lane.step()
    assert list(batch.repeated) == [A]
    assert len(shares(batch)) == 1
    assert (lane.record(A) or {})["given_name"] == "Rin"
    disclosure = lane.installation.decode(lane.disclosures.records[-1].value)
    assert [one["offset"] for one in disclosure["covers"]] == [1, 2, 3]
    assert set(batch.updates) == {1, 2, 3}


@pytest.mark.parametrize(
    "happens",
    ["a withdrawal", "a grant", "other facts", "a deletion", "damage", "damage before it", "the row filter says no"],
)
def test_whatever_changes_more_than_values_takes_the_full_way(lane: Lane, happens: str) -> None:
    lane.share()
    other, written = lane.installation.profile(given_name="Hana"), lane.installation.profile
    match happens:
        case "a withdrawal":
            lane.consent(A, "hoshi-card", "WITHDRAWN")
        case "a grant":
            lane.consent(A, "adresso")
        case "other facts":
            other = written(residence="NZ")
        case "a deletion":
            lane.update(A, None)
        case "damage":
            other = DAMAGED
        case "damage before it":
            lane.update(A, DAMAGED)
        case "the row filter says no":
            other = written(address={"country": "US"})
    lane.update(A, other)
    batch = lane.step()
    assert batch.repeated == {}
    assert A in batch.rows or happens == "damage before it"


def test_when_its_time_has_come_an_answer_stands_no_more(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card", valid_until=lane.now + DAY_MS)
    lane.step()
    lane.now += DAY_MS
    lane.update(A, lane.installation.profile(given_name="Hana"))
    batch = lane.step()
    assert batch.repeated == {}
    assert lane.held(A) is None


def test_under_other_contracts_an_answer_stands_no_more(lane: Lane) -> None:
    lane.share()
    lane.adopt(lane.installation.renewed({**HOSHI, "fields": {"email": "keep"}}, ADRESSO))
    lane.update(A, lane.installation.profile(given_name="Hana"))
    assert lane.step(updates=1).repeated == {}
    assert set(lane.record(A) or {}) == {"email"}


@pytest.mark.parametrize("written", [RETAINED, OLDER])
def test_where_the_profile_says_until_when_nothing_stands(written: dict[str, Any]) -> None:
    partner = written["partner"]
    lane = Lane(Installation(written))
    profile = {"birth_date": 10_957, "updated_at": lane.now}
    lane.update(A, lane.installation.profile(**profile))
    lane.consent(A, partner)
    lane.step()
    assert lane.held(A, partner)
    lane.update(A, lane.installation.profile(given_name="Hana", **profile))
    assert lane.step().repeated == {}


@pytest.mark.parametrize("residence", ["Z" * 70_000, "Z" * 66_000])
def test_what_is_too_long_to_stand_does_not(lane: Lane, residence: str) -> None:
    for name in ("Hanako", "Hana"):
        lane.update(A, lane.installation.profile(given_name=name, residence=residence))
        lane.consent(A, "adresso")
        lane.step()
    lane.update(A, lane.installation.profile(given_name="Mio", residence=residence))
    assert lane.step().repeated == {}


def test_evidence_that_is_too_long_to_stand_does_not(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card", record_id="r" * 70_000)
    lane.step()
    assert lane.held(A)
    lane.update(A, lane.installation.profile(given_name="Hana"))
    assert lane.step().repeated == {}
    assert (lane.record(A) or {})["given_name"] == "Hana"


def test_more_updates_than_a_disclosure_lists_get_the_decision_that_the_full_way_gives() -> None:
    installation = Installation()
    standing, forgetful = Lane(installation), _forgetful(installation)
    written = []
    for lane in (standing, forgetful):
        lane.share()
        for number in range(COVERS + 1):
            lane.update(A, installation.profile(given_name=f"Hana {number}"))
        written.append(lane.step().outputs)
    assert written[0] == written[1]


def test_after_a_restart_the_first_update_takes_the_full_way_and_the_next_does_not(lane: Lane) -> None:
    lane.share()
    lane.open(lane.partition.store)
    for name, repeated in (("Hana", []), ("Mio", [A])):
        lane.update(A, lane.installation.profile(given_name=name))
        assert list(lane.step().repeated) == repeated


def test_who_waits_for_updates_is_only_remembered_until_they_are_read(lane: Lane) -> None:
    for name in ("Hana", "Mio", "Rin"):
        lane.update(A, lane.installation.profile(given_name=name))
    lane.consent(A, "hoshi-card")
    assert lane.step(updates=1).repeated == {}
    batch = lane.step(updates=1)
    assert list(batch.repeated) == [A]
    assert came(batch)[PartnerId("hoshi-card"), "withheld", "waiting_for_updates"] == 1
    assert lane.step(updates=1).repeated == {}, "it waited for this one"
    assert (lane.record(A) or {})["given_name"] == "Rin"


def test_while_a_consent_event_names_nobody_nothing_stands(lane: Lane) -> None:
    lane.share()
    lane.consents.append(b"\xff", b"")
    lane.update(A, lane.installation.profile(given_name="Hana"))
    assert lane.step().repeated == {}


def test_while_the_registry_does_not_know_the_schema_nothing_stands(lane: Lane) -> None:
    lane.share()
    lane.open(lane.partition.store)
    lane.installation.unreachable.add(PROFILE)
    lane.update(A, lane.installation.profile(given_name="Hana"))
    assert lane.step().repeated == {}


UPDATES = st.tuples(
    st.just("update"),
    st.sampled_from(CUSTOMERS),
    st.sampled_from(["Hana", "Mio", "Rin", "abroad", "elsewhere", "a minor", "no postcode", "deleted", "damaged"]),
)
ANSWERS = st.tuples(
    st.just("answer"),
    st.sampled_from(CUSTOMERS),
    st.tuples(
        st.sampled_from(["hoshi-card", "adresso"]),
        st.sampled_from(["GIVEN", "GIVEN", "GIVEN", "WITHDRAWN", "OBJECTED"]),
        st.sampled_from([None, None, 3]),
    ),
)
OTHER = st.tuples(st.sampled_from(["step", "step", "days", "contracts", "restart"]), st.just(""), st.integers(0, 4))
CONTRACTS = (
    (PLAIN, ADRESSO),
    (HOSHI, ADRESSO),
    ({**PLAIN, "paused": True}, ADRESSO),
    (OLDER, RETAINED),
    ({**PLAIN, "fields": {"customer_id": "pseudonym", "email": "keep"}}, ADRESSO),
)


def _happens(lane: Lane, kind: str, customer: str, what: Any) -> Batch | None:  # noqa: ANN401 - of any kind
    written = lane.installation.profile
    match kind:
        case "update":
            profiles: dict[str, bytes | None] = {
                "abroad": written(address={"postal_code": "94025", "country": "US"}),
                "elsewhere": written(residence="NZ"),
                "a minor": written(birth_date=17_656),
                "no postcode": written(address={"country": "JP"}),
                "deleted": None,
                "damaged": DAMAGED,
            }
            lane.update(customer, profiles[what] if what in profiles else written(given_name=what))
        case "answer":
            partner, state, days = what
            until = None if days is None else lane.now + days * DAY_MS
            lane.consent(customer, partner, state, valid_until=until)
        case "step":
            updates = min(what or 9, lane.updates.high - lane.positions.driving)
            return lane.step(updates=updates)
        case "days":
            lane.now += what * DAY_MS
            lane.monotonic += 1
        case "contracts":
            lane.adopt(lane.installation.renewed(*CONTRACTS[what]))
        case "restart":
            lane.open(lane.partition.store)
    return None


def _forgetful(installation: Installation) -> Lane:
    lane = Lane(installation)
    stores = lane.stores
    assert isinstance(stores, MemoryStores)
    lane.open(Forgetful(stores.database(0)))
    return lane


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(UPDATES | ANSWERS | OTHER, max_size=40))
def test_what_stands_comes_to_what_the_full_way_would(inputs: list[tuple[str, str, Any]]) -> None:
    installation = Installation(*CONTRACTS[0])
    standing, forgetful = Lane(installation), _forgetful(installation)
    for kind, customer, what in [*inputs, ("step", "", 0), ("step", "", 0)]:
        batch, truth = (_happens(lane, kind, customer, what) for lane in (standing, forgetful))
        if batch is None or truth is None:
            continue
        assert truth.repeated == {}
        assert sorted(map(repr, batch.outputs)) == sorted(map(repr, truth.outputs))
        assert came(batch) == came(truth)
        assert batch.updates == truth.updates
        assert batch.settled == truth.settled
        assert standing.partition.meta == forgetful.partition.meta
        assert dict(standing.partition.store) == dict(forgetful.partition.store)
        assert standing.due() == forgetful.due()
        assert standing.waiting() == forgetful.waiting()
