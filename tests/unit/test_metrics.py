"""What is declared about metrics: names as Prometheus wants them, and everything that is made of them is up to date."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sluice.metrics import Declared, Kind, Unit, catalogue, reference
from sluice.metrics.dashboards import DASHBOARDS, Dashboard, Panel

EVERYTHING = catalogue.EVERYTHING


def test_each_is_declared_once() -> None:
    names = [metric.name for metric in EVERYTHING]
    assert len(names) == len(set(names))
    declared = {value for value in vars(catalogue).values() if isinstance(value, Declared)}
    assert declared == set(EVERYTHING)


@pytest.mark.parametrize("metric", EVERYTHING, ids=lambda metric: metric.name)
def test_names_and_units_are_prometheus_own(metric: Declared) -> None:
    """As https://prometheus.io/docs/practices/naming has them."""
    assert re.fullmatch(r"sluice_[a-z_]+", metric.name)
    assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total")
    assert (metric.unit is Unit.SECONDS) == metric.name.endswith("_seconds")
    assert (metric.unit is Unit.BYTES) == metric.name.endswith("_bytes")
    assert metric.meaning.endswith(".")


def test_the_docs_list_all_of_them() -> None:
    assert reference.table() in Path("docs/operating.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_the_dashboard_that_is_deployed_is_the_one_that_is_made(dashboard: Dashboard) -> None:
    deployed = Path("deploy/grafana", f"{dashboard.uid}.json").read_text(encoding="utf-8")
    assert deployed == dashboard.text()
    assert json.loads(deployed)["uid"] == dashboard.uid


def test_every_metric_is_drawn_somewhere() -> None:
    drawn = " ".join(query.expr for one in DASHBOARDS for panel in one.panels for query in panel.queries)
    assert {metric.name for metric in EVERYTHING if metric.name not in drawn} == {catalogue.BUILD.name}


@pytest.mark.parametrize("panel", [panel for one in DASHBOARDS for panel in one.panels], ids=lambda panel: panel.title)
def test_a_panel_has_the_unit_of_what_it_draws(panel: Panel) -> None:
    for query in panel.queries:
        assert panel.unit == _unit(query.expr), query.expr


def _unit(expr: str) -> str:
    """As Grafana names it, by what is asked."""
    asked, _, _ = expr.partition(" unless ")
    if asked.startswith("histogram_quantile("):
        return "s"
    if "process_cpu_seconds_total" in asked:
        return "percentunit"
    if "rate(" in asked:
        return "cps"
    if "increase(" in asked:
        return "short"
    if asked.startswith("up{"):
        return "bool"
    (kind,) = {one.unit for one in EVERYTHING if re.search(rf"\b{one.name}\b", asked)} or {Unit.BYTES}
    is_counted = kind is Unit.FLAG and asked.startswith(("sum(", "sum by (needs)"))
    return (
        "short" if is_counted else {Unit.SECONDS: "s", Unit.BYTES: "bytes", Unit.FLAG: "bool_on_off"}.get(kind, "short")
    )
