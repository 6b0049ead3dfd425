"""What a record of each log does to a customer's row, and whose record it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.consent import ConsentRecord, UnreadEvent, parse_event
from sluice.log import Record
from sluice.model import Cause, CustomerId, Held, Millis, PartnerId, Pointer, Pseudonym
from sluice.partitioning import partition_of
from sluice.store import Row
from stream_processors.sharing import folding
from tests.unit.installation import Installation


def record(key: bytes | None, value: bytes | None = b"x", partition: int = 0) -> Record:
    return Record("crm.customer-updates", partition, 7, key, value, 0)


@pytest.mark.parametrize("key", [None, b"", b"\xff", b"\xed\xa0\x80"])
def test_a_key_that_names_nobody(key: bytes | None) -> None:
    assert folding.named(record(key), 4) is None


@given(st.text(min_size=1), st.integers(1, 64), st.integers(1, 63))
def test_a_key_names_a_customer_where_the_customer_belongs(name: str, partitions: int, away: int) -> None:
    rightful = partition_of(name.encode(), partitions)
    assert folding.named(record(name.encode(), partition=rightful), partitions) == name
    if away % partitions:
        elsewhere = record(name.encode(), partition=(rightful + away) % partitions)
        assert folding.named(elsewhere, partitions) == folding.Misplaced(rightful)


def test_a_pointer_says_where_a_record_stands() -> None:
    assert folding.pointer(record(b"a")) == Pointer("crm.customer-updates", 0, 7)
    assert str(folding.pointer(record(b"a"))) == "crm.customer-updates/0@7"


def test_the_newest_update_replaces_and_a_null_deletes() -> None:
    row = Row(b"old", widen_at=5)
    assert folding.with_update(row, record(b"a", b"new")) == Row(b"new", widen_at=5)
    gone = folding.with_update(row, record(b"a", None))
    assert gone == Row(None, deleted=True, widen_at=5)
    assert folding.with_update(gone, record(b"a", b"back")) == Row(b"back", widen_at=5)
    assert folding.with_update(row, record(b"a", b"null")) == Row(b"null", widen_at=5), "that is no tombstone"


def test_consents_are_gathered() -> None:
    installation = Installation()
    customer, logged_at = CustomerId("a"), Millis(10**15)
    value = installation.answer("a", "hoshi-card", 1)
    said = parse_event(installation.decode(value), customer, logged_at)
    event = UnreadEvent("t/0@2", value, logged_at)
    row, cause = folding.with_consent(Row(), customer, event, installation.decode)
    assert cause is None
    assert row.consents.events == (said,)
    assert folding.with_consent(row, customer, event, installation.decode) == (row, None)
    row, cause = folding.with_consent(row, customer, UnreadEvent("t/0@3", b"\x00", logged_at), installation.decode)
    assert cause is Cause.NOT_FRAMED
    assert row.consents.unreadable == ("t/0@3",)


def test_an_event_that_can_be_read_now_is_no_longer_unreadable() -> None:
    """A registry was told of the schema later, or a fault of ours was mended; only its own place is put right."""
    installation, customer = Installation(), CustomerId("a")
    places = Row(consents=ConsentRecord().with_unreadable("t/0@2").with_unreadable("t/0@3"))
    event = UnreadEvent("t/0@2", installation.answer("a", "hoshi-card", 1), Millis(10**15))
    row, _ = folding.with_consent(places, customer, event, installation.decode)
    assert (len(row.consents.events), row.consents.unreadable) == (1, ("t/0@3",))


def entry(partner: str, action: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    base = {
        "partner": partner,
        "action": action,
        "reason": None,
        "pseudonym": "p",
        "key_epoch": 2,
        "contract": "c0",
        "fields": ["email"],
        "digest": b"d",
        "consents": ["r1"],
        "rules": ["ZZ-R0"],
        "expires_at": None,
    }
    return base | more


def test_what_is_held_is_the_fold_of_disclosures() -> None:
    hoshi, adresso = PartnerId("hoshi-card"), PartnerId("adresso")
    row = Row(b"x", widen_at=3)
    one = folding.with_disclosure(row, {"entries": [entry(hoshi, "SHARED"), entry(adresso, "SHARED", expires_at=9)]})
    held_values = (Pseudonym("p"), 2, "c0", ("email",), b"d", ("r1",), ("ZZ-R0",), None)
    held = Held(*held_values)
    assert one.held == {
        hoshi: held,
        adresso: Held(Pseudonym("p"), 2, "c0", ("email",), b"d", ("r1",), ("ZZ-R0",), Millis(9)),
    }
    assert (one.profile, one.widen_at, row.held) == (b"x", 3, {}), "nothing else changes, and nothing in place"
    assert one.due_at == 9, "when the first of it expires"
    two = folding.with_disclosure(one, {"entries": [entry(hoshi, "REAFFIRMED", consents=["r2"])]})
    assert two.held[hoshi].consents == ("r2",)
    kept = folding.with_disclosure(two, {"entries": [entry(hoshi, "REAFFIRMED", reason="processing_restricted")]})
    assert kept.held[hoshi] == Held(*held_values, restricted=True)
    lifted = folding.with_disclosure(kept, {"entries": [entry(hoshi, "SHARED", reason="rectified", rectified_at=7)]})
    assert lifted.held[hoshi] == Held(*held_values, rectified_at=Millis(7))
    three = folding.with_disclosure(two, {"entries": [entry(hoshi, "RECALLED"), entry("never", "RECALLED")]})
    assert set(three.held) == {adresso}
    assert folding.with_disclosure(three, {"entries": []}) == three
