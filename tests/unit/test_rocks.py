"""Stores on a disk: what is wrong with the store is told from what is wrong with its place."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice import rocks
from sluice.errors import SluiceError
from sluice.model import CustomerId
from sluice.rocks import Memory, RocksDatabase, RocksStores
from sluice.store import Family, Meta, Row, Store, StoreTrouble, Unusable

META = Meta("here", 1, 2, 3, 4)
A = CustomerId("dell-crm:1")
ROW = Row(b"profile")


@pytest.fixture
def stores(tmp_path: Path) -> RocksStores:
    return RocksStores(tmp_path / "stores")


@pytest.fixture
def store(stores: RocksStores) -> Iterator[Store]:
    """With one row in it."""
    one = stores.open(3)
    one.write({A: (Row(), ROW)}, META)
    yield one
    one.close()


def _damage(folder: Path) -> None:
    for file in folder.glob("MANIFEST*"):
        file.write_bytes(b"damaged")


def test_each_partition_has_a_folder_of_its_own(store: Store, stores: RocksStores, tmp_path: Path) -> None:
    other = stores.open(4)
    assert other.get([A]) == {A: Row()}
    other.close()
    stores.discard(4)
    assert sorted(path.name for path in (tmp_path / "stores").iterdir()) == ["3"]
    assert store.get([A]) == {A: ROW}


def test_keys_come_in_order_from_anywhere_and_each_family_has_its_own(tmp_path: Path) -> None:
    database = RocksDatabase(tmp_path, Memory(8))
    keys = [b"b", b"a\x00", b"a", b"\xff", b"aa"]
    database.write([(Family.ROWS, key, b"x") for key in keys] + [(Family.DUE, b"d", b"")])
    assert list(database.keys(Family.ROWS)) == sorted(keys)
    assert list(database.keys(Family.ROWS, b"aa")) == [b"aa", b"b", b"\xff"]
    assert list(database.keys(Family.DUE)) == [b"d"]
    assert list(database.keys(Family.WAITING)) == []
    assert database.get(Family.ROWS, [b"a", b"none", b"b"]) == [b"x", None, b"x"]
    database.close()


def test_a_write_is_all_or_nothing(tmp_path: Path) -> None:
    database = RocksDatabase(tmp_path, Memory(8))
    database.write([(Family.ROWS, b"a", b"x"), (Family.META, b"meta", b"y")])
    database.write([(Family.ROWS, b"a", None), (Family.META, b"meta", b"z")])
    assert database.get(Family.ROWS, [b"a"]) == [None]
    assert database.get(Family.META, [b"meta"]) == [b"z"]
    database.close()


def test_a_folder_that_is_no_store_is_unusable_and_can_be_discarded(store: Store, stores: RocksStores) -> None:
    store.close()
    _damage(stores._folder / "3")
    with pytest.raises(Unusable, match=r"^The store in .*/3 is damaged"):
        stores.open(3)
    stores.discard(3)
    stores.discard(3)
    again = stores.open(3)
    assert again.meta() is None
    again.close()


def test_a_store_in_use_by_another_process_is_named_and_left_alone(store: Store, stores: RocksStores) -> None:
    program = (
        "import sys; from pathlib import Path; from sluice.errors import SluiceError\n"
        "from sluice.rocks import Memory, RocksStores\n"
        "try: RocksStores(Path(sys.argv[1])).open(3)\n"
        "except SluiceError as error: print(type(error).__name__, error)"
    )
    folder = stores._folder
    other = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True)
    assert other.stdout.startswith(f"StoreTrouble Another process uses the store in {folder}/3:"), "and not Unusable"
    assert store.get([A]) == {A: ROW}


@pytest.mark.usefixtures("store")
def test_a_second_opening_in_this_process_is_refused_likewise(stores: RocksStores) -> None:
    with pytest.raises(StoreTrouble, match="Another process"):
        stores.open(3)


def test_a_store_may_be_closed_twice_and_is_free_then(store: Store, stores: RocksStores) -> None:
    store.close()
    store.close()
    again = stores.open(3)
    assert again.get([A]) == {A: ROW}
    again.close()


def test_a_folder_whose_name_says_lock_is_not_taken_for_a_locked_one(tmp_path: Path) -> None:
    stores = RocksStores(tmp_path / "LOCK:" / "BLOCKS")
    stores.open(0).close()
    _damage(tmp_path / "LOCK:" / "BLOCKS" / "0")
    with pytest.raises(Unusable):
        stores.open(0)


def test_a_place_that_is_a_file_is_the_places_fault_or_damage_and_never_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "stores").write_text("a file")
    with pytest.raises(SluiceError, match="The store in"):
        RocksStores(tmp_path / "stores").open(0)


# --- the place is at fault: nothing is lost by it, so nothing may be discarded

SAID = {
    "no space left": "IO error: No space left on device: While appending to file: /x/000012.log",
    "permission denied": "IO error: Permission denied: While open a file for appending: /x/LOG",
    "read-only file system": "IO error: Read-only file system: While mkdir if missing: /x",
    "disk quota": "IO error: Disk quota exceeded: While fsync: /x/000012.log",
    "too many open files": "IO error: Too many open files: While open a file for random read: /x/000011.sst",
}


class Broken:
    """A binding that raises whatever is done with it, as the real one does."""

    def __init__(self, said: str) -> None:
        self._said = said

    def __getattr__(self, name: str) -> object:
        if name == "close":
            return lambda: None

        def fail(*_: object, **__: object) -> object:
            raise Exception(self._said)  # noqa: TRY002 - so does the binding

        return fail


def _use(store: Store, what: str) -> None:
    match what:
        case "written":
            store.write({A: (ROW, ROW)}, META)
        case "read":
            store.get([A])
        case _:
            list(store.customers(None, 1))


@pytest.mark.parametrize("what", ["written", "read", "keys"])
@pytest.mark.parametrize("fault", SAID)
def test_a_place_at_fault_is_told_in_a_sentence_and_is_no_damage(
    store: Store, stores: RocksStores, monkeypatch: pytest.MonkeyPatch, fault: str, what: str
) -> None:
    database = store._database
    assert isinstance(database, RocksDatabase)
    with monkeypatch.context() as patch:
        broken = Broken(SAID[fault])
        patch.setattr(database, "_db", broken)
        patch.setattr(database, "_families", dict.fromkeys(Family, broken))
        with pytest.raises(StoreTrouble) as raised:
            _use(store, what)
    told = "read" if what == "keys" else what
    assert str(raised.value) == (
        f"The store in {stores._folder}/3 cannot be {told}: {fault}. Mend that and start again; it is brought up to "
        "date from the logs."
    )
    assert store.get([A]) == {A: ROW}, "and it is still there"


@pytest.mark.parametrize("fault", SAID)
def test_a_place_at_fault_when_it_is_opened(
    store: Store, stores: RocksStores, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    store.close()

    def fail(*_: object, **__: object) -> None:
        raise Exception(SAID[fault])  # noqa: TRY002 - so does the binding

    with monkeypatch.context() as patch:
        patch.setattr(rocks, "Rdict", fail)
        with pytest.raises(StoreTrouble, match=f"cannot be opened: {fault}"):
            stores.open(3)
    again = stores.open(3)
    assert again.get([A]) == {A: ROW}
    again.close()


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EMFILE])
def test_a_folder_that_cannot_be_made(stores: RocksStores, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(self: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(StoreTrouble, match="cannot be opened"):
        stores.open(3)


def test_anything_else_is_damage_and_what_it_says_is_not_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    database = store._database
    assert isinstance(database, RocksDatabase)
    broken = Broken("Corruption: block checksum mismatch in canary@example.com")
    with monkeypatch.context() as patch:
        patch.setattr(database, "_families", dict.fromkeys(Family, broken))
        with pytest.raises(Unusable) as raised:
            store.get([A])
    assert "canary" not in str(raised.value)
    assert raised.value.__cause__ is None
