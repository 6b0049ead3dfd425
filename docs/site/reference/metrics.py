"""Every metric, by the process that has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from docs.site.markdown import code, codes, page, prose, table
from sluice.metrics.declaration import Declared
from sluice.metrics.reference import PROCESSES


def metrics() -> str:
    """The page."""
    return page("# Metrics", *(part for process, found in PROCESSES for part in _told(process, found)))


def _told(process: str, found: Sequence[Declared]) -> Iterator[str]:
    yield f"## Of {'every process' if process == 'all' else process}"
    yield table(
        ("metric", "kind", "labels", "unit", "meaning"),
        [(code(one.name), one.kind.value, codes(one.labels), one.unit.value, prose(one.meaning)) for one in found],
    )
