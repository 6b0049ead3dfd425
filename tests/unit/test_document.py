"""Documents that people write: whatever is wrong is told with file, line, column and the nearest valid word."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from sluice.document import DocumentError, Source, Strict, load, nearest


class Inner(Strict):
    start: int = Field(alias="from")
    colour: Literal["red", "green"] = "red"


class Outer(Strict):
    name: str
    inner: Inner
    other: Inner | None = None
    items: list[int] = Field(default_factory=list)


GOOD = "name: a\ninner: {from: 1}\n"


def told(folder: Path, text: str) -> list[str]:
    """Every line of the refusal, without the file's name."""
    path = folder / "it.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DocumentError) as raised:
        load(path, Outer)
    lines = str(raised.value).splitlines()
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:") for line in lines]


def test_a_good_document_is_its_model(tmp_path: Path) -> None:
    path = tmp_path / "it.yaml"
    path.write_text("# said aloud: 星\nname: 星\ninner:\n  from: 1\n  colour: green\nitems: [1, 2]\n", encoding="utf-8")
    document, source = load(path, Outer)
    assert document == Outer(name="星", inner=Inner.model_validate({"from": 1, "colour": "green"}), items=[1, 2])
    assert source.problem(("inner", "colour"), "wrong") == f"{path}:5:3: wrong"
    assert source.problem(("inner", "colour", "deeper"), "wrong") == f"{path}:5:3: wrong"
    assert source.problem(("items", 1), "wrong") == f"{path}:6:12: wrong"
    assert source.problem(("nowhere",), "wrong") == f"{path}:2:1: wrong"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        pytest.param(
            GOOD + "nmae: b\n", ["3:1: there is no key `nmae` here; did you mean `name`?"], id="unknown at the top"
        ),
        pytest.param(
            "name: a\ninner:\n  from: 1\n  color: red\n",
            ["4:3: there is no key `color` here; did you mean `colour`?"],
            id="unknown below",
        ),
        pytest.param(
            "name: a\ninner: {form: 1}\n",
            ["2:1: the key `from` is missing", "2:9: there is no key `form` here; did you mean `from`?"],
            id="unknown in braces, and what it was for",
        ),
        pytest.param(
            GOOD + "other:\n  from: 1\n  colur: red\n",
            ["5:3: there is no key `colur` here; did you mean `colour`?"],
            id="unknown below something optional",
        ),
        pytest.param(GOOD + "xyz: 1\n", ["3:1: there is no key `xyz` here"], id="unknown, and nothing is near"),
        pytest.param("name: a\n", ["1:1: the key `inner` is missing"], id="missing"),
        pytest.param("", ["1:1: the key `name` is missing", "1:1: the key `inner` is missing"], id="empty"),
        pytest.param(GOOD + "name: b\n", ["3:1: `name` stands here twice; remove one."], id="twice at the top"),
        pytest.param(
            "name: a\ninner: {from: 1, from: 1}\n", ["2:18: `from` stands here twice; remove one."], id="twice below"
        ),
        pytest.param(
            "name: 5\ninner: {from: 1}\n", ["1:1: `name`: input should be a valid string, not 5"], id="another type"
        ),
        pytest.param(
            'name: a\ninner: {from: "1"}\n',
            ["2:9: `from`: input should be a valid integer, not '1'"],
            id="nothing is coerced",
        ),
        pytest.param(
            "name: a\ninner: {from: 1.0}\n",
            ["2:9: `from`: input should be a valid integer, not 1.0"],
            id="no number either",
        ),
        pytest.param(GOOD + "items: [1, b]\n", ["3:12: `1`: input should be a valid integer, not 'b'"], id="in a list"),
        pytest.param(
            "name: a\ninner: {from: 1, colour: geen}\n",
            ["2:18: `geen` is not one of 'red' or 'green'; did you mean `green`?"],
            id="no such word",
        ),
        pytest.param("name: 1\ninner: {}\nx: 1\n", 3, id="every problem is told"),
        pytest.param("name: [a\n", ["2:1: this is not YAML: "], id="an open bracket"),
        pytest.param("\tname: a\n", ["1:1: this is not YAML: "], id="a tab"),
        pytest.param("name: a: b\n", ["1:8: this is not YAML: "], id="two colons"),
        pytest.param(GOOD + "---\n" + GOOD, ["3:1: this is not YAML: "], id="two documents"),
        pytest.param("name: !secret a\ninner: {from: 1}\n", ["1:7: this is not YAML: "], id="a tag"),
        pytest.param("name: *x\n", ["1:7: this is not YAML: "], id="an alias of nothing"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(tmp_path: Path, text: str, problems: list[str] | int) -> None:
    found = told(tmp_path, text)
    if isinstance(problems, int):
        assert len(found) == problems
        return
    assert len(found) == len(problems)
    for line, problem in zip(found, problems, strict=True):
        assert line == problem or (problem.endswith("YAML: ") and line.startswith(problem))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("name: a\ninner: {from: 2026-02-30}\n", id="a day that there is not"),
        pytest.param("name: a\ninner: {from: 2026-13-01}\n", id="a month that there is not"),
        pytest.param("name: a\ninner: {from: 2026-01-01T25:00:00}\n", id="an hour that there is not"),
        pytest.param("name: !!int a\ninner: {from: 1}\n", id="a tag that does not fit"),
    ],
)
def test_a_scalar_that_cannot_be_read_is_told_where_it_stands(tmp_path: Path, text: str) -> None:
    (problem,) = told(tmp_path, text)
    assert problem.startswith(("2:", "1:7: "))
    assert ("there is no such day or time as `2026-" in problem) == ("2026" in text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(GOOD + "# \x07\n", id="a control character"),
        pytest.param("name: &a [*a]\ninner: {from: 1}\n", id="something that contains itself"),
        pytest.param("name: " + "[" * 100_000, id="brackets in brackets"),
        pytest.param("- " * 100_000 + "a\n", id="lists in lists"),
        pytest.param("name: " + "&a [" * 200 + "]" * 200, id="anchors in anchors"),
        pytest.param(
            "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)),
            id="a few lines that stand for a million million values",
        ),
    ],
)
def test_what_no_document_should_hold_is_refused_too(tmp_path: Path, text: str) -> None:
    assert told(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name: *x\n", "1:7: this is not YAML: found undefined alias 'x'."),
        ("name: @a\n", "1:7: this is not YAML: found character '@' that cannot start any token."),
        ("é: 1\nb: \x07\n", "1:1: this is not YAML: special characters are not allowed (at character 8)."),
    ],
)
def test_what_is_no_yaml_is_told_with_the_character(tmp_path: Path, text: str, problem: str) -> None:
    """As PyYAML's own parser tells it; libyaml says less, and counts bytes."""
    assert told(tmp_path, text) == [problem]


@pytest.mark.parametrize(("levels", "is_refused"), [(100, False), (101, True)])
def test_how_deep_a_document_may_be(tmp_path: Path, levels: int, is_refused: bool) -> None:  # noqa: FBT001 - a case
    text = "name: " + "[" * (levels - 1) + "]" * (levels - 1) + "\n"
    assert any("levels deep" in problem for problem in told(tmp_path, text)) is is_refused


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words\n", "5\n"])
def test_what_is_no_mapping_is_refused_in_words_that_people_know(tmp_path: Path, text: str) -> None:
    (problem,) = told(tmp_path, text)
    assert problem.startswith("1:1: ")
    assert "``" not in problem


@pytest.mark.parametrize("text", ["name: 5\n", "x: 1\n"])
def test_a_refusal_never_speaks_of_our_libraries(tmp_path: Path, text: str) -> None:
    told_at_all = "\n".join(told(tmp_path, text))
    assert "pydantic" not in told_at_all
    assert "Outer" not in told_at_all


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    with pytest.raises(DocumentError, match=r"missing\.yaml: there is no such file\.$"):
        load(missing, Outer)
    with pytest.raises(DocumentError, match="cannot be read"):
        load(tmp_path, Outer)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: Müller\n".encode("latin-1"))
    with pytest.raises(DocumentError, match=r"latin\.yaml: cannot be read: .*utf-8"):
        load(latin, Outer)


@given(st.text(st.sampled_from("name: {}[]&*!|>'\"%@`#-?,\n ainer5from0x\t~<=."), max_size=60))
def test_whatever_is_written_it_is_loaded_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        load(path, Outer)
    except DocumentError as refusal:
        told_at_all = str(refusal)
    else:
        told_at_all = str(path)
    assert told_at_all.startswith(str(path))


def test_the_nearest_word_is_near() -> None:
    assert nearest("emial", ["email", "phone"]) == "; did you mean `email`?"
    assert nearest("xyz", ["email", "phone"]) == ""
    assert nearest("a", []) == ""


def test_a_place_that_is_not_known_is_the_beginning(tmp_path: Path) -> None:
    assert Source(tmp_path, {}).problem(("a", 0), "wrong") == f"{tmp_path}:1:1: wrong"
