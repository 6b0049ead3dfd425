"""Customers' own keys on the sharing path: who gets one, when, and what becomes of records when it is destroyed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.consent import ConsentRecord, parse_event
from sluice.customer_keys import SqliteCustomerKeys
from sluice.errors import SluiceError
from sluice.keys import CustomerKey, NoKey
from sluice.model import CustomerId, Millis, Shared
from sluice.projection import Snapshot, Unread
from sluice.store import Row
from stream_processors.sharing.pipeline import DELETED, Case, Profile, needs_customer_key, reconcile, ruling_on
from stream_processors.sharing.setup import customer_keys
from tests.unit.installation import ADRESSO, HOSHI, Installation
from tests.unit.lane import Lane
from tests.unit.transforming import MASTER, KeysInMemory

A = CustomerId("dell-crm:1")
NOW = Millis(1_780_000_000_000)
SEALED = {**HOSHI, "fields": {"given_name": "keep", "email": "aes_siv"}}
RECORD = {"given_name": "Hanako", "email": "h@example.com", "residence": "AU", "address": {"country": "AU"}}


@dataclass
class WatchedKeys(KeysInMemory):
    """Remembers who was asked for."""

    asked: list[CustomerId] = field(default_factory=list)

    def key_of(self, customer: CustomerId) -> CustomerKey:
        self.asked.append(customer)
        return super().key_of(customer)


@pytest.fixture
def keys() -> WatchedKeys:
    return WatchedKeys()


@pytest.fixture
def lane(keys: WatchedKeys) -> Iterator[Lane]:
    one = Lane(Installation(SEALED, ADRESSO), customer_keys=keys)
    yield one
    one.close()


def shared(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card")
    lane.step()
    assert lane.held(A)


def test_the_key_is_fetched_once_for_all_partners(keys: WatchedKeys) -> None:
    address = {**ADRESSO, "fields": {"address.street": "aes_gcm", "address.postal_code": "aes_siv"}}
    lane = Lane(Installation(SEALED, address), customer_keys=keys)
    lane.consent(A, "adresso")
    shared(lane)
    assert keys.asked == [A]
    for partner, path in (("hoshi-card", "email"), ("adresso", "address_street"), ("adresso", "address_postal_code")):
        record = lane.record(A, partner)
        assert record is not None
        assert record[path] is not None
    lane.close()


def test_nobody_gets_a_key_of_whom_nothing_is_sealed(lane: Lane, keys: WatchedKeys) -> None:
    profile = lane.installation.profile
    lane.update("refused", profile())
    lane.consent("refused", "hoshi-card", "REFUSED")
    lane.update("elsewhere", profile(address={"country": "NZ"}))
    lane.consent("elsewhere", "hoshi-card")
    lane.update("name-only", profile())
    lane.consent("name-only", "hoshi-card", data_scope=["user.name"])
    lane.update("another-partner", profile())
    lane.consent("another-partner", "adresso")
    lane.consent("nobody", "hoshi-card")
    lane.step()
    assert lane.held("name-only") is not None
    assert lane.held("another-partner", "adresso") is not None
    assert keys.asked == []
    shared(lane)
    assert keys.asked == [A]


def test_a_waiting_grant_gets_no_key_before_it_is_shared(lane: Lane, keys: WatchedKeys) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card")
    lane.step(complete=False)
    assert keys.asked == []
    lane.step()
    assert lane.held(A) is not None
    assert keys.asked == [A]


def test_with_the_key_destroyed_the_field_is_empty_from_the_next_event_on(lane: Lane, keys: WatchedKeys) -> None:
    shared(lane)
    before = lane.record(A)
    assert before is not None
    assert before["email"] is not None
    keys.destroy(A)
    lane.update(A, lane.installation.profile(given_name="Hana"))
    lane.step()
    assert lane.record(A) == {"given_name": "Hana", "email": None}


def test_keys_that_cannot_be_read_stop_the_batch_with_a_sentence(lane: Lane, tmp_path: Path) -> None:
    broken = SqliteCustomerKeys(tmp_path / "keys", MASTER)
    broken._database.execute("DROP TABLE customer_keys")
    lane.open(lane.partition.store, customer_keys=broken)
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card")
    with pytest.raises(SluiceError, match=r"^The customers' keys at .* cannot be used"):
        lane.step()
    broken.close()


@pytest.fixture(scope="module")
def installation() -> Installation:
    return Installation(SEALED)


@dataclass(frozen=True)
class Situation:
    """What is drawn."""

    said: list[tuple[str, list[str]]]
    changes: dict[str, Any]
    profile: str
    may_widen: bool
    is_held: bool


ANSWERS = st.tuples(
    st.sampled_from(["GIVEN", "GIVEN", "WITHDRAWN", "UNKNOWN"]),
    st.sampled_from([["*"], ["user.name"], ["user.contact"]]),
)
CHANGES: list[dict[str, Any]] = [
    {},
    {"address": {"country": "NZ"}},
    {"email": None},
    {"email": {"no": "text"}},
    {"residence": "JP"},
    {"restricted": True},
]
SITUATIONS = st.builds(
    Situation,
    said=st.lists(ANSWERS, max_size=3),
    changes=st.sampled_from(CHANGES),
    profile=st.sampled_from(["read", "read", "unread", "deleted"]),
    may_widen=st.booleans(),
    is_held=st.booleans(),
)


@given(SITUATIONS)
def test_a_key_is_looked_for_exactly_where_it_makes_a_difference(installation: Installation, drawn: Situation) -> None:
    (hoshi,), record = installation.partnerships, RECORD | drawn.changes
    row = _row(installation, drawn)
    if drawn.is_held:
        first = reconcile(_case(installation, row, Snapshot(record)), hoshi)
        row = msgspec.structs.replace(row, held={hoshi.partner: first.held} if isinstance(first, Shared) else {})
    profiles: dict[str, Profile] = {"read": Snapshot(record), "unread": Unread(), "deleted": DELETED}
    case = replace(_case(installation, row, profiles[drawn.profile]), may_widen=drawn.may_widen)
    one, *others = [reconcile(replace(case, customer_key=key), hoshi) for key in (bytes(range(32)), bytes(32), *NoKey)]
    makes_a_difference = any(one != other for other in others)
    seals_nothing = not isinstance(record["email"], str)
    assert (needs_customer_key(case, [hoshi]) is makes_a_difference) or seals_nothing


def _row(installation: Installation, drawn: Situation) -> Row:
    consents = ConsentRecord()
    for at, (state, data) in enumerate(drawn.said):
        event = installation.decode(installation.answer(A, "hoshi-card", at, state, data_scope=data))
        consents = consents.with_event(parse_event(event, A, NOW))
    return Row(consents=consents)


def _case(installation: Installation, row: Row, profile: Profile) -> Case:
    policy = installation.policy()
    return Case(A, row, profile, ruling_on(row.consents, profile, policy, NOW), True, NOW, policy, bytes(32))


# --- where the keys are


def test_a_contract_that_needs_customers_keys_is_refused_where_there_are_none(installation: Installation) -> None:
    sentence = (
        "^The contract of hoshi-card encrypts `email` with customers' own keys, and there is no place for them: set"
    )
    with pytest.raises(SluiceError, match=sentence):
        customer_keys(None, MASTER, installation.partnerships)


def test_without_such_a_contract_there_need_be_none() -> None:
    assert customer_keys(None, MASTER, Installation(HOSHI, ADRESSO).partnerships) is None


def test_the_settings_file_of_keys_is_used(installation: Installation, tmp_path: Path) -> None:
    found = customer_keys(tmp_path / "keys", MASTER, installation.partnerships)
    assert isinstance(found, SqliteCustomerKeys)
    assert isinstance(found.key_of(A), bytes)
    found.close()
