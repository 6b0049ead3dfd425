"""`sluice simulate` from files, as a privacy officer calls it: no broker, no registry, no settings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sluice.errors import SluiceError
from sluice.key_sources import KeyFile, create_master_key
from sluice.keys import load_master_key, table_key
from sluice.token_table import issue
from stream_processors.review import shards
from stream_processors.review.commands import simulate

CONTRACT = {
    "partner": "hoshi-card",
    "name": "Hoshi Card",
    "recipient": "corporate_partner",
    "purpose": "marketing.communications.email",
    "country": "AU",
    "valid": {"from": "2026-01-01"},
    "fields": {"given_name": "keep", "email": "keep"},
    "where": {"address.country": ["AU", "JP"]},
}
FIRST, LAST = 1_770_000_000_000, 1_780_000_000_000


def customer(name: str, country: str = "AU", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field of the profile
    own = {"customer_id": name, "given_name": "Hanako", "email": "hanako@example.com", "residence": "AU"}
    return own | {"address": {"country": country}, "updated_at": FIRST} | fields


def answer(name: str, state: str = "GIVEN", at: int = FIRST, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    said = {"purpose": CONTRACT["purpose"], "state": state, "expression": "explicit", "actor": "subject"}
    scope = {"recipient_scope": {"category": "partner", "partner_ids": ["hoshi-card"]}, "data_scope": ["*"]}
    notice = {"notice": {"id": "n", "version": "1", "names_recipients": ["hoshi-card"]}}
    return {"subject_id": name, "event_time": at, "recorded_at": at} | said | scope | notice | fields


CUSTOMERS = [
    customer("grants"),
    customer("abroad", country="US"),
    customer("silent"),
    customer("withdraws"),
    customer("narrow"),
    {"customer_id": "deleted", "$deleted": True},
    customer("bad", email=5),
]
CONSENTS = [
    answer("grants"),
    answer("abroad"),
    answer("withdraws"),
    answer("withdraws", "WITHDRAWN", LAST),
    answer("narrow", data_scope=["user.name"]),
    answer("deleted"),
    answer("bad"),
    answer("stranger"),
]


@dataclass(frozen=True)
class Desk:
    """A privacy officer's folder."""

    folder: Path

    def lines(self, name: str, rows: Sequence[object]) -> str:
        path = self.folder / name
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        return str(path)

    def contracts(self, name: str, *contracts: dict[str, Any]) -> str:
        folder = self.folder / name
        folder.mkdir()
        for contract in contracts:
            (folder / f"{contract['partner']}.yaml").write_text(_yaml(contract), encoding="utf-8")
        return str(folder)

    def simulate(self, *words: str) -> Result:
        return CliRunner().invoke(simulate, [*self.files(), *words])

    def files(self) -> list[str]:
        folder = self.folder
        return [
            f"--customers={folder / 'c.jsonl'}",
            f"--consents={folder / 'e.jsonl'}",
            f"--contracts={folder / 'now'}",
        ]

    def answers(self, *words: str) -> list[dict[str, Any]]:
        result = self.simulate("--json", *words)
        return [json.loads(line) for line in result.stdout.splitlines()]


def _yaml(contract: dict[str, Any]) -> str:
    """JSON is YAML, but for dates."""
    return json.dumps(contract).replace('"2026-01-01"', "2026-01-01")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    own = Desk(tmp_path)
    own.lines("c.jsonl", CUSTOMERS)
    own.lines("e.jsonl", CONSENTS)
    own.contracts("now", CONTRACT)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    return own


def test_each_customer_has_one_line_for_each_partner_in_the_order_of_the_file(desk: Desk) -> None:
    told = [(line["customer"], line["outcome"], line["reason"], line["fields"]) for line in desk.answers()]
    assert told == [
        ("grants", "shared", None, ["given_name", "email"]),
        ("abroad", "withheld", "outside_row_filter", []),
        ("silent", "withheld", told[2][2], []),
        ("withdraws", "withheld", "withdrawn", []),
        ("narrow", "shared", None, ["given_name"]),
        ("deleted", "withheld", "deleted_at_source", []),
        ("bad", "withheld", "profile_unreadable", []),
        ("stranger", "withheld", "no_profile", []),
    ]


def test_a_line_names_the_rules_that_were_passed_or_refuse(desk: Desk) -> None:
    rules = {line["customer"]: line["rules"] for line in desk.answers()}
    assert rules["grants"]
    assert rules["withdraws"]
    assert rules["deleted"] == []
    assert all(names == sorted(names) for names in rules.values())


def test_a_line_has_no_other_keys(desk: Desk) -> None:
    assert [list(line) for line in desk.answers()][:1] == [
        ["customer", "partner", "outcome", "reason", "rules", "fields"]
    ]


def test_time_is_what_at_says(desk: Desk) -> None:
    before = {line["customer"]: line["reason"] for line in desk.answers("--at", "2025-12-31")}
    assert before["grants"] == "contract_not_in_force"


def test_bad_rows_are_told_with_their_line_and_without_their_values(desk: Desk) -> None:
    desk.lines("c.jsonl", [customer("a", email=["hanako"]), customer("b")])
    result = desk.simulate()
    assert "c.jsonl:1: `email` has to be text." in result.stderr
    assert "1 row could not be read." in result.stderr
    assert "hanako" not in result.output
    assert result.exit_code == 0


def test_a_row_that_names_nobody_makes_the_answer_doubtful(desk: Desk) -> None:
    desk.lines("e.jsonl", [answer("grants"), {"state": "WITHDRAWN"}])
    result = desk.simulate("--json")
    assert "e.jsonl:2: " in result.stderr
    assert "1 row of these name no customer" in result.stderr
    assert result.exit_code == 1
    assert json.loads(result.stdout.splitlines()[0])["outcome"] == "shared"


def test_against_other_contracts_every_change_is_told(desk: Desk) -> None:
    named = CONTRACT | {"fields": {"given_name": "keep", "family_name": "keep"}, "where": {"address.country": ["US"]}}
    draft = desk.contracts("draft", named | {"where": {}})
    lines = {line["customer"]: line for line in desk.answers("--against", draft)}
    assert {name: line["change"] for name, line in lines.items()} == {
        "grants": "widened",
        "abroad": "newly_shared",
        "silent": "same",
        "withdraws": "same",
        "narrow": "widened",
        "deleted": "same",
        "bad": "same",
        "stranger": "same",
    }
    assert lines["abroad"]["reason"] == "outside_row_filter"
    assert lines["abroad"]["against"]["fields"] == ["given_name", "family_name"]


def test_a_partner_without_a_contract_any_more_is_recalled_and_a_new_one_is_newly_shared(desk: Desk) -> None:
    other = CONTRACT | {"partner": "sora-air"}
    draft = desk.contracts("draft", other)
    lines = {(line["customer"], line["partner"]): line for line in desk.answers("--against", draft)}
    gone = lines["grants", "hoshi-card"]
    assert (gone["change"], gone["against"]["reason"]) == ("recalled", "contract_not_in_force")
    assert lines["grants", "sora-air"]["reason"] == "contract_not_in_force"


def test_another_transform_rewrites_what_is_shared(desk: Desk) -> None:
    draft = desk.contracts("draft", CONTRACT | {"fields": {"given_name": "keep", "email": "pseudonym"}})
    changes = {line["customer"]: line["change"] for line in desk.answers("--against", draft)}
    assert (changes["grants"], changes["narrow"]) == ("rewritten", "same")


def test_for_people_there_are_figures_by_partner_reason_and_field(desk: Desk) -> None:
    shown = desk.simulate("--at", "2026-11-01").stdout
    assert "8 customers, judged as of 2026-11-01T00:00:00Z" in shown
    assert "hoshi-card: 2 shared, 6 not" in shown
    rows = [line.split() for line in shown.splitlines()]
    assert ["withdrawn", "1"] in rows
    assert ["given_name", "2", "25.0", "%"] in rows
    (email,) = (row for row in rows if row[:1] == ["email"])
    assert email[1] == "1"
    assert len(email) == 6, "the reason why one customer's e-mail stays, and how many there are"


def test_for_people_a_comparison_tells_whom_and_what_it_changes(desk: Desk) -> None:
    draft = desk.contracts("draft", CONTRACT | {"fields": {"given_name": "keep"}, "where": {"address.country": ["US"]}})
    rows = [line.split() for line in desk.simulate("--against", draft).stdout.splitlines()]
    assert ["newly_shared", "1", "outside_row_filter"] in rows
    assert ["recalled", "2", "outside_row_filter"] in rows
    assert ["email", "1", "1"] not in rows
    assert ["given_name", "1", "2"] in rows


def test_several_processes_say_what_one_says(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = desk.simulate("--json", "--at", "2026-11-01").stdout
    monkeypatch.setattr(shards, "SHARD_BYTES", 500)
    assert desk.simulate("--json", "--at", "2026-11-01", "--workers", "2").stdout == alone
    assert list((desk.folder / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--at", "soon"], "--at is no time"),
        (["--customers", "nowhere.csv"], r"nowhere\.csv cannot be read"),
        (["--contracts", "nowhere"], "nowhere"),
        (["--against", "nowhere"], "nowhere"),
        (["--law", "nowhere"], "nowhere"),
        (["--schema", "nowhere.avsc"], "cannot be read as a schema"),
        (["--master-key", "nowhere.key"], "nowhere.key"),
        (["--source", "a:b"], "--source is a name"),
        (["--mapping", "m.yaml"], "A mapping is for CSV"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(desk: Desk, words: list[str], sentence: str) -> None:
    result = desk.simulate(*words)
    assert isinstance(result.exception, SluiceError)
    with pytest.raises(SluiceError, match=sentence):
        raise result.exception


def test_which_of_the_two_files_has_no_header_is_said(desk: Desk) -> None:
    (desk.folder / "none.csv").touch()
    result = desk.simulate("--customers", str(desk.folder / "none.csv"))
    with pytest.raises(SluiceError, match=r"none\.csv: The first line is no CSV header"):
        raise result.exception or AssertionError


def test_files_need_all_three(desk: Desk) -> None:
    result = CliRunner().invoke(simulate, desk.files()[:2])
    assert result.exit_code == 2
    assert "--contracts" in result.stderr


@pytest.mark.parametrize("reached", ["*/customers-*", "*/consents-*", "*/lines-*"])
def test_ctrl_c_ends_it_and_leaves_nothing(desk: Desk, reached: str) -> None:
    desk.lines("c.jsonl", [customer(f"c{n}") for n in range(40_000)])
    desk.lines("e.jsonl", [answer(f"c{n}") for n in range(40_000)])
    scratch = desk.folder / "scratch"
    program = "from sluice.cli import main; main()"
    command = [sys.executable, "-c", program, "simulate", "--json", "--workers", "2", *desk.files()]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        _wait_for(scratch, reached)
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert told.decode().strip() == "Interrupted."
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("reached", ["*/customers-*", "*/lines-*"])
def test_a_request_to_end_leaves_no_customers_and_no_processes_behind(desk: Desk, reached: str) -> None:
    desk.lines("c.jsonl", [customer(f"c{n}") for n in range(40_000)])
    desk.lines("e.jsonl", [answer(f"c{n}") for n in range(40_000)])
    scratch = desk.folder / "scratch"
    program = "from sluice.cli import main; main()"
    command = [sys.executable, "-c", program, "simulate", "--json", "--workers", "2", *desk.files()]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        _wait_for(scratch, reached)
        process.terminate()
        process.communicate(timeout=30)  # comes to its end only when no process holds the pipe any more
    assert process.returncode == 128 + signal.SIGTERM
    assert list(scratch.iterdir()) == []


def test_a_full_disk_is_said_in_a_sentence(desk: Desk) -> None:
    program = "from sluice.cli import main; main()"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", program, "simulate", "--json", *desk.files()],
            stdout=full, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "There is no room left on the disk" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_contracts_with_tokens_need_the_tables_key(desk: Desk) -> None:
    key = desk.folder / "master.key"
    create_master_key(KeyFile(key))
    table = desk.folder / "now" / "tokens" / "names.csv"
    issue(table, table_key(load_master_key(KeyFile(key)), "names"), ["Hanako"])
    fields = {"given_name": {"token": {"table": "names", "required": True}}}
    (desk.folder / "now" / "hoshi-card.yaml").write_text(_yaml(CONTRACT | {"fields": fields}))
    refused = desk.simulate("--json").exception
    assert isinstance(refused, SluiceError)
    assert "name the tables' key with --master-key" in str(refused)
    shared = [one["customer"] for one in desk.answers("--master-key", str(key)) if one["outcome"] == "shared"]
    assert "grants" in shared


def _wait_for(folder: Path, pattern: str) -> None:
    deadline = time.monotonic() + 60
    while not list(folder.glob(pattern)):
        assert time.monotonic() < deadline, "it never began to judge"
        time.sleep(0.05)


def test_a_time_in_the_past_is_judged_by_what_was_known_then(desk: Desk) -> None:
    def of(at: int) -> tuple[str, str | None]:
        when = datetime.fromtimestamp(at / 1000, UTC).isoformat()
        return next((a["outcome"], a["reason"]) for a in desk.answers("--at", when) if a["customer"] == "withdraws")

    assert of(LAST - 10 * 60 * 1000) == ("shared", None), "nobody knew of the withdrawal"
    assert of(LAST) == ("withheld", "withdrawn")
