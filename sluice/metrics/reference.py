"""The metrics as docs/operating.md lists them."""

from __future__ import annotations

from collections.abc import Sequence

from sluice.metrics import catalogue
from sluice.metrics.declaration import Declared

PROCESSES: tuple[tuple[str, Sequence[Declared]], ...] = (
    ("all", catalogue.OF_EACH),
    ("`run sharing`", catalogue.SHARING),
    ("`run returns`", catalogue.ON_RETURNS),
    ("`run providers`", catalogue.ON_PROVIDERS),
)


def table() -> str:
    """In Markdown."""
    rows = [
        f"| {process} | `{metric.name}` | {', '.join(metric.labels)} | {metric.unit.value} | {metric.meaning} |"
        for process, metrics in PROCESSES
        for metric in metrics
    ]
    return "\n".join(["| of | metric | labels | unit | meaning |", "|---|---|---|---|---|", *rows])
