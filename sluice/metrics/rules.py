"""The rules as a file that Prometheus reads."""

from __future__ import annotations

import yaml

from sluice.metrics.alerts import CAUSES
from sluice.metrics.objectives import OBJECTIVES, Rule, alerts, recorded

_HEAD = "# Made by `sluice render prometheus`; what to do about each alert stands in docs/alerts.md.\n"


def document() -> str:
    """A group for each objective and one for causes."""
    groups: list[dict[str, object]] = []
    for objective in OBJECTIVES:
        rules: list[Rule] = [*recorded(objective), *(alert.rule() for alert in alerts(objective))]
        groups.append({"name": f"sluice-{objective.name}", "rules": rules})
    groups.append({"name": "sluice-causes", "rules": [alert.rule() for alert in CAUSES]})
    return _HEAD + str(yaml.safe_dump({"groups": groups}, sort_keys=False, width=1000))
