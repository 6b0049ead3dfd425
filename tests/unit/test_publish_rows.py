"""Reading rows: each with its line, none half, nothing of a value in what is said about it."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest

from sluice.errors import SluiceError
from sluice.files import rows
from sluice.files.rows import Cells, CsvFile, Lines, Read, Refused, json_rows


def from_json(data: bytes) -> list[Read | Refused]:
    return list(json_rows(Lines(io.BytesIO(data))))


def from_csv(data: bytes) -> list[Cells | Refused]:
    return list(CsvFile(Lines(io.BytesIO(data))))


def test_json_rows_carry_their_line_and_empty_lines_count() -> None:
    assert from_json(b'{"a": 1}\n\n  \n{"a": 2.50}') == [Read(1, {"a": 1}), Read(4, {"a": Decimal("2.50")})]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b'{"email": "secret', "The line is not valid JSON."),
        (b"[1]", "The line is not a JSON object."),
        (b'"secret"', "The line is not a JSON object."),
        (b'{"email": "secret\xff"}', "The line is not valid UTF-8."),
        (b'{"n": NaN}', "The line is not valid JSON."),
        (b'{"n": 1e99999999999999999999}', "The line is not valid JSON."),
        (b'{"n": ' + b"9" * 5000 + b"}", "The line is not valid JSON."),
        (b"[" * 100_000, "The line is not valid JSON."),
        (b'{"email": "secret", "email": "b"}', "A field stands in the object twice."),
    ],
)
def test_a_bad_json_line_is_refused_and_the_next_is_read(line: bytes, sentence: str) -> None:
    assert from_json(b'{"a": 1}\n' + line + b'\n{"a": 3}\n') == [
        Read(1, {"a": 1}),
        Refused(2, sentence),
        Read(3, {"a": 3}),
    ]


def test_a_line_without_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "LONGEST_LINE", 20)
    lines = Lines(io.BytesIO(b'{"a": 1}\n' + b"x" * 1000 + b'\n{"a": 3}\n'))
    found = list(json_rows(lines))
    assert [type(row) for row in found] == [Read, Refused, Read]
    assert [row.line for row in found] == [1, 2, 3]
    assert lines.bytes_read == 9 + 1001 + 9


def test_csv_is_stripped_and_rows_carry_their_first_line() -> None:
    data = '\ufeffid , name\n 1, Ann \n\n2,"Straße 1\nHinterhaus"\n3,x\n'.encode()
    file = CsvFile(Lines(io.BytesIO(data)))
    assert file.header == ["id", "name"]
    assert list(file) == [Cells(2, ["1", "Ann"]), Cells(4, ["2", "Straße 1\nHinterhaus"]), Cells(6, ["3", "x"])]


def test_csv_rows_of_the_wrong_length_or_encoding_are_refused_alone() -> None:
    assert from_csv(b"id,name\n1,secret,3\n2,secret\xff\n3,c\n") == [
        Refused(2, "The row has 3 cells and the header 2."),
        Refused(3, "The row is not valid UTF-8."),
        Cells(4, ["3", "c"]),
    ]


@pytest.mark.parametrize(
    "broken", [b'1,"secret\n2,b\n3,c\n', b'1,"se"cret"\n2,b\n', b'1,"' + b"x" * 200_000 + b"\n2,b\n"]
)
def test_where_a_quote_breaks_reading_ends_for_the_next_row_is_not_known(broken: bytes) -> None:
    found = from_csv(b"id,name\n0,a\n" + broken)
    assert found[0] == Cells(2, ["0", "a"])
    assert len(found) == 2
    assert isinstance(found[1], Refused)
    assert found[1].line == 3
    assert "nothing is read after it" in found[1].sentence
    assert "cret" not in found[1].sentence


@pytest.mark.parametrize("data", [b"", b'"id', b"id,na\xffme\n", b"id,name,id\n"])
def test_a_file_without_a_header_that_names_columns_is_refused_whole(data: bytes) -> None:
    with pytest.raises(SluiceError):
        CsvFile(Lines(io.BytesIO(data)))
