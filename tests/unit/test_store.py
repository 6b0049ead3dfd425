"""The store: a cache that is in order, indexed, atomic, and refused when in doubt."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.consent import Actor, ConsentEvent, ConsentRecord, Expression, State
from sluice.errors import SluiceError
from sluice.model import CustomerId, Held, Millis, PartnerId, Pseudonym
from sluice.store import FORMAT, Meta, Row, Store, Unusable, discard

META = Meta("here", 1, 2, 3, 4)
EMPTY = Row()
HELD = Held(Pseudonym("p" * 22), 1, "c0", ("email",), bytes(16), ("r1",), ("ZZ-R0",), Millis(9))
EVENT = ConsentEvent("r1", "c", "sales", State.GIVEN, Expression.EXPLICIT, Actor.SUBJECT, Millis(1), Millis(2))
FULL = Row(b"profile", True, ConsentRecord((EVENT,), ("t/0@1",)), 7, {PartnerId("hoshi-card"): HELD})


def customer(number: int) -> CustomerId:
    return CustomerId(f"dell-crm:{number:03}")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    one = Store(tmp_path / "store")
    yield one
    one.close()


def put(store: Store, rows: dict[CustomerId, Row]) -> None:
    before = store.get(list(rows))
    store.write({key: (before[key], row) for key, row in rows.items()}, META)


def test_what_is_written_is_read_also_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "store")
    assert store.meta() is None
    put(store, {customer(1): FULL})
    store.close()
    again = Store(tmp_path / "deep" / "store")
    assert again.get([customer(1), customer(2)]) == {customer(1): FULL, customer(2): EMPTY}
    assert again.meta() == META
    assert again.waiting(7, 9)[0] == [customer(1)]
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


def test_the_index_follows_the_rows(store: Store) -> None:
    put(store, {customer(1): Row(b"x", widen_at=5)})
    put(store, {customer(1): Row(b"x", widen_at=9)})
    assert (store.waiting(8, 9)[0], store.waiting(9, 9)[0]) == ([], [customer(1)])
    put(store, {customer(1): Row(b"x")})
    assert store.waiting(100, 9)[0] == []


def test_a_row_that_knows_nothing_is_not_kept(store: Store) -> None:
    put(store, {customer(1): FULL, customer(2): FULL})
    put(store, {customer(1): Row(deleted=True)})
    assert store.customers(None, 9) == [customer(2)]
    assert store.waiting(100, 9)[0] == [customer(2)]


def test_a_row_that_is_not_kept_waits_for_nothing(store: Store) -> None:
    put(store, {customer(1): Row(deleted=True, widen_at=5)})
    assert store.customers(None, 9) == []
    assert store.waiting(100, 9)[0] == []


ROWS = st.builds(
    Row,
    profile=st.none() | st.binary(max_size=3),
    deleted=st.booleans(),
    consents=st.sampled_from([ConsentRecord(), ConsentRecord((EVENT,))]),
    widen_at=st.none() | st.integers(0, 5),
    held=st.sampled_from([{}, {PartnerId("hoshi-card"): HELD}]),
)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.dictionaries(st.integers(0, 4).map(customer), ROWS), max_size=6))
def test_whatever_is_written_the_index_is_that_of_the_rows(
    tmp_path_factory: pytest.TempPathFactory, writes: list[dict[CustomerId, Row]]
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    for rows in writes:
        put(store, rows)
    waiting = [(row.widen_at, name) for name, row in store if row.widen_at is not None]
    assert store.waiting(9, 99)[0] == [name for _, name in sorted(waiting)]
    store.close()


def test_without_a_meta_record_nothing_vouches_for_the_rows(store: Store) -> None:
    store.write({customer(1): (EMPTY, FULL)}, None)
    assert store.meta() is None


def test_a_write_without_a_meta_record_keeps_the_one_there_is(store: Store) -> None:
    store.write({}, META)
    store.write({customer(1): (EMPTY, FULL)}, None)
    assert store.meta() == META


@pytest.mark.parametrize("damage", [b"", b"\xc1", b"\x93\x01\x02\x03", msgspec.msgpack.encode({"identity": 5})])
def test_a_damaged_meta_record_is_unusable(tmp_path: Path, damage: bytes) -> None:
    store = Store(tmp_path)
    store._db[b"meta"] = damage
    with pytest.raises(Unusable, match="is damaged"):
        store.meta()
    store.close()


def test_a_meta_record_of_another_format_is_unusable(store: Store) -> None:
    store.write({}, msgspec.structs.replace(META, format=FORMAT + 1))
    with pytest.raises(Unusable, match=f"has format {FORMAT + 1}, not {FORMAT}"):
        store.meta()


@pytest.mark.parametrize("damage", [b"", b"\xc1", b"\x81\x01\x02", b"\x91\x05"])
def test_a_damaged_row_is_unusable(store: Store, damage: bytes) -> None:
    store._rows[customer(1).encode()] = damage
    with pytest.raises(Unusable, match="damaged"):
        store.get([customer(1)])


def test_a_folder_that_is_no_store_is_unusable_and_can_be_discarded(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    Store(folder).close()
    for file in folder.glob("MANIFEST*"):
        file.write_bytes(b"damaged")
    with pytest.raises(Unusable, match="cannot be opened"):
        Store(folder)
    discard(folder)
    discard(folder)
    again = Store(folder)
    assert again.meta() is None
    again.close()


def test_a_store_in_use_by_another_process_is_named_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    store = Store(folder)
    put(store, {customer(1): FULL})
    program = (
        "import sys; from pathlib import Path; from sluice.errors import SluiceError; from sluice.store import Store\n"
        "try: Store(Path(sys.argv[1]))\n"
        "except SluiceError as error: print(type(error).__name__, error)"
    )
    other = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True)
    assert other.stdout.startswith(f"SluiceError Another process uses the store in {folder}:"), "and not Unusable"
    assert store.get([customer(1)]) == {customer(1): FULL}
    store.close()


def test_a_second_opening_in_this_process_is_refused_likewise(store: Store) -> None:
    with pytest.raises(SluiceError, match="Another process") as raised:
        Store(store._folder)
    assert not isinstance(raised.value, Unusable)


def test_a_folder_whose_name_says_lock_is_not_taken_for_a_locked_one(tmp_path: Path) -> None:
    folder = tmp_path / "BLOCKS"
    Store(folder).close()
    for file in folder.glob("MANIFEST*"):
        file.write_bytes(b"damaged")
    with pytest.raises(Unusable):
        Store(folder)
