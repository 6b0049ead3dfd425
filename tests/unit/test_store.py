"""The store: a cache that is in order, indexed, atomic, and refused when in doubt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.consent import Actor, ConsentEvent, ConsentRecord, Expression, State
from sluice.model import CustomerId, Held, Millis, PartnerId, Pseudonym
from sluice.rocks import Memory, RocksDatabase
from sluice.store import FORMAT, Family, Meta, Row, Store, Unusable, added

META = Meta("here", 1, 2, 3, 4)
EMPTY = Row()
HELD = Held(Pseudonym("p" * 22), 1, "c0", ("email",), bytes(16), ("r1",), ("ZZ-R0",), Millis(9))
EVENT = ConsentEvent("r1", "c", "sales", State.GIVEN, Expression.EXPLICIT, Actor.SUBJECT, Millis(1), Millis(2))
FULL = Row(
    b"profile",
    True,
    ConsentRecord().with_event(EVENT).with_unreadable("t/0@1"),
    7,
    {PartnerId("hoshi-card"): HELD},
    due_at=Millis(40),
)


def customer(number: int) -> CustomerId:
    return CustomerId(f"dell-crm:{number:03}")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    one = Store(RocksDatabase(tmp_path / "store", Memory(8)))
    yield one
    one.close()


def put(store: Store, rows: dict[CustomerId, Row]) -> None:
    before = store.get(list(rows))
    store.write({key: (before[key], row) for key, row in rows.items()}, META)


def test_what_is_written_is_read_also_after_a_restart(tmp_path: Path) -> None:
    store = Store(RocksDatabase(tmp_path / "deep" / "store", Memory(8)))
    assert store.meta() is None
    put(store, {customer(1): FULL})
    store.close()
    again = Store(RocksDatabase(tmp_path / "deep" / "store", Memory(8)))
    assert again.get([customer(1), customer(2)]) == {customer(1): FULL, customer(2): EMPTY}
    assert again.meta() == META
    assert again.waiting(7, 9)[0] == [customer(1)]
    assert again.due(Millis(40), 9) == [customer(1)]
    again.close()


def test_customers_come_in_order_and_in_pieces(store: Store) -> None:
    everybody = [customer(number) for number in (5, 1, 300, 20, 4)] + [CustomerId("佐藤"), CustomerId("a")]
    put(store, dict.fromkeys(everybody, FULL))
    found: list[CustomerId] = []
    for _ in everybody:
        piece = store.customers(found[-1] if found else None, 2)
        assert len(piece) <= 2
        found += piece
    assert found == sorted(everybody, key=lambda name: name.encode())
    assert [name for name, _ in store] == found
    assert store.customers(CustomerId("zzz佐"), 9) == [CustomerId("佐藤")], "from anywhere"


def test_a_customer_whose_name_begins_anothers_is_not_skipped(store: Store) -> None:
    put(store, dict.fromkeys(map(CustomerId, ("a", "a\x00", "ab", "a\x00b")), FULL))
    assert store.customers(CustomerId("a"), 9) == ["a\x00", "a\x00b", "ab"]


def test_the_longest_waiting_come_first_and_only_when_due(store: Store) -> None:
    put(store, {customer(n): Row(b"x", widen_at=at) for n, at in enumerate((300, 5, 70_000, 5, 2**40))})
    assert store.waiting(4, 9)[0] == []
    assert store.waiting(5, 9)[0] == [customer(1), customer(3)]
    assert store.waiting(5, 1)[0] == [customer(1)]
    assert store.waiting(2**40, 9)[0] == [customer(n) for n in (1, 3, 0, 2, 4)]


def test_the_longest_due_come_first_and_only_when_their_time_has_come(store: Store) -> None:
    instants = (300, 5, 1_780_000_000_000, 5, 2**62)
    put(store, {customer(n): Row(b"x", due_at=Millis(at)) for n, at in enumerate(instants)})
    assert store.due(Millis(4), 9) == []
    assert store.due(Millis(5), 9) == [customer(1), customer(3)]
    assert store.due(Millis(5), 1) == [customer(1)]
    assert store.due(Millis(2**62), 9) == [customer(n) for n in (1, 3, 0, 2, 4)]


def test_the_indexes_follow_the_rows_and_leave_nothing_behind(store: Store) -> None:
    put(store, {customer(1): Row(b"x", widen_at=5, due_at=Millis(50))})
    put(store, {customer(1): Row(b"x", widen_at=9, due_at=Millis(90))})
    assert (store.waiting(8, 9)[0], store.waiting(9, 9)[0]) == ([], [customer(1)])
    assert (store.due(Millis(89), 9), store.due(Millis(90), 9)) == ([], [customer(1)])
    put(store, {customer(1): Row(b"x")})
    assert store.waiting(100, 9)[0] == []
    assert store.due(Millis(100), 9) == []
    for family in (Family.WAITING, Family.DUE):
        assert list(store._database.keys(family)) == []


def test_who_waits_and_who_is_due_are_two_indexes(store: Store) -> None:
    put(store, {customer(1): Row(b"x", widen_at=5), customer(2): Row(b"x", due_at=Millis(5))})
    assert store.waiting(9, 9)[0] == [customer(1)]
    assert store.due(Millis(9), 9) == [customer(2)]


def test_a_row_that_knows_nothing_is_not_kept(store: Store) -> None:
    put(store, {customer(1): FULL, customer(2): FULL})
    put(store, {customer(1): Row(deleted=True)})
    assert store.customers(None, 9) == [customer(2)]
    assert store.waiting(100, 9)[0] == [customer(2)]


def test_a_row_that_is_not_kept_waits_for_nothing(store: Store) -> None:
    put(store, {customer(1): Row(deleted=True, widen_at=5, due_at=Millis(5))})
    assert store.customers(None, 9) == []
    assert store.waiting(100, 9)[0] == []
    assert store.due(Millis(100), 9) == []


ROWS = st.builds(
    Row,
    profile=st.none() | st.binary(max_size=3),
    deleted=st.booleans(),
    consents=st.sampled_from([ConsentRecord(), ConsentRecord().with_event(EVENT)]),
    widen_at=st.none() | st.integers(0, 5),
    held=st.sampled_from([{}, {PartnerId("hoshi-card"): HELD}]),
    due_at=st.none() | st.integers(0, 5).map(Millis),
)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.dictionaries(st.integers(0, 4).map(customer), ROWS), max_size=6))
def test_whatever_is_written_the_indexes_are_those_of_the_rows(
    tmp_path_factory: pytest.TempPathFactory, writes: list[dict[CustomerId, Row]]
) -> None:
    store = Store(RocksDatabase(tmp_path_factory.mktemp("store"), Memory(8)))
    for rows in writes:
        put(store, rows)
        waiting = [(row.widen_at, name) for name, row in store if row.widen_at is not None]
        assert store.waiting(9, 99)[0] == [name for _, name in sorted(waiting)]
        due = [(row.due_at, name) for name, row in store if row.due_at is not None]
        assert store.due(Millis(9), 99) == [name for _, name in sorted(due)]
    store.close()


@pytest.mark.parametrize("damage", [b"", b"\xc1", b"\x93\x01\x02\x03", msgspec.msgpack.encode({"identity": 5})])
def test_a_damaged_meta_record_is_unusable(store: Store, damage: bytes) -> None:
    store._database.write([(Family.META, b"meta", damage)])
    with pytest.raises(Unusable, match="is damaged"):
        store.meta()


def test_a_meta_record_of_another_format_is_unusable(store: Store) -> None:
    store.write({}, msgspec.structs.replace(META, format=FORMAT + 1))
    with pytest.raises(Unusable, match=f"has format {FORMAT + 1}, not {FORMAT}"):
        store.meta()


@pytest.mark.parametrize("damage", [b"", b"\xc1", b"\x81\x01\x02", b"\x91\x05"])
def test_a_damaged_row_is_unusable(store: Store, damage: bytes) -> None:
    store._database.write([(Family.ROWS, customer(1).encode(), damage)])
    with pytest.raises(Unusable, match="damaged"):
        store.get([customer(1)])


def test_what_rows_add_to_their_number_is_told_by_what_they_were_before() -> None:
    some = Row(profile=b"x")
    a, b, c = CustomerId("a"), CustomerId("b"), CustomerId("c")
    assert added({a: (Row(), some), b: (some, Row(profile=b"y")), c: (some, Row())}) == 0
    assert added({a: (Row(), some), b: (Row(), Row())}) == 1
