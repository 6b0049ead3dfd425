"""Grafana's dashboards, made of the metrics' declarations: what they ask for is what processes count.

Who watches looks at the overview; the others say where it comes from.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sluice.metrics import catalogue as metrics
from sluice.metrics.queries import Query, grown, held, most, most_grown, per_second, quantile, total, waiting

_COLUMNS = 24
_HEIGHT = 8
_SOURCE = {"type": "prometheus", "uid": "prometheus"}


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    meaning: str
    queries: tuple[Query, ...]
    """All of one unit."""
    type: str = "timeseries"
    width: int = 8

    @property
    def unit(self) -> str:
        (unit,) = {query.unit for query in self.queries}
        return unit


@dataclass(frozen=True, slots=True)
class Dashboard:
    uid: str
    title: str
    panels: tuple[Panel, ...]
    variables: tuple[tuple[str, str], ...] = ()
    """Names, and what Prometheus is asked for their values."""

    def document(self) -> dict[str, Any]:
        """As Grafana reads it, schema version 39."""
        return {
            "uid": self.uid,
            "title": self.title,
            "tags": ["sluice"],
            "schemaVersion": 39,
            "editable": False,
            "refresh": "10s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "links": [{"type": "dashboards", "tags": ["sluice"], "title": "Sluice", "asDropdown": True}],
            "templating": {"list": [_variable(name, asked) for name, asked in self.variables]},
            "panels": [_panel(number, panel, place) for number, (panel, place) in enumerate(_placed(self.panels), 1)],
        }

    def text(self) -> str:
        """The file that Grafana reads."""
        return json.dumps(self.document(), indent=1, ensure_ascii=False) + "\n"


def _placed(panels: tuple[Panel, ...]) -> list[tuple[Panel, dict[str, int]]]:
    """From left to right, a new line where one is full."""
    placed, x, y = [], 0, 0
    for panel in panels:
        if x + panel.width > _COLUMNS:
            x, y = 0, y + _HEIGHT
        placed.append((panel, {"x": x, "y": y, "w": panel.width, "h": _HEIGHT}))
        x += panel.width
    return placed


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + n), "datasource": _SOURCE, "expr": query.expr, "legendFormat": query.legend}
        for n, query in enumerate(panel.queries)
    ]
    defaults = {"unit": panel.unit, "min": 0}
    return {
        "id": number,
        "type": panel.type,
        "title": panel.title,
        "description": panel.meaning,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": targets,
    }


def _variable(name: str, asked: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": asked, "refId": name},
        "refresh": 2,
        "includeAll": False,
        "sort": 1,
    }


_ONE = 'partner="$partner"'

OVERVIEW = Dashboard(
    "sluice-overview",
    "Sluice: overview",
    (
        Panel("Updates and consents a second", metrics.EVENTS.meaning, (per_second(metrics.EVENTS, "topic"),)),
        Panel(
            "From update to partner",
            metrics.UPDATE_TO_COMMIT.meaning,
            (quantile(metrics.UPDATE_TO_COMMIT, 0.5), quantile(metrics.UPDATE_TO_COMMIT, 0.99)),
        ),
        Panel(
            "From withdrawal to recall",
            metrics.WITHDRAWAL_TO_RECALL.meaning,
            (quantile(metrics.WITHDRAWAL_TO_RECALL, 0.5), quantile(metrics.WITHDRAWAL_TO_RECALL, 0.999)),
        ),
        Panel("Behind by", metrics.LAG_SECONDS.meaning, (held(metrics.LAG_SECONDS, "partition"),)),
        Panel(
            "Recalls that are overdue",
            metrics.RECALLS.meaning,
            (most(metrics.RECALLS, "partner", where='state="overdue"'),),
        ),
        Panel(
            "Processes that answer",
            "1 of each that does.",
            (Query('up{job=~"sharing|returns|providers"}', "{{job}} {{instance}}", "bool"),),
        ),
        Panel(
            "Processes that wait",
            "For the broker or the registry: nothing moves meanwhile, nothing is lost.",
            (waiting(),),
        ),
        Panel(
            "Nothing is added",
            metrics.WIDENING_STOPPED.meaning,
            (held(metrics.WIDENING_STOPPED, "partition", "reason"),),
        ),
        Panel("Updates held", metrics.PAUSED.meaning, (held(metrics.PAUSED, "partition"),)),
        Panel("Updates held for", metrics.PAUSED_FOR.meaning, (total(metrics.PAUSED_FOR, "cause"),)),
        Panel(
            "Could not be used, in an hour",
            metrics.REJECTED.meaning,
            (grown(metrics.REJECTED, "1h", "topic", "cause"),),
        ),
    ),
)

PARTNER = Dashboard(
    "sluice-partner",
    "Sluice: one partner",
    (
        Panel(
            "Outcomes a second",
            metrics.OUTCOMES.meaning,
            (per_second(metrics.OUTCOMES, "outcome", where=_ONE),),
            width=12,
        ),
        Panel(
            "Why not, in an hour",
            "Of customers who are not shared, by reason.",
            (grown(metrics.OUTCOMES, "1h", "reason", where=f'{_ONE},outcome="withheld"'),),
            width=12,
        ),
        Panel("Recalls", metrics.RECALLS.meaning, (most(metrics.RECALLS, "state", where=_ONE),)),
        Panel(
            "Returns, in an hour",
            metrics.RETURNS.meaning,
            (grown(metrics.RETURNS, "1h", "type", "outcome", "cause", where=_ONE),),
        ),
        Panel("Paused", metrics.PARTNER_PAUSED.meaning, (most(metrics.PARTNER_PAUSED, "partner", where=_ONE),)),
        Panel("Still to read", metrics.PARTNER_LAG.meaning, (most(metrics.PARTNER_LAG, "partner", where=_ONE),)),
        Panel("Reads nothing", metrics.PARTNER_STALLED.meaning, (most(metrics.PARTNER_STALLED, "topic", where=_ONE),)),
        Panel(
            "Requests and replies a second",
            metrics.PROVIDER_REPLIES.meaning,
            (
                per_second(metrics.PROVIDER_REQUESTS, where=_ONE),
                per_second(metrics.PROVIDER_REPLIES, "outcome", "cause", where=_ONE),
            ),
        ),
    ),
    (("partner", f"label_values({metrics.OUTCOMES.name}, partner)"),),
)

RECALLS = Dashboard(
    "sluice-recalls",
    "Sluice: recalls",
    (
        Panel(
            "Recalls a second",
            "Records taken back from partners.",
            (per_second(metrics.OUTCOMES, "partner", "reason", where='outcome="recalled"'),),
            width=12,
        ),
        Panel(
            "From withdrawal to recall",
            metrics.WITHDRAWAL_TO_RECALL.meaning,
            (
                quantile(metrics.WITHDRAWAL_TO_RECALL, 0.5),
                quantile(metrics.WITHDRAWAL_TO_RECALL, 0.99),
                quantile(metrics.WITHDRAWAL_TO_RECALL, 0.999),
            ),
            width=12,
        ),
        Panel("Open", metrics.RECALLS.meaning, (most(metrics.RECALLS, "partner", where='state="open"'),)),
        Panel("Due soon", metrics.RECALLS.meaning, (most(metrics.RECALLS, "partner", where='state="due_soon"'),)),
        Panel("Overdue", metrics.RECALLS.meaning, (most(metrics.RECALLS, "partner", where='state="overdue"'),)),
        Panel(
            "Came due, in an hour",
            metrics.RECALLS_DUE.meaning,
            (most_grown(metrics.RECALLS_DUE, "1h", "partner", "outcome"),),
        ),
        Panel("Paused partners", metrics.PARTNER_PAUSED.meaning, (most(metrics.PARTNER_PAUSED, "partner"),)),
        Panel(
            "Appended values taken back, in an hour",
            metrics.TAKEN_BACK.meaning,
            (grown(metrics.TAKEN_BACK, "1h"),),
        ),
        Panel(
            "Returns refused, in an hour",
            metrics.RETURNS.meaning,
            (grown(metrics.RETURNS, "1h", "partner", "cause", where='outcome="refused"'),),
        ),
    ),
)

PROCESSOR = Dashboard(
    "sluice-processor",
    "Sluice: inside the processor",
    (
        Panel(
            "Transactions a second",
            metrics.BATCHES.meaning,
            (per_second(metrics.BATCHES), per_second(metrics.ABORTS), per_second(metrics.FENCED)),
        ),
        Panel(
            "Waiting for the consents' end",
            metrics.BARRIER.meaning,
            (quantile(metrics.BARRIER, 0.5), quantile(metrics.BARRIER, 0.99)),
        ),
        Panel("Inputs that wait", metrics.LAG.meaning, (held(metrics.LAG, "partition", "topic"),)),
        Panel(
            "A transaction takes",
            metrics.TRANSACTION.meaning,
            (quantile(metrics.TRANSACTION, 0.5), quantile(metrics.TRANSACTION, 0.99)),
        ),
        Panel("Partitions", metrics.PARTITIONS.meaning, (most(metrics.PARTITIONS),)),
        Panel("Given other partitions, in an hour", metrics.ASSIGNMENTS.meaning, (grown(metrics.ASSIGNMENTS, "1h"),)),
        Panel(
            "Contract set in force",
            metrics.CONTRACT_SET.meaning,
            (total(metrics.CONTRACT_SET, "contract_set"),),
        ),
        Panel("Still to reconcile", metrics.TO_RECONCILE.meaning, (held(metrics.TO_RECONCILE, "partition"),)),
        Panel("Reconciled a second", metrics.RECONCILED.meaning, (per_second(metrics.RECONCILED),)),
        Panel("Catching up", metrics.CATCHING_UP.meaning, (held(metrics.CATCHING_UP, "partition"),)),
        Panel("Still to fold", metrics.TO_FOLD.meaning, (held(metrics.TO_FOLD, "partition"),)),
        Panel("Customers known", metrics.CUSTOMERS.meaning, (held(metrics.CUSTOMERS, "partition"),)),
        Panel("Due later", metrics.DUE.meaning, (held(metrics.DUE, "partition"),)),
        Panel("Stores", metrics.STORE_BYTES.meaning, (held(metrics.STORE_BYTES, "partition"),)),
        Panel("Memory of stores", metrics.STORE_MEMORY.meaning, (total(metrics.STORE_MEMORY),)),
        Panel(
            "Memory",
            "Of each process, as the operating system counts it.",
            (
                Query(
                    'process_resident_memory_bytes{job=~"sharing|returns|providers"}',
                    "{{job}} {{instance}}",
                    "bytes",
                ),
            ),
        ),
        Panel(
            "Processors",
            "How much of a processor each process takes.",
            (
                Query(
                    'rate(process_cpu_seconds_total{job=~"sharing|returns|providers"}[$__rate_interval])',
                    "{{job}} {{instance}}",
                    "percentunit",
                ),
            ),
        ),
    ),
)

DASHBOARDS = (OVERVIEW, PARTNER, RECALLS, PROCESSOR)
