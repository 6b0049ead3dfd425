"""Every alert and what it asks Prometheus; what to do about it stands in docs/alerts.md."""

from __future__ import annotations

from collections.abc import Iterator

from docs.site.markdown import block, code, items, page, prose
from sluice.metrics import objectives
from sluice.metrics.alerts import CAUSES, Alert


def alerts() -> str:
    """The page."""
    return page(
        "# Alerts",
        prose("As `sluice render prometheus` gives them to Prometheus."),
        "## Promises",
        *(part for objective in objectives.OBJECTIVES for part in _promise(objective)),
        "## Causes",
        *(part for alert in CAUSES for part in _told(alert)),
    )


def _promise(objective: objectives.Objective) -> Iterator[str]:
    yield f"### {objective.name.capitalize()}"
    yield prose(f"{objective.share:.4g} of `{objective.all}` are `{objective.good}`. Recorded:")
    yield block("\n".join(f"{rule['record']} = {rule['expr']}" for rule in objectives.recorded(objective)), "promql")
    for alert in objectives.alerts(objective):
        yield from _told(alert)


def _told(alert: Alert) -> Iterator[str]:
    yield f"### {alert.name}"
    yield items(
        [
            f"Severity: {alert.severity.value}",
            f"Has to hold for: {alert.lasting}",
            f"Says: {code(alert.summary)}",
            f"[What to do](../{alert.runbook()})",
        ]
    )
    yield block(alert.expr, "promql")
