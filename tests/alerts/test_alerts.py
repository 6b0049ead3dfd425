"""Each alert before Prometheus' own promtool: it fires where it should, and nowhere else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import cast

import pytest
import yaml
from click.testing import CliRunner

from sluice.metrics import rules
from sluice.metrics.alerts import CAUSES, Alert
from sluice.metrics.objectives import OBJECTIVES, alerts
from sluice.render_commands import render
from tests.alerts.cases import CASES, PENDING, Case

ALERTS = {alert.name: alert for alert in (*CAUSES, *(one for objective in OBJECTIVES for one in alerts(objective)))}


@pytest.fixture(scope="module")
def promtool() -> str:
    fetched = Path("build/prometheus/usr/bin/promtool")
    found = str(fetched) if fetched.exists() else shutil.which("promtool")
    if found is None:
        assert not os.environ.get("REQUIRE_PROMETHEUS"), "promtool is required, and not there"
        pytest.skip("no promtool: `make alerts` fetches it")
    return found


@pytest.fixture(scope="module")
def rules_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rules") / "sluice.yaml"
    path.write_text(rules.document(), encoding="utf-8")
    return path


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert}-{'fires' if case.fires is not None else 'not'}")
def test_an_alert_fires_when_it_should_and_not_otherwise(
    promtool: str, rules_file: Path, tmp_path: Path, case: Case
) -> None:
    _try(promtool, tmp_path, _asked(rules_file, case, ALERTS[case.alert]))


def _try(promtool: str, tmp_path: Path, asked: dict[str, object]) -> None:
    file = tmp_path / "asked.yaml"
    file.write_text(json.dumps(asked), encoding="utf-8")  # JSON is YAML
    done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _asked(rules_file: Path, case: Case, alert: Alert) -> dict[str, object]:
    expected: dict[str, object] = {"eval_time": case.after, "alertname": case.alert}
    if case.fires is not None:
        labels = {"severity": alert.severity.value, **case.fires}
        annotations = {"summary": case.says, "runbook_url": alert.runbook()}
        expected["exp_alerts"] = [{"exp_labels": labels, "exp_annotations": annotations}]
    return {
        "rule_files": [str(rules_file)],
        "evaluation_interval": case.every,
        "tests": [
            {
                "interval": case.every,
                "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
                "alert_rule_test": [expected],
            }
        ],
    }


@pytest.mark.parametrize("name", PENDING)
def test_an_alert_is_as_patient_as_it_says(promtool: str, rules_file: Path, tmp_path: Path, name: str) -> None:
    case = next(case for case in CASES if case.alert == name and case.fires is not None)
    still_waits = f'count(ALERTS{{alertname="{name}",alertstate="pending"}})'
    asked = _asked(rules_file, case, ALERTS[name])
    (test,) = cast("list[dict[str, object]]", asked["tests"])
    del test["alert_rule_test"]
    sample = {"labels": "{}", "value": 1}
    test["promql_expr_test"] = [{"expr": still_waits, "eval_time": PENDING[name], "exp_samples": [sample]}]
    _try(promtool, tmp_path, asked | {"evaluation_interval": "15s"})


def test_each_that_has_patience_is_asked_while_it_has() -> None:
    assert {name for name, alert in ALERTS.items() if alert.lasting != "0s"} == set(PENDING)


def test_prometheus_takes_the_settings_that_compose_gives_it(promtool: str, tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    shutil.copytree("deploy/prometheus", folder)
    settings = tmp_path / "prometheus.yaml"
    text = Path("deploy/compose/prometheus.yaml").read_text(encoding="utf-8")
    assert "/etc/prometheus/rules/" in text
    settings.write_text(text.replace("/etc/prometheus/rules/", f"{folder}/"), encoding="utf-8")
    done = subprocess.run([promtool, "check", "config", str(settings)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rules found" in done.stdout


def test_each_alert_is_shown_both() -> None:
    assert {case.alert for case in CASES if case.fires is not None} == set(ALERTS)
    assert {case.alert for case in CASES if case.fires is None} == set(ALERTS)


def test_each_alert_has_its_section() -> None:
    """And each section its alert; with the severity that it has."""
    sections = re.findall(
        r"^### (Sluice\w+)\n\n\*\*(Page|Ticket)\.\*\*", Path("docs/alerts.md").read_text("utf-8"), re.MULTILINE
    )
    assert {name: severity.lower() for name, severity in sections} == {
        alert.name: alert.severity.value for alert in ALERTS.values()
    }


def test_each_leads_to_its_section_wherever_the_page_is() -> None:
    told = yaml.safe_load(
        CliRunner().invoke(render, ["prometheus", "--runbooks", "https://docs.example/alerts/"]).output
    )
    every = [rule for group in told["groups"] for rule in group["rules"] if "alert" in rule]
    links = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in every}
    assert links == {name: f"https://docs.example/alerts/#{name.lower()}" for name in ALERTS}


def test_the_rules_that_are_deployed_are_the_ones_that_are_made() -> None:
    assert Path("deploy/prometheus/sluice.yaml").read_text(encoding="utf-8") == rules.document()
    assert Path("deploy/kubernetes/base/rules.yaml").read_text(encoding="utf-8") == rules.resource()
