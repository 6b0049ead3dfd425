"""A file's columns as fields of the schema: planned once a file, then applied to each row.

Cells are text (CSV), or values with types, which stay what they are unless the mapping asks for text.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sluice.document import DocumentError, Source, nearest
from sluice.errors import SluiceError
from sluice.files.conversion import Unfit, naming
from sluice.files.mapping import Column, ColumnMapping, Constant
from sluice.files.scalars import UNFIT, Json, Scalar
from sluice.files.shape import Items, Leaf, Parts, leaf, paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

DELETED = "$deleted"
"""The column, or JSON field, that says that the source has deleted the customer."""

_SPLIT = ";"
_UNFITTING = "The columns do not fit the registered schema; rename them or describe them with --mapping:\n"


@dataclass(frozen=True, slots=True)
class Target:
    """A field, and how its JSON value is read from the cells of a row. The reader raises Unfit."""

    path: tuple[str, ...]
    nullable: bool
    read: Callable[[Sequence[Json]], Json]


@dataclass(frozen=True, slots=True)
class Table:
    """A file's columns, as fields."""

    id_field: str
    id_column: int
    deleted_column: int | None
    targets: tuple[Target, ...]

    def row(self, cells: Sequence[Json]) -> dict[str, Json]:
        """The row as JSON would have it. Raises Unfit.

        A cell that is empty or null is null where the field may be null, and left out where it may not. A record all of
        whose cells are empty is left out.
        """
        row: dict[str, Json] = {self.id_field: _text(cells[self.id_column])}
        if self.deleted_column is not None and cells[self.deleted_column]:
            row[DELETED] = _deleted(cells[self.deleted_column])
            if row[DELETED]:
                return row
        read = [(target, target.read(cells)) for target in self.targets]
        for target, value in read:
            if value is not None:
                _place(row, target.path, value)
        for target, value in read:
            if value is None and target.nullable:
                _place_null(row, target.path)
        return row


def plan(
    mapping: ColumnMapping, source: Source, header: Sequence[str], record: Parts, topic_fields: TopicFields
) -> Table:
    """The table of a mapped file. Raises DocumentError with every problem: columns, fields, types."""
    problems = (
        []
        if mapping.customer_id in header
        else [source.problem(("customer_id",), _no_column(mapping.customer_id, header))]
    )
    targets: list[Target] = []
    for path, column in mapping.fields.items():
        try:
            targets.append(_target(path, column, header, record, topic_fields))
        except _Misfit as misfit:
            problems.append(source.problem(("fields", path), str(misfit)))
    problems.extend(
        source.problem(("fields",), f"`{name}` is missing, which every record needs")
        for name in _not_given(mapping.fields, record, topic_fields)
    )
    if problems:
        raise DocumentError("\n".join(problems))
    return _table(mapping.customer_id, header, targets, topic_fields)


def plan_by_header(header: Sequence[str], record: Parts, topic_fields: TopicFields) -> Table:
    """The table of a file whose columns are dotted paths. Raises SluiceError with every problem."""
    problems = [] if topic_fields.id_field in header else [_no_column(topic_fields.id_field, header)]
    targets: list[Target] = []
    fields = {name: Column(column=name) for name in header if name not in (topic_fields.id_field, DELETED)}
    for path, column in fields.items():
        try:
            targets.append(_target(path, column, header, record, topic_fields))
        except _Misfit as misfit:
            problems.append(f"column {header.index(path) + 1}: {misfit}")
    problems.extend(
        f"there is no column `{name}`, which every record needs" for name in _not_given(fields, record, topic_fields)
    )
    if problems:
        raise SluiceError(_UNFITTING + "\n".join(problems))
    return _table(topic_fields.id_field, header, targets, topic_fields)


@dataclass(frozen=True, slots=True)
class TopicFields:
    """What publishing itself knows about the fields of a topic's records."""

    id_field: str
    filled: frozenset[str] = frozenset()
    """Fields that publishing fills in when a row leaves them out."""


class _Misfit(Exception):
    pass


def _table(id_column: str, header: Sequence[str], targets: Sequence[Target], topic_fields: TopicFields) -> Table:
    return Table(
        id_field=topic_fields.id_field,
        id_column=header.index(id_column),
        deleted_column=header.index(DELETED) if DELETED in header else None,
        targets=tuple(targets),
    )


def _not_given(fields: Iterable[str], record: Parts, topic_fields: TopicFields) -> list[str]:
    given = {path.partition(".")[0] for path in fields} | topic_fields.filled | {topic_fields.id_field}
    return [name for name, part in record.fields.items() if part.required and name not in given]


def _target(path: str, column: Column, header: Sequence[str], record: Parts, topic_fields: TopicFields) -> Target:
    if path == topic_fields.id_field:
        raise _Misfit(f"`{path}` comes from the key `customer_id` of the mapping")
    found = leaf(record, path)
    if found is None:
        raise _Misfit(_no_field(path, record))
    missing = next((name for name in column.sources if name not in header), None)
    if missing is not None:
        raise _Misfit(_no_column(missing, header))
    return Target(tuple(path.split(".")), found.nullable, _reader(path, column, header, found))


def check_columns(columns: Sequence[str], record: Parts, topic_fields: TopicFields) -> None:
    """Columns that are the schema's own fields. Raises SluiceError with every problem."""
    id_field = topic_fields.id_field
    problems = [] if id_field in columns else [_no_column(id_field, columns)]
    problems.extend(
        _no_field(name, record) for name in columns if name not in record.fields and name not in (DELETED, id_field)
    )
    problems.extend(
        f"there is no column `{name}`, which every record needs" for name in _not_given(columns, record, topic_fields)
    )
    if problems:
        raise SluiceError(_UNFITTING + "\n".join(problems))


def _reader(path: str, column: Column, header: Sequence[str], found: Leaf) -> Callable[[Sequence[Json]], Json]:
    if column.value is not None:
        constant = _constant(path, column.value, found)
        return lambda _: constant
    indexes = [header.index(name) for name in column.sources]
    convert = _cell(path, column, found)

    def read(cells: Sequence[Json]) -> Json:
        given = [cell for index in indexes if (cell := cells[index]) is not None and cell != ""]
        if not given:
            return None
        return convert(given[0] if len(given) == 1 else " ".join(_joinable(path, cell) for cell in given))

    return read


def _joinable(path: str, cell: Json) -> str:
    text = _text(cell)
    if not isinstance(text, str):
        raise Unfit(f"`{path}` is joined of columns, which have to be text or whole numbers.")
    return text


def _text(cell: Json) -> Json:
    """A whole number as its digits: house numbers and ids are often kept as such."""
    return str(cell) if isinstance(cell, int) and not isinstance(cell, bool) else cell


def _constant(path: str, value: Constant, found: Leaf) -> Json:
    written = value.isoformat() if isinstance(value, date) else value
    if not isinstance(found.shape, Scalar):
        raise _Misfit(f"`{path}` takes no constant")
    try:
        constant = found.shape.from_text(str(written)) if isinstance(written, float) else written
        found.shape.from_json(constant)
    except UNFIT:
        raise _Misfit(f"the value of `{path}` has to be {found.shape.expected}") from None
    return constant


def _cell(path: str, column: Column, found: Leaf) -> Callable[[Json], Json]:
    match found.shape:
        case Scalar() as scalar if column.split is None:
            return _one(path, column, scalar, nullable=found.nullable)
        case Items(item=Scalar() as item) if column.invalid is None:
            one = _one(path, column, item, nullable=False)
            return lambda cell: [one(item) for item in _items(path, cell, column.split or _SPLIT)]
        case Scalar():
            raise _Misfit(f"`{path}` is no array, so `split` has no meaning here")
        case Items(item=Scalar()):
            raise _Misfit(f"`{path}` is an array, for which `invalid` is not offered")
        case _:
            raise _Misfit(f"`{path}` has parts that one cell cannot hold; publish it as JSON Lines")


def _items(path: str, cell: Json, split: str) -> list[Json]:
    if isinstance(cell, str):
        return [part.strip() for part in cell.split(split) if part.strip()]
    if not isinstance(cell, list):
        raise Unfit(f"`{path}` has to be an array.")
    return cell


def _one(path: str, column: Column, scalar: Scalar, *, nullable: bool) -> Callable[[Json], Json]:
    parse = _parser(path, column, scalar)
    zone = ZoneInfo(column.timezone) if column.timezone else None
    written = f", written as {column.date}" if column.date else ""
    sentence = f"`{path}` has to be {scalar.expected}{written}."
    if column.invalid and not nullable:
        raise _Misfit(f"`{path}` may not be null, so `invalid` has no meaning here")

    def convert(cell: Json) -> Json:
        try:
            value = parse(cell) if isinstance(cell, str) else _placed(cell, zone)
            scalar.from_json(value)
        except UNFIT:
            if column.invalid:
                return None
            raise Unfit(sentence) from None
        return value

    return convert


def _parser(path: str, column: Column, scalar: Scalar) -> Callable[[str], Json]:
    if scalar.moment is None and (column.date or column.timezone):
        raise _Misfit(f"`{path}` is neither a date nor a time, so `date` and `timezone` have no meaning here")
    zone = ZoneInfo(column.timezone) if column.timezone else None
    match scalar.moment, column.date:
        case ("date", str(form)):
            return lambda text: datetime.strptime(text, form).date().isoformat()  # noqa: DTZ007 - a calendar day has no zone
        case ("timestamp", str(form)):
            return lambda text: _in_zone(datetime.strptime(text, form), zone)  # noqa: DTZ007 - the zone is set there
        case ("timestamp", None) if zone:
            return lambda text: _in_zone(datetime.fromisoformat(text), zone)
        case _:
            return scalar.from_text


def _in_zone(moment: datetime, zone: ZoneInfo | None) -> str:
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).isoformat()


def _placed(value: Json, zone: ZoneInfo | None) -> Json:
    """A time without a zone, in the one that the mapping gives."""
    return value.replace(tzinfo=zone) if isinstance(value, datetime) and value.tzinfo is None else value


def _deleted(cell: Json) -> bool:
    written = cell.lower() if isinstance(cell, str) else cell
    if written not in (True, False, "true", "false"):
        raise Unfit(f"`{DELETED}` has to be true or false.")
    return written in (True, "true")


def _place(row: dict[str, Json], path: tuple[str, ...], value: Json) -> None:
    for name in path[:-1]:
        row = row.setdefault(name, {})
    row[path[-1]] = value


def _place_null(row: dict[str, Json], path: tuple[str, ...]) -> None:
    for name in path[:-1]:
        if name not in row:
            return
        row = row[name]
    row[path[-1]] = None


def _no_column(name: str, header: Sequence[str]) -> str:
    return f"the file has no column {naming(name)}{nearest(name, header)}"


def _no_field(path: str, record: Parts) -> str:
    known = paths(record)
    inner = next((name for name in known if name.startswith(f"{path}.")), None)
    if inner is not None:
        return f"`{path}` has fields of its own; map them, such as `{inner}`"
    return f"the schema has no field {naming(path)}{nearest(path, known)}"
