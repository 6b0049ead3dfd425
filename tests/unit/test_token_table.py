"""Tokens: random, in a table that holds no value, and an input like any other."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sluice.document import DocumentError, Strict, load
from sluice.errors import SluiceError
from sluice.key_sources import KeyFile, create_master_key
from sluice.keys import load_master_key, table_key
from sluice.redaction import FieldRule, Rule, parse_rule
from sluice.redaction.token import Token
from sluice.token_table import TokenTable, digest_of, issue, load_table, revoke, table_path
from sluice.tokens import tokens
from tests.unit.transforming import MASTER, result, target

KEY = table_key(MASTER, "loyalty")
VALUES = ["4711", "佐藤", "caf\u00e9"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return table_path(tmp_path, "loyalty")


def rule(folder: Path, table: str = "loyalty") -> Rule:
    return parse_rule({"token": table}, {"folder": folder})


# --- the table


def test_each_new_value_gets_a_random_token_once(path: Path) -> None:
    assert issue(path, KEY, VALUES) == 3
    first = load_table(path)
    assert issue(path, KEY, [*VALUES, "new", "new"]) == 1
    after = load_table(path)
    assert {value: after.token_of(KEY, value) for value in VALUES} == {v: first.token_of(KEY, v) for v in VALUES}
    assert all(re.fullmatch("[0-9a-f]{32}", token) for token in after.tokens.values())
    assert len(set(after.tokens.values())) == 4


def test_tokens_are_not_derived_from_the_values(tmp_path: Path) -> None:
    paths = [table_path(tmp_path / name, "loyalty") for name in ("one", "other")]
    for each in paths:
        issue(each, KEY, VALUES)
    one, other = (load_table(each) for each in paths)
    assert set(one.tokens) == set(other.tokens)
    assert not set(one.tokens.values()) & set(other.tokens.values())


def test_equal_texts_have_one_token_however_they_are_composed(path: Path) -> None:
    assert issue(path, KEY, ["caf\u00e9", "cafe\u0301"]) == 1


def test_the_file_holds_no_value_and_nothing_that_can_be_computed_without_the_key(path: Path) -> None:
    issue(path, KEY, VALUES)
    text = path.read_text()
    assert not any(value in text for value in VALUES)
    assert digest_of(KEY, "4711") in text
    assert digest_of(table_key(MASTER, "members"), "4711") not in text


def test_a_revoked_value_has_no_token_and_gets_another_when_issued_again(path: Path) -> None:
    issue(path, KEY, VALUES)
    before = load_table(path)
    assert revoke(path, KEY, ["4711", "unknown"]) == 1
    assert load_table(path).token_of(KEY, "4711") is None
    assert load_table(path).token_of(KEY, "佐藤") == before.token_of(KEY, "佐藤")
    issue(path, KEY, ["4711"])
    assert load_table(path).token_of(KEY, "4711") != before.token_of(KEY, "4711")


def test_the_version_is_that_of_the_content(path: Path) -> None:
    issue(path, KEY, VALUES)
    first = load_table(path)
    issue(path, KEY, VALUES)
    assert load_table(path).version == first.version
    assert TokenTable.of(dict(reversed(list(first.tokens.items())))).version == first.version
    revoke(path, KEY, ["4711"])
    assert load_table(path).version != first.version


def test_a_change_that_fails_changes_nothing_and_leaves_nothing_behind(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue(path, KEY, VALUES)
    before, files = path.read_bytes(), sorted(path.parent.iterdir())

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SluiceError, match="cannot be written: No space left on device"):
        issue(path, KEY, ["new"])
    assert path.read_bytes() == before
    assert sorted(path.parent.iterdir()) == files


def test_two_processes_that_issue_at_once_lose_nothing(path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from sluice.token_table import issue\n"
        "for n in range(20): print(issue(Path(sys.argv[1]), bytes(32), ['everybody', f'{sys.argv[2]} {n}']))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(path), str(n)], stdout=subprocess.PIPE) for n in range(4)
    ]
    issued = [int(line) for process in started for line in process.communicate()[0].split()]
    assert len(issued) == 80
    assert sum(issued) == 81 == len(load_table(path).tokens)


def test_the_file_is_its_owners_alone(path: Path) -> None:
    issue(path, KEY, VALUES)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"^There is no token table at .*loyalty\.csv: make one with `sluice tokens issue`\.$"),
        ("canary", r"loyalty\.csv:1: this is no line of a token table"),
        (f"{'0' * 32},{'1' * 32}\n{'0' * 32},\n", r"loyalty\.csv:2: this is no line"),
        (f"{'0' * 32},{'1' * 32}\n\n", r"loyalty\.csv:2: this is no line"),
        (f"{'0' * 32},{'1' * 32}\n{'0' * 32},{'2' * 32}\n", r"loyalty\.csv:2: this digest stands here twice"),
        ("é", "is no token table"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_in_a_sentence(path: Path, content: str | None, sentence: str) -> None:
    if content is not None:
        path.parent.mkdir()
        path.write_text(content, encoding="utf-8")
    with pytest.raises(SluiceError, match=sentence) as raised:
        load_table(path)
    assert "canary" not in str(raised.value)


# --- the transform


def test_a_token_stands_for_its_value_and_what_has_none_is_empty(tmp_path: Path, path: Path) -> None:
    issue(path, KEY, ["4711", "佐藤"])
    table = load_table(path)
    found = rule(tmp_path)
    assert result(found, "佐藤") == table.token_of(KEY, "佐藤") is not None
    assert result(found, 4711) == table.token_of(KEY, "4711")
    assert result(found, "0815") is None
    assert result(found, ["4711"]) is None
    assert result(found, "4711", target("b", partner="adresso", epoch=9)) == result(found, "4711"), (
        "a table's, not a field's"
    )


def test_the_table_lies_beside_the_contract_and_its_version_is_the_rules(tmp_path: Path, path: Path) -> None:
    issue(path, KEY, VALUES)
    first = rule(tmp_path).data_version
    assert load_table(path).version in first
    issue(path, KEY, ["new"])
    assert rule(tmp_path).data_version != first
    assert isinstance(rule(tmp_path), Token)


class Document(Strict):
    fields: dict[str, FieldRule]


def test_a_contract_that_names_a_table_that_is_not_there_is_told_where(tmp_path: Path) -> None:
    contract = tmp_path / "hoshi.yaml"
    contract.write_text("fields:\n  a: keep\n  loyalty: {token: loyalty}\n")
    with pytest.raises(DocumentError, match=r"hoshi\.yaml:3:3: There is no token table at .*tokens/loyalty\.csv"):
        load(contract, Document)
    issue(table_path(tmp_path, "loyalty"), KEY, VALUES)
    document, _ = load(contract, Document)
    assert result(document.fields["loyalty"], "佐藤") is not None


# --- the command


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    create_master_key(KeyFile(tmp_path / "master.key"))
    file = tmp_path / "sluice.yaml"
    file.write_text("clients: clients\ncontracts: contracts\nmaster_key: master.key\nsharing: {state: state}\n")
    return file


def run(settings: Path, *words: str, values: str | bytes = "") -> Result:
    return CliRunner().invoke(tokens, [*words, "--settings", str(settings)], input=values)


def told(settings: Path, *words: str, values: str) -> dict[str, Any]:
    done = run(settings, *words, "--json", values=values)
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_values_come_a_line_each_and_are_issued_and_revoked(settings: Path) -> None:
    assert told(settings, "issue", "loyalty", values="4711\n\n佐藤\r\n4711") | {"version": ""} == {
        "issued": 2,
        "tokens": 2,
        "version": "",
    }
    assert told(settings, "issue", "loyalty", values="4711\nnew\n")["issued"] == 1
    assert told(settings, "revoke", "loyalty", values="4711\nunknown\n")["revoked"] == 1
    contracts = settings.parent / "contracts"
    key = table_key(load_master_key(KeyFile(settings.parent / "master.key")), "loyalty")
    table = load_table(table_path(contracts, "loyalty"))
    assert [table.token_of(key, value) is None for value in ("4711", "佐藤", "new")] == [True, False, False]
    assert "2 tokens" in run(settings, "issue", "loyalty", values="new").stdout


def test_nothing_is_revoked_from_a_table_that_is_not_there(settings: Path) -> None:
    told(settings, "issue", "loyalty", values="4711")
    done = run(settings, "revoke", "loyality", values="4711\n")
    assert isinstance(done.exception, SluiceError)
    assert "There is no token table" in str(done.exception)
    assert not table_path(settings.parent / "contracts", "loyality").exists()


def test_values_that_are_no_text_change_nothing(settings: Path) -> None:
    told(settings, "issue", "loyalty", values="4711")
    done = run(settings, "issue", "loyalty", values=b"new\n\xff\n")
    assert isinstance(done.exception, SluiceError)
    assert "nothing was changed" in str(done.exception)
    assert len(load_table(table_path(settings.parent / "contracts", "loyalty")).tokens) == 1


@pytest.mark.parametrize("name", ["../loyalty", "Loyalty", ""])
def test_a_table_has_a_plain_name(settings: Path, name: str) -> None:
    done = run(settings, "issue", name, values="4711")
    assert isinstance(done.exception, SluiceError)
    assert "cannot name a table" in str(done.exception)


def test_there_has_to_be_a_master_key(settings: Path) -> None:
    (settings.parent / "master.key").unlink()
    done = run(settings, "issue", "loyalty", values="4711")
    assert isinstance(done.exception, SluiceError)
    assert not (settings.parent / "contracts").exists()
