"""Avro and Parquet files give what CSV and JSON Lines give, and lose nothing that their types say."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.encoding import CUSTOMERS, Encoded, Encoder, Row, nothing_filled
from producers.row_source import Reading, records
from schemas import catalogue
from sluice.avro import Reader, unframe
from sluice.errors import SluiceError
from sluice.files.opening import Format
from sluice.files.rows import Refused

PROFILE = catalogue.text("customer_profile")
AT = datetime(2026, 1, 1, tzinfo=UTC)

ADDRESS = pa.struct([("street", pa.string()), ("city", pa.string()), ("country", pa.string())])
POINT = pa.struct([("latitude", pa.float64()), ("longitude", pa.float64())])
ARROW = pa.schema(
    [
        ("customer_id", pa.string()),
        ("given_name", pa.string()),
        ("birth_date", pa.date32()),
        ("gender", pa.dictionary(pa.int8(), pa.string())),
        ("address", ADDRESS),
        ("segments", pa.list_(pa.string())),
        ("identifiers", pa.list_(pa.struct([("scheme", pa.string()), ("value", pa.string())]))),
        ("attributes", pa.map_(pa.string(), pa.string())),
        ("lifetime_value", pa.decimal128(12, 2)),
        ("created_at", pa.timestamp("us", "Asia/Tokyo")),
        ("deceased", pa.bool_()),
        ("updated_at", pa.timestamp("ns", "UTC")),
    ]
)
SOURCE = {
    "type": "record",
    "name": "Export",
    "fields": [
        {"name": "customer_id", "type": "string"},
        {"name": "given_name", "type": ["null", "string"]},
        {"name": "birth_date", "type": ["null", {"type": "int", "logicalType": "date"}]},
        {"name": "gender", "type": ["null", "string"]},
        {
            "name": "address",
            "type": [
                "null",
                {
                    "type": "record",
                    "name": "Place",
                    "fields": [{"name": name, "type": ["null", "string"]} for name in ("street", "city", "country")],
                },
            ],
        },
        {"name": "segments", "type": ["null", {"type": "array", "items": "string"}]},
        {
            "name": "identifiers",
            "type": [
                "null",
                {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "Id",
                        "fields": [{"name": "scheme", "type": "string"}, {"name": "value", "type": "string"}],
                    },
                },
            ],
        },
        {"name": "attributes", "type": ["null", {"type": "map", "values": "string"}]},
        {
            "name": "lifetime_value",
            "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}],
        },
        {"name": "created_at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]},
        {"name": "deceased", "type": ["null", "boolean"]},
        {"name": "updated_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}

words = st.text("abcXYZ äß森花", min_size=1, max_size=8).filter(lambda text: text == text.strip())
times = st.integers(-(2**51), 2**52).map(
    lambda micros: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
)
rows = st.fixed_dictionaries(
    {
        "customer_id": words,
        "given_name": st.none() | words,
        "birth_date": st.none() | st.dates(date(1880, 1, 1), date(2030, 1, 1)),
        "gender": st.sampled_from([None, "FEMALE", "MALE"]),
        "address": st.none() | st.fixed_dictionaries({"street": words, "city": st.none() | words, "country": words}),
        "segments": st.none() | st.lists(words, min_size=1, max_size=3),
        "lifetime_value": st.none() | st.decimals(-(10**6), 10**6, places=2),
        "created_at": st.none() | times,
        "deceased": st.sampled_from([None, True, False]),
        "updated_at": times.map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)),
    }
)
parts = st.fixed_dictionaries(
    {
        "identifiers": st.none() | st.lists(st.fixed_dictionaries({"scheme": words, "value": words}), max_size=2),
        "attributes": st.none() | st.dictionaries(words, words, max_size=2),
    }
)


def read(form: Format, content: bytes, mapping: Path | None = None, schema: str = PROFILE) -> list[Row]:
    encoder = Encoder(CUSTOMERS, 3, schema, nothing_filled, "crm")
    return list(records(Reading(form, mapping, Path("contracts")), BytesIO(content), encoder)[1])


def record_of(row: Row) -> dict[str, Any]:
    assert isinstance(row, Encoded), row
    return Reader(PROFILE).read(unframe(row.value)[1])


def as_text(value: Any) -> str:  # noqa: ANN401
    match value:
        case None:
            return ""
        case list():
            return ";".join(value)
        case date():  # and datetime
            return value.isoformat()
        case _:
            return str(value)


def csv(table: Iterable[dict[str, Any]]) -> bytes:
    flat = [
        {key: value for key, value in row.items() if key not in ("address", "identifiers", "attributes")}
        | {f"address.{name}": (row["address"] or {}).get(name) for name in ("street", "city", "country")}
        for row in table
    ]
    lines = [",".join(flat[0]), *(",".join(f'"{as_text(value)}"' for value in map(row.get, flat[0])) for row in flat)]
    return "\n".join(lines).encode()


def json_lines(table: Iterable[dict[str, Any]]) -> bytes:
    """What is null is left out where it may not be null."""
    never_null = ("segments", "identifiers", "attributes", "deceased")
    said = ({k: v for k, v in row.items() if v is not None or k not in never_null} for row in table)
    return "\n".join(json.dumps(row, default=as_text) for row in said).encode()


def avro(table: Iterable[dict[str, Any]], schema: Any = SOURCE, codec: str = "deflate", block: int = 16_000) -> bytes:  # noqa: ANN401
    out = BytesIO()
    fastavro.writer(out, fastavro.parse_schema(schema), table, codec=codec, sync_interval=block)
    return out.getvalue()


def parquet(
    table: Iterable[dict[str, Any]], schema: pa.Schema = ARROW, group: int = 1_000, **options: bool | str
) -> bytes:
    out = BytesIO()
    pq.write_table(pa.Table.from_pylist(list(table), schema), out, row_group_size=group, **options)
    return out.getvalue()


@given(st.lists(st.builds(lambda row, more: row | more, rows, parts), min_size=1, max_size=5))
def test_the_same_rows_give_the_same_bytes_in_every_format(table: list[dict[str, Any]]) -> None:
    expected = [(row.key, row.value) for row in read("jsonl", json_lines(table)) if isinstance(row, Encoded)]
    assert len(expected) == len(table)
    for found in (read("avro", avro(table)), read("parquet", parquet(table))):
        assert [(row.key, row.value) for row in found if isinstance(row, Encoded)] == expected
    plain = [row | {"identifiers": None, "attributes": None} for row in table]
    expected = [(row.key, row.value) for row in read("jsonl", json_lines(plain)) if isinstance(row, Encoded)]
    assert [(row.key, row.value) for row in read("csv", csv(plain)) if isinstance(row, Encoded)] == expected


ROW = {"customer_id": "a", "updated_at": AT}
ID = ("customer_id", pa.string())
UPDATED = ("updated_at", pa.timestamp("ms", "UTC"))


def one_of(columns: dict[str, tuple[pa.DataType, Any]]) -> bytes:
    schema = pa.schema([ID, UPDATED, *((name, kind) for name, (kind, _) in columns.items())])
    arrays = [pa.array([ROW[name]], kind) for name, kind in (ID, UPDATED)]
    arrays += [pa.array([value], kind) for kind, value in columns.values()]
    out = BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), out)
    return out.getvalue()


def refusal(found: list[Row]) -> str:
    (row,) = found
    assert isinstance(row, Refused), row
    assert row.line == 1
    return row.sentence


@pytest.mark.parametrize(
    ("name", "kind", "value", "stored"),
    [
        ("created_at", pa.timestamp("s", "UTC"), 7, 7_000),
        ("created_at", pa.timestamp("ns", "America/New_York"), -1, -1),
        ("created_at", pa.timestamp("us", "UTC"), 1_999, 1),
        ("created_at", pa.int64(), 5, 5),
        ("birth_date", pa.date64(), date(1970, 1, 3), 2),
        ("lifetime_value", pa.float64(), 0.1, b"\x0a"),
        ("lifetime_value", pa.decimal256(40, 10), Decimal("1.5"), b"\x00\x96"),
        ("lifetime_value", pa.int32(), 3, b"\x01\x2c"),
        ("loyalty", pa.struct([("points", pa.uint32()), ("tier", pa.string())]), {"points": 7}, ...),
        ("segments", pa.large_list(pa.large_string()), ["a", "b"], ["a", "b"]),
        ("segments", pa.list_(pa.string(), 1), ["a"], ["a"]),
        ("attributes", pa.map_(pa.string(), pa.string()), [("a", "b")], {"a": "b"}),
        ("deceased", pa.bool_(), None, False),
        ("note", pa.null(), None, None),
    ],
)
def test_types_become_those_of_the_schema_without_loss(
    name: str, kind: pa.DataType, value: object, stored: object
) -> None:
    (row,) = read("parquet", one_of({name: (kind, value)}))
    found = record_of(row)[name]
    if stored is ...:
        stored = {"program": None, "tier": "NONE", "points": 7, "member_since": None}
    assert found == stored


@pytest.mark.parametrize(
    ("name", "kind", "value", "sentence"),
    [
        ("created_at", pa.timestamp("us"), AT, "`created_at` has to be a time with its offset"),
        ("created_at", pa.timestamp("s", "UTC"), 1 << 40, "`created_at` has to be a time"),
        ("created_at", pa.date32(), date(2020, 1, 1), "`created_at` has to be a time"),
        ("birth_date", pa.timestamp("us", "UTC"), AT, "`birth_date` has to be a date"),
        ("birth_date", pa.date32(), 1 << 30, "`birth_date` has to be a date"),
        ("lifetime_value", pa.decimal128(12, 3), Decimal("0.001"), "`lifetime_value` has to be a number of at most 12"),
        ("lifetime_value", pa.float64(), float("nan"), "`lifetime_value` has to be a number of at most 12"),
        ("note", pa.int64(), 5, "`note` has to be text"),
        ("note", pa.binary(), b"\xff", "`note` has to be text"),
        ("attributes", pa.map_(pa.string(), pa.string()), [("a", "b"), ("a", "c")], "`attributes` has to be an object"),
        (
            "address",
            pa.struct([("town", pa.string())]),
            {"town": "x"},
            "a field that the schema does not have, `address.town`",
        ),
        (
            "identifiers",
            pa.list_(pa.struct([("scheme", pa.string())])),
            [{"scheme": "x"}],
            "`identifiers[0].value` is missing",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_row_and_column(
    name: str, kind: pa.DataType, value: object, sentence: str
) -> None:
    assert sentence in refusal(read("parquet", one_of({name: (kind, value)})))


def test_times_as_spark_wrote_them_for_long_have_no_zone_and_do_not_wrap(tmp_path: Path) -> None:
    mapping = tmp_path / "m.yaml"
    written = "{updated_at: {column: at, timezone: UTC}, created_at: {column: born, timezone: UTC}}"
    mapping.write_text(f"customer_id: customer_id\nfields: {written}\n", encoding="utf-8")
    times = pa.timestamp("us")
    row = {"customer_id": "a", "at": AT.replace(tzinfo=None), "born": datetime(2999, 1, 1)}  # noqa: DTZ001
    content = parquet([row], pa.schema([ID, ("at", times), ("born", times)]), use_deprecated_int96_timestamps=True)
    record = record_of(read("parquet", content, mapping)[0])
    assert (record["updated_at"], record["created_at"]) == (1_767_225_600_000, 32_472_144_000_000)


def test_text_that_is_none_is_refused_alone() -> None:
    text = pa.Array.from_buffers(pa.string(), 2, pa.array([b"ok", b"\xff\xfe"], pa.binary()).buffers())
    table = pa.table({"customer_id": ["a", "b"], "updated_at": pa.array([AT, AT], UPDATED[1]), "note": text})
    out = BytesIO()
    pq.write_table(table, out)
    good, bad = read("parquet", out.getvalue())
    assert record_of(good)["note"] == "ok"
    assert isinstance(bad, Refused)
    assert (bad.line, bad.sentence) == (2, "`note` has to be text.")


def avro_of(name: str, kind: object, value: object) -> bytes:
    fields = [
        {"name": "customer_id", "type": "string"},
        {"name": "updated_at", "type": "long"},
        {"name": name, "type": kind},
    ]
    schema = {"type": "record", "name": "Export", "namespace": "crm", "fields": fields}
    return avro([{"customer_id": "a", "updated_at": 1, name: value}], schema)


@pytest.mark.parametrize(
    ("name", "kind", "value", "stored"),
    [
        ("created_at", {"type": "long", "logicalType": "timestamp-nanos"}, -1, -1),
        ("created_at", ["null", "string", {"type": "long", "logicalType": "timestamp-micros"}], AT, 1_767_225_600_000),
        (
            "lifetime_value",
            {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 4},
            Decimal("2.5000"),
            b"\x00\xfa",
        ),
        (
            "lifetime_value",
            {"type": "fixed", "size": 4, "name": "F", "logicalType": "decimal", "precision": 9, "scale": 1},
            Decimal("-2.5"),
            b"\xff\x06",
        ),
        ("note", {"type": "string", "logicalType": "uuid"}, "0" * 32, "0" * 32),
        ("note", {"type": "fixed", "size": 16, "name": "U", "logicalType": "uuid"}, b"\0" * 16, str(UUID(int=0))),
        ("gender", {"type": "enum", "name": "G", "symbols": ["FEMALE", "X"]}, "FEMALE", "FEMALE"),
    ],
)
def test_logical_types_of_avro_are_read_exactly(name: str, kind: object, value: object, stored: object) -> None:
    (row,) = read("avro", avro_of(name, kind, value))
    assert record_of(row)[name] == stored


@pytest.mark.parametrize(
    ("name", "kind", "value", "sentence"),
    [
        ("created_at", {"type": "long", "logicalType": "local-timestamp-millis"}, 1, "`created_at` has to be a time"),
        ("created_at", {"type": "long", "logicalType": "timestamp-millis"}, 1 << 60, "`created_at` has to be a time"),
        ("birth_date", {"type": "int", "logicalType": "date"}, 1 << 30, "`birth_date` has to be a date"),
        (
            "lifetime_value",
            {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 4},
            Decimal("2.5001"),
            "number",
        ),
        ("gender", {"type": "enum", "name": "G", "symbols": ["X"]}, "X", "`gender` has to be one of"),
    ],
)
def test_what_of_avro_does_not_fit_is_refused(name: str, kind: object, value: object, sentence: str) -> None:
    assert sentence in refusal(read("avro", avro_of(name, kind, value)))


def test_text_of_avro_that_is_none_is_damage() -> None:
    schema = {**SIMPLE, "fields": [*SIMPLE["fields"], {"name": "note", "type": ["null", "string"]}]}
    content = avro([row | {"note": "ÿ"} for row in many(1)], schema, "null")
    with pytest.raises(SluiceError, match="damaged or cut off in block 1, which begins with row 1"):
        read("avro", content.replace("ÿ".encode(), b"\xff\xfe"))


def test_a_column_that_stands_there_twice_is_told() -> None:
    out = BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["customer_id", "customer_id"]), out)
    with pytest.raises(SluiceError, match="Column 2 has the name of an earlier one; rename it"):
        read("parquet", out.getvalue())


def test_deletions_are_told_by_a_column() -> None:
    (row,) = read("parquet", one_of({"$deleted": (pa.bool_(), True)}))
    assert row == Encoded(1, b"crm:a", None)
    (row,) = read("avro", avro_of("__deleted", "boolean", value=True))
    assert row == Encoded(1, b"crm:a", None)


def test_columns_that_the_schema_does_not_have_are_told_before_any_row() -> None:
    with pytest.raises(SluiceError, match=r"no field `famly_name`.*did you mean `family_name`"):
        read("parquet", one_of({"famly_name": (pa.string(), "x")}))
    with pytest.raises(SluiceError, match="no column `updated_at`, which every record needs"):
        read("parquet", parquet([{"customer_id": "a"}], pa.schema([ID])))


def test_columns_may_be_dotted_paths() -> None:
    (row,) = read("parquet", one_of({"address.city": (pa.string(), "Kyoto"), "address.country": (pa.string(), "JP")}))
    assert record_of(row)["address"]["city"] == "Kyoto"


def test_a_mapping_takes_values_as_they_are(tmp_path: Path) -> None:
    mapping = tmp_path / "m.yaml"
    mapping.write_text(
        """
        customer_id: nr
        fields:
          updated_at: changed
          created_at: {column: since, timezone: Europe/Berlin}
          birth_date: {column: born, date: "%d.%m.%Y"}
          address.street: {columns: [home.no, home.street]}
          address.country: {value: DE}
          lifetime_value: worth
          segments: tags
          deceased: {column: gone}
          gender: {column: sex, invalid: "null"}
        """,
        encoding="utf-8",
    )
    home = pa.struct([("no", pa.int32()), ("street", pa.string())])
    columns = {
        "nr": (pa.int64(), 17),
        "changed": UPDATED[1],
        "since": pa.timestamp("us"),
        "born": pa.string(),
        "home": home,
        "worth": pa.decimal128(9, 1),
        "tags": pa.list_(pa.string()),
        "gone": pa.bool_(),
        "sex": pa.int8(),
    }
    kinds = pa.schema([(name, kind[0] if isinstance(kind, tuple) else kind) for name, kind in columns.items()])
    row = {
        "nr": 17,
        "changed": AT,
        "since": AT.replace(tzinfo=None),
        "born": "30.04.2001",
        "home": {"no": 5, "street": "Ring"},
        "worth": Decimal("1.5"),
        "tags": ["a;b"],
        "gone": False,
        "sex": 3,
    }
    (found,) = read("parquet", parquet([row], kinds), mapping)
    record = record_of(found)
    assert found.key == b"crm:17"  # type: ignore[union-attr]
    assert record["created_at"] == 1_767_225_600_000 - 3_600_000
    assert (record["birth_date"], record["address"]["street"]) == (11442, "5 Ring")
    assert (record["lifetime_value"], record["segments"]) == (b"\x00\x96", ["a;b"])
    assert (record["deceased"], record["gender"]) == (False, None)


def many(count: int) -> list[dict[str, Any]]:
    return [{"customer_id": str(number), "updated_at": AT} for number in range(count)]


SIMPLE = {"type": "record", "name": "R", "fields": [SOURCE["fields"][0], SOURCE["fields"][-1]]}


@pytest.mark.parametrize("cut", [1, 8, 20, 40])
def test_an_avro_file_that_is_cut_off_names_the_block(cut: int) -> None:
    whole = avro(many(100), SIMPLE, block=200)
    with pytest.raises(SluiceError, match=r"cut off in block \d+, which begins with row \d+"):
        read("avro", whole[:-cut])


def test_an_avro_file_that_ends_within_the_number_of_a_blocks_records_is_cut_off() -> None:
    first = avro(many(100), SIMPLE, "null", block=100_000)
    assert len(read("avro", first)) == 100
    with pytest.raises(SluiceError, match="cut off in block 2, which begins with row 101"):
        read("avro", first + b"\xc8")


def test_an_avro_file_with_a_damaged_record_names_the_block() -> None:
    """A union's index that no branch has: the library counts it from the end."""
    schema = {
        "type": "record",
        "name": "R",
        "fields": [*SIMPLE["fields"], {"name": "note", "type": ["null", "string"]}],
    }
    whole = avro([row | {"note": None} for row in many(1)], schema, "null")
    place = whole.rindex(b"\x00", 0, len(whole) - 16)
    damaged = whole[:place] + b"\x01" + whole[place + 1 :]
    with pytest.raises(SluiceError, match="damaged or cut off in block 1, which begins with row 1"):
        read("avro", damaged)


def test_an_avro_block_that_holds_more_than_it_says_is_damaged() -> None:
    whole = avro(many(3), SIMPLE, "null")
    sync = whole[-16:]
    start = whole.index(sync) + 16
    assert whole[start] == 6  # three, zig-zag
    with pytest.raises(SluiceError, match="damaged or cut off in block 1, which begins with row 1"):
        read("avro", whole[:start] + b"\x04" + whole[start + 1 :])


def test_a_parquet_file_that_is_cut_off_is_told() -> None:
    whole = parquet(many(10), pa.schema([ID, UPDATED]))
    with pytest.raises(SluiceError, match="no Parquet file, or it is cut off"):
        read("parquet", whole[:-3])


def test_a_damaged_parquet_file_names_the_row_group() -> None:
    schema = pa.schema([ID, UPDATED])
    whole = bytearray(parquet(many(30), schema, 10, write_page_checksum=True, compression="none", use_dictionary=False))
    whole[whole.index(b"15")] ^= 1  # the text of the id of row 16
    with pytest.raises(SluiceError, match="damaged in row group 2, which begins with row 11"):
        read("parquet", bytes(whole))


@pytest.mark.parametrize("form", ["avro", "parquet"])
def test_what_is_no_such_file_is_told(form: Format) -> None:
    with pytest.raises(SluiceError, match="This is no"):
        read(form, b"customer_id,updated_at\n")


def test_without_pyarrow_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "sluice.files.parquet_file", raising=False)
    with pytest.raises(SluiceError, match=r"pip install 'sluice\[parquet\]'"):
        read("parquet", b"")


def test_a_pipe_is_refused() -> None:
    class Pipe(BytesIO):
        def seekable(self) -> bool:
            return False

    encoder = Encoder(CUSTOMERS, 3, PROFILE, nothing_filled)
    with pytest.raises(SluiceError, match="no pipe"):
        records(Reading("avro", None, Path("contracts")), Pipe(), encoder)
