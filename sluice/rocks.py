"""Stores in RocksDB, through rocksdict: one folder a partition."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from rocksdict import AccessType, BlockBasedOptions, Cache, Checkpoint, Options, Rdict, WriteBatch, WriteBufferManager

from sluice.store import Change, Family, Size, Store, StoreTrouble, Unusable

_NEWEST = "newest"
_INDEX_BUFFER_BYTES = 1 << 18
_KEYS = "rocksdb.estimate-num-keys"
_BYTES = ("rocksdb.total-sst-files-size", "rocksdb.cur-size-all-mem-tables")
_PLACE_AT_FAULT = ("No space left", "Permission denied", "Read-only file system", "Disk quota", "Too many open files")


class Memory:
    """What several databases may use together, whatever they hold: half of it for what is not on the disk yet."""

    def __init__(self, megabytes: int) -> None:
        size = megabytes << 20
        self._cache = Cache(size)
        self._buffers = WriteBufferManager.new_write_buffer_manager_with_cache(size // 2, False, self._cache)

    def used(self) -> int:
        """Bytes."""
        return int(self._cache.get_usage())

    def bound(self, options: Options) -> Options:
        """The same options. Indexes of files, which grow with the keys, lie in the cache and give way there."""
        table = BlockBasedOptions()
        table.set_block_cache(self._cache)
        table.set_cache_index_and_filter_blocks(True)
        table.set_pin_l0_filter_and_index_blocks_in_cache(True)
        options.set_block_based_table_factory(table)
        options.set_write_buffer_manager(self._buffers)
        return options


class RocksDatabase:
    """See sluice.store.Database."""

    def __init__(self, folder: Path, memory: Memory) -> None:
        """Open or create. Raises Unusable for what cannot be read there, StoreTrouble when its place is at fault."""
        self._folder = folder
        with self._judged("opened"):
            folder.mkdir(parents=True, exist_ok=True)
            options = memory.bound(Options(raw_mode=True))
            options.create_if_missing(True)
            options.create_missing_column_families(True)
            families = {Family.ROWS.value: memory.bound(Options(raw_mode=True))}
            families |= {index.value: memory.bound(_index_options()) for index in (Family.WAITING, Family.DUE)}
            self._db = Rdict(str(folder), options, families, AccessType.read_write())
            self._families = {
                name: self._db if name is Family.META else self._db.get_column_family(name.value) for name in Family
            }
            self._handles = {
                name: None if name is Family.META else self._db.get_column_family_handle(name.value) for name in Family
            }
        self._open = True

    def get(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        with self._judged("read"):
            return cast("list[bytes | None]", self._families[family].get(list(keys)))

    def write(self, changes: Sequence[Change]) -> None:
        batch = WriteBatch(raw_mode=True)
        for family, key, value in changes:
            if value is None:
                batch.delete(key, self._handles[family])
            else:
                batch.put(key, value, self._handles[family])
        with self._judged("written"):
            self._db.write(batch)

    def keys(self, family: Family, start: bytes | None = None) -> Iterator[bytes]:
        with self._judged("read"):
            yield from cast("Iterator[bytes]", self._families[family].keys(from_key=start))

    def sizes(self) -> dict[Family, Size]:
        with self._judged("measured"):
            return {
                family: Size(_asked(db, _KEYS), sum(_asked(db, part) for part in _BYTES))
                for family, db in self._families.items()
            }

    def copy_to(self, folder: Path) -> None:
        """Files that do not change any more are linked where the file system can."""
        with self._judged("copied"):
            folder.parent.mkdir(parents=True, exist_ok=True)
            Checkpoint(self._db).create_checkpoint(str(folder))

    def close(self) -> None:
        if self._open:
            self._open = False
            self._handles.clear()  # they would keep the folder locked
            for family in reversed(Family):
                self._families[family].close()

    @contextmanager
    def _judged(self, what: str) -> Iterator[None]:
        """The binding raises plain Exception. Its text may quote what is stored, and is told only of the place."""
        try:
            yield
        except Exception as error:
            said = str(error)
            if "/LOCK:" in said.replace(str(self._folder), ""):
                raise StoreTrouble(
                    f"Another process uses the store in {self._folder}: give each instance its own."
                ) from error
            fault = next((fault for fault in _PLACE_AT_FAULT if fault in said), None)
            if fault is not None:
                raise StoreTrouble(
                    f"The store in {self._folder} cannot be {what}: {fault.lower()}. Mend that and start again; "
                    "it is brought up to date from the logs."
                ) from None
            raise Unusable(f"The store in {self._folder} is damaged ({type(error).__name__}).") from None


def _asked(family: Rdict, name: str) -> int:
    return int(family.property_int_value(name) or 0)


def _index_options() -> Options:
    """For keys that come and go: small buffers, so that removed keys are compacted away and not stepped over."""
    options = Options(raw_mode=True)
    options.set_write_buffer_size(_INDEX_BUFFER_BYTES)
    options.set_level_zero_file_num_compaction_trigger(2)
    return options


class RocksStores:
    """The stores of one instance, each in a folder named after its partition. See sluice.store.Stores."""

    def __init__(self, folder: Path, snapshots: Path | None = None, memory_mb: int = 256) -> None:
        """`snapshots`: where copies are kept, better on another disk; all instances may share it.

        `memory_mb`: what all its open stores may use together.
        """
        self._memory = Memory(memory_mb)
        self._folder = folder
        self._snapshots = snapshots

    def open(self, number: int) -> Store:
        return Store(RocksDatabase(self._folder / str(number), self._memory))

    def discard(self, number: int, *, copies: bool = False) -> None:
        shutil.rmtree(self._folder / str(number), ignore_errors=True)
        if copies and self._snapshots is not None:
            shutil.rmtree(self._snapshots / str(number) / _NEWEST, ignore_errors=True)

    def snapshot(self, number: int, store: Store) -> None:
        if self._snapshots is None:
            return
        place = self._snapshots / str(number)
        fresh, former = place / f"{self._folder.name}.new", place / f"{self._folder.name}.old"
        for leftover in (fresh, former):
            shutil.rmtree(leftover, ignore_errors=True)
        store.copy_to(fresh)
        if (place / _NEWEST).exists():
            (place / _NEWEST).rename(former)
        fresh.rename(place / _NEWEST)
        shutil.rmtree(former, ignore_errors=True)

    def restore(self, number: int) -> bool:
        if self._snapshots is None or not (self._snapshots / str(number) / _NEWEST).exists():
            return False
        self.discard(number)
        try:
            shutil.copytree(self._snapshots / str(number) / _NEWEST, self._folder / str(number))
        except OSError:  # another instance has just put a newer one there, or the disk is full: rebuild then
            self.discard(number)
            return False
        return True

    def memory_bytes(self) -> int:
        return self._memory.used()
