"""The page on alerts says what the drill found, and the drill knows every fault that the chaos tests know."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from sluice.metrics.alerts import CAUSES
from tests.chaos.drill import Found
from tests.chaos.drill_faults import FAULTS
from tests.chaos.drill_table import table

ROOT = Path(__file__).parents[2]
REPORT = json.loads((ROOT / "docs/benchmarks/drill.json").read_text(encoding="utf-8"))
"""Put together from what runs of `make drill` have written."""
FOUND = {
    one["fault"]: Found(**{name: value for name, value in one.items() if name != "passed"}) for one in REPORT["faults"]
}
OF_OPERATION = {"returns_killed", "providers_killed", "silent_partner", "bad_deploy", "transaction_left_open"}
"""Not the sharing loop's to survive."""


def test_the_page_shows_what_was_found() -> None:
    assert table(REPORT["faults"]) in (ROOT / "docs/alerts.md").read_text(encoding="utf-8")


def test_a_fault_that_could_not_be_done_was_not_drilled() -> None:
    found: dict[str, Any] = {"woken_for": [], "condition_seconds": None, "fired_seconds": None, "calm_seconds": 0.0}
    assert "| `frozen` | nothing |" in table([{"fault": "frozen", "not_done": "", **found}])
    assert "| `frozen` | not drilled |" in table([{"fault": "frozen", "not_done": "nobody was there", **found}])


def test_nobody_was_woken_in_an_hour_of_load() -> None:
    assert REPORT["quiet"]["minutes"] >= 60
    assert REPORT["quiet"]["fired"] == []
    assert REPORT["quiet"]["updates"] > 0


def test_every_fault_woke_who_it_should_and_nobody_else() -> None:
    assert REPORT["passed"]
    assert [one["fault"] for one in REPORT["faults"]] == [fault.name for fault in FAULTS]
    assert [name for name, found in FOUND.items() if not found.passed] == []


def test_every_fault_was_drilled_with_the_patience_that_alerts_have() -> None:
    lasting = {alert.name: alert.lasting for alert in CAUSES}
    assert {name: one.patience for name, one in FOUND.items() if one.alert} == {
        name: lasting[one.alert] for name, one in FOUND.items() if one.alert
    }


def test_every_fault_of_the_chaos_tests_is_drilled() -> None:
    text = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .* \| (`test_\w+`.*) \| (`\w+`.*) \|$", text, re.MULTILINE)
    named = {name for _, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert named | OF_OPERATION == {fault.name for fault in FAULTS}
    told = {name for tests, _ in rows for name in re.findall(r"`(test_\w+)`", tests)}
    chaos = (ROOT / "tests/chaos/test_chaos.py").read_text(encoding="utf-8")
    assert told == set(re.findall(r"^def (test_\w+)", chaos, re.MULTILINE))
