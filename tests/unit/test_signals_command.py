"""`sluice publish signals --dry-run`, as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from producers import commands, file_publication
from schemas import catalogue
from sluice.document import DocumentError
from sluice.errors import SluiceError

DEMO = Path(__file__).parents[2] / "deploy" / "demo"
ROW = {"subject_id": "1", "received_at": "2026-01-01T00:00:00Z"}


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema of consent events is registered."""
    monkeypatch.setattr(file_publication, "registered", lambda *_: (5, catalogue.text("consent_event")))


def published(folder: Path, rows: list[dict[str, object]], *words: str) -> Result:
    (folder / "signals.jsonl").write_text("".join(json.dumps(ROW | row) + "\n" for row in rows), encoding="utf-8")
    settings = f"clients: .\ncontracts: {DEMO / 'contracts'}\nmaster_key: key\nsharing: {{state: state}}\n"
    (folder / "sluice.yaml").write_text(settings, encoding="utf-8")
    arguments = ["signals", str(folder / "signals.jsonl"), "--settings", str(folder / "sluice.yaml"), "--dry-run"]
    return CliRunner().invoke(commands.publish, [*arguments, *words])


def test_one_row_gives_an_event_for_each_thing_it_says(tmp_path: Path) -> None:
    result = published(tmp_path, [{"gpc": "1"}, {"usp": "1YYN"}], "--source", "dell-crm")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("4 events read, 4 valid, nothing written, 0 refused, in ")


def test_consent_objects_are_read_by_the_mapping(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"segment": {"categoryPreferences": {"Email": True}}, "onetrust": "C0004:0"}]
    result = published(tmp_path, rows, "--mapping", str(DEMO / "signals.yaml"), "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["valid"] == 4


def test_a_signal_that_cannot_be_read_exits_1_and_is_told_beside_its_events(tmp_path: Path) -> None:
    result = published(tmp_path, [{"gpc": "1"}, {"usp": "jane@example.com"}], "--json")
    summary = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (summary["read"], summary["valid"], summary["refused"]) == (5, 4, 1)
    assert [(one["line"], one["problem"][:40]) for one in summary["errors"]] == [
        (2, "`usp` cannot be read, published as unkno")
    ]
    assert "jane" not in result.output


def test_a_mapping_names_partners_who_have_a_contract(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("vendors: {755: hoshi-cart}\n", encoding="utf-8")
    result = published(tmp_path, [{"gpc": "1"}], "--mapping", str(tmp_path / "m.yaml"))
    assert isinstance(result.exception, DocumentError)
    assert "did you mean `hoshi-card`?" in str(result.exception)


def test_signals_are_json_lines(tmp_path: Path) -> None:
    result = published(tmp_path, [{"gpc": "1"}], "--format", "csv")
    assert isinstance(result.exception, SluiceError)
    assert "--format jsonl" in str(result.exception)
