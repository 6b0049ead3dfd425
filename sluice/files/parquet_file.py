"""Parquet files, through pyarrow, a batch at a time. Imported only for one: pyarrow is the extra `sluice[parquet]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, TypeAlias
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq

from sluice.errors import SluiceError
from sluice.files import values
from sluice.files.rows import Read, check_distinct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sluice.files.scalars import Json

Arrow: TypeAlias = Any
"""A type, array, batch or scalar of pyarrow, which has no types for a type checker."""

_ROWS_IN_BATCH = 1_000
_BUFFER_BYTES = 1 << 20
"""Of each column: without it a whole row group is read at once."""

_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class _Column(NamedTuple):
    """How a type is read: cast to another by pyarrow, then each value that is not null by us, if need be."""

    cast: Arrow
    read: Callable[[Json], Json] | None


class ParquetFile:
    """The rows of a file. Implements opening.RecordFile."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        """Raises SluiceError when the file is none, or has no end."""
        try:
            self._file = pq.ParquetFile(
                stream, page_checksum_verification=True, coerce_int96_timestamp_unit="us", buffer_size=_BUFFER_BYTES
            )
            schema = self._file.schema_arrow
        except (pa.ArrowException, OSError):
            raise SluiceError(
                "This is no Parquet file, or it is cut off: its end, which says what is in it, is missing or damaged."
            ) from None
        check_distinct(schema.names)
        self._size = size
        self._columns = {field.name: _column(field.type) for field in schema}
        self.bytes_read = 0
        self.columns = list(schema.names)
        self.paths = [path for field in schema for path in _paths(field)]

    def check(self) -> None:
        """Through every row group. Raises SluiceError that names the one that cannot be read."""
        for _ in self._batches():
            pass

    def __iter__(self) -> Iterator[Read]:
        """The rows of a file that was checked; `line` is the row's number, from 1."""
        rows = self._file.metadata.num_rows
        number = 0
        for batch in self._batches():
            columns = [
                _values(column, self._columns[name]) for name, column in zip(self.columns, batch.columns, strict=True)
            ]
            for row in zip(*columns, strict=True):
                number += 1
                yield Read(number, dict(zip(self.columns, row, strict=True)))
            self.bytes_read = self._size * number // rows

    def _batches(self) -> Iterator[Arrow]:
        first = 1
        for group in range(self._file.metadata.num_row_groups):
            try:
                yield from self._file.iter_batches(_ROWS_IN_BATCH, row_groups=[group], use_threads=False)
            except (pa.ArrowException, OSError) as error:
                if getattr(error, "errno", None) is not None:  # the disk's; damage has no number
                    raise
                raise SluiceError(
                    f"The Parquet file is damaged in row group {group + 1}, which begins with row {first}; "
                    "it has to be written again."
                ) from None
            first += self._file.metadata.row_group(group).num_rows


def _values(array: Arrow, column: _Column) -> list[Json]:
    cast = array if array.type.equals(column.cast) else array.cast(column.cast)
    try:
        found: list[Json] = cast.to_pylist()
    except (ValueError, ArithmeticError):
        found = [_value(one) for one in cast]
    return found if column.read is None else [_read(column.read, one) for one in found]


def _value(scalar: Arrow) -> Json:
    try:
        return scalar.as_py()
    except (ValueError, ArithmeticError):
        return values.UNREADABLE


def _read(read: Callable[[Json], Json], value: Json) -> Json:
    return value if value is None or value is values.UNREADABLE else read(value)


def _column(kind: Arrow) -> _Column:
    types = pa.types
    if types.is_timestamp(kind):
        of = values.local_time if kind.tz is None else values.instant
        per_second = _PER_SECOND[kind.unit]
        return _Column(pa.int64(), lambda ticks: of(ticks, per_second))
    if types.is_date32(kind):
        return _Column(pa.int32(), values.day)
    if isinstance(kind, pa.UuidType):
        return _Column(kind.storage_type, lambda digits: str(UUID(bytes=digits)))
    if types.is_struct(kind):
        return _struct(kind)
    if types.is_map(kind):
        return _map(kind)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        cast, read = _column(kind.value_type)
        return _Column(pa.list_(cast), read and (lambda items: [_read(read, item) for item in items]))
    return _Column(kind, None)


def _struct(kind: Arrow) -> _Column:
    fields = {field.name: _column(field.type) for field in kind}
    cast = pa.struct([pa.field(name, inner.cast) for name, inner in fields.items()])
    readers = {name: inner.read for name, inner in fields.items() if inner.read is not None}

    def read(value: dict[str, Json]) -> dict[str, Json]:
        return value | {name: _read(reader, value[name]) for name, reader in readers.items()}

    return _Column(cast, read if readers else None)


def _map(kind: Arrow) -> _Column:
    cast, read = _column(kind.item_type)

    def entries(pairs: list[tuple[Json, Json]]) -> Json:
        found = {key: value if read is None else _read(read, value) for key, value in pairs}
        return found if len(found) == len(pairs) and all(isinstance(key, str) for key in found) else values.UNREADABLE

    return _Column(pa.map_(kind.key_type, cast), entries)


def _paths(field: Arrow, *outer: str) -> Iterator[tuple[str, ...]]:
    if pa.types.is_struct(field.type):
        for inner in field.type:
            yield from _paths(inner, *outer, field.name)
    else:
        yield (*outer, field.name)
