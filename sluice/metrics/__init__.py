"""Every metric of every process, declared once: what counts, what alerts and what draws speak of the same."""

from sluice.metrics.declaration import Declared, Kind, Unit
from sluice.metrics.latencies import Latencies

__all__ = ["Declared", "Kind", "Latencies", "Unit"]
