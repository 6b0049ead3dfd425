"""The rules as a file that Prometheus reads."""

from __future__ import annotations

import yaml

from sluice.metrics.alerts import CAUSES, RUNBOOK
from sluice.metrics.objectives import OBJECTIVES, Rule, alerts, recorded

_HEAD = "# Made by `sluice render prometheus`; what to do about each alert stands in docs/alerts.md.\n"


def document(page: str = RUNBOOK) -> str:
    """The file of rules that Prometheus reads. `page`: where its users find docs/alerts.md."""
    return _HEAD + _text({"groups": _groups(page)})


def resource(page: str = RUNBOOK) -> str:
    """The same as a PrometheusRule, for Prometheus' operator on Kubernetes."""
    head = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": "sluice"}}
    return _HEAD.replace("prometheus`", "prometheus --kubernetes`") + _text({**head, "spec": {"groups": _groups(page)}})


def _text(content: dict[str, object]) -> str:
    return str(yaml.safe_dump(content, sort_keys=False, width=1000))


def _groups(page: str) -> list[dict[str, object]]:
    """One for each objective and one for causes."""
    groups: list[dict[str, object]] = []
    for objective in OBJECTIVES:
        rules: list[Rule] = [*recorded(objective), *(alert.rule(page) for alert in alerts(objective))]
        groups.append({"name": f"sluice-{objective.name}", "rules": rules})
    groups.append({"name": "sluice-causes", "rules": [alert.rule(page) for alert in CAUSES]})
    return groups
