"""Stores in memory that outlive their process, and can be lost, restored from an older copy, or damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sluice.store import Change, Family, Size, Store

Contents = dict[Family, dict[bytes, bytes]]


class MemoryDatabase:
    """See sluice.store.Database."""

    def __init__(self, contents: Contents, before_write: Callable[[], None], written: Callable[[], None]) -> None:
        self._contents = contents
        self._before_write = before_write
        self._written = written

    def get(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self._contents[family].get(key) for key in keys]

    def write(self, changes: Sequence[Change]) -> None:
        self._before_write()
        for family, key, value in changes:
            if value is None:
                self._contents[family].pop(key, None)
            else:
                self._contents[family][key] = value
        self._written()

    def keys(self, family: Family, start: bytes | None = None) -> Iterator[bytes]:
        return iter(sorted(key for key in self._contents[family] if start is None or key >= start))

    def sizes(self) -> dict[Family, Size]:
        return {family: Size(len(kept), 0) for family, kept in self._contents.items()}

    def copy_to(self, folder: Path) -> None:
        """Copies are taken by MemoryStores."""
        raise NotImplementedError

    def close(self) -> None:
        """What was written stays."""


class MemoryStores:
    """One instance's stores. See sluice.store.Stores."""

    def __init__(self, snapshots: dict[int, Contents]) -> None:
        """`snapshots`: copies that all instances share."""
        self._snapshots = snapshots
        self.contents: dict[int, Contents] = {}
        self._copies: dict[int, Contents] = {}
        self.before: Callable[[str], None] = lambda _call: None
        self.written: Callable[[int], None] = lambda _number: None

    def open(self, number: int) -> Store:
        self.before("open_store")
        return Store(self.database(number))

    def database(self, number: int) -> MemoryDatabase:
        contents = self.contents.setdefault(number, {family: {} for family in Family})
        return MemoryDatabase(contents, lambda: self.before("write_store"), lambda: self.written(number))

    def discard(self, number: int, *, copies: bool = False) -> None:
        self.before("discard_store")
        self.contents.pop(number, None)
        if copies:
            self._snapshots.pop(number, None)

    def snapshot(self, number: int, store: Store) -> None:  # noqa: ARG002 - its contents are here
        self.before("snapshot")
        self._snapshots[number] = _copied(self.contents[number])

    def restore(self, number: int) -> bool:
        self.before("restore")
        if number not in self._snapshots:
            return False
        self.contents[number] = _copied(self._snapshots[number])
        return True

    def memory_bytes(self) -> int:
        return 0

    # --- what happens to disks

    def copy(self, number: int) -> None:
        self._copies[number] = _copied(self.contents[number])

    def put_back(self, number: int) -> bool:
        """The older copy takes the place of what is there, if there is one."""
        if number not in self._copies:
            return False
        self.contents[number] = _copied(self._copies[number])
        return True

    def damage(self, number: int) -> None:
        """Bytes that are no row stand where a row stood; without rows it is the meta record."""
        family = Family.ROWS if self.contents[number][Family.ROWS] else Family.META
        for key in list(self.contents[number][family])[:1]:
            self.contents[number][family][key] = b"\xc1"


def _copied(contents: Contents) -> Contents:
    return {family: dict(kept) for family, kept in contents.items()}
