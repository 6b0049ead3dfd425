"""Every metric of every process, declared once."""

from sluice.metrics.declaration import Declared, Kind, Unit
from sluice.metrics.latencies import Latencies

__all__ = ["Declared", "Kind", "Latencies", "Unit"]
