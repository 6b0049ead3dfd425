"""For whom a process waits: the broker, or the schema registry."""

from __future__ import annotations

import structlog
from prometheus_client import Gauge

from sluice.log import LogUnavailable
from sluice.registry import RegistryUnavailable

_log = structlog.get_logger(__name__)
NEEDED = ("broker", "registry")


class Unavailable:
    """Told in the log and as a gauge with the label `needs`. To be read by other threads."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._set("")

    def met(self, error: LogUnavailable | RegistryUnavailable) -> None:
        needed = "registry" if isinstance(error, RegistryUnavailable) else "broker"
        self._set(needed)
        _log.warning("unavailable", needs=needed, why=str(error))

    def heard(self) -> None:
        """The broker answers. Of the registry nothing is known: what it has said before is not asked for again."""
        if self.needed == "broker":
            self._set("")

    def over(self) -> None:
        if self.needed:  # asked after every batch
            self._set("")

    def _set(self, needed: str) -> None:
        self.needed = needed
        """One of NEEDED, or nothing."""
        for one in NEEDED:
            self._gauge.labels(one).set(one == needed)
