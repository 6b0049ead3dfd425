"""What a metric is, before anything counts with it.

Names follow https://prometheus.io/docs/practices/naming: base units, `_total` for what only grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sluice.metrics.latencies import Latencies

_BOUNDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600)
"""Seconds: from a batch of a few records to a broker that was away for an hour."""


class Unit(StrEnum):
    """What a value counts."""

    RECORDS = "records"
    CUSTOMERS = "customers"
    RECALLS = "recalls"
    TRANSACTIONS = "transactions"
    TIMES = "times"
    COUNT = "of them"
    SECONDS = "seconds"
    BYTES = "bytes"
    FLAG = "1 or 0"


class Kind(StrEnum):
    """Prometheus' own words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric. Labels come from contracts and code, never from customers' data, so their sets are bounded."""

    kind: Kind
    name: str
    meaning: str
    unit: Unit
    labels: tuple[str, ...] = ()

    def counter(self, registry: CollectorRegistry) -> Counter:
        assert self.kind is Kind.COUNTER
        return Counter(self.name, self.meaning, self.labels, registry=registry)

    def gauge(self, registry: CollectorRegistry) -> Gauge:
        assert self.kind is Kind.GAUGE
        return Gauge(self.name, self.meaning, self.labels, registry=registry)

    def histogram(self, registry: CollectorRegistry) -> Histogram:
        assert self.kind is Kind.HISTOGRAM
        return Histogram(self.name, self.meaning, self.labels, buckets=_BOUNDS, registry=registry)

    def latencies(self, registry: CollectorRegistry) -> Latencies:
        """A histogram that is told of many at once, in milliseconds."""
        assert self.kind is Kind.HISTOGRAM
        made = Latencies(self.name, self.meaning, _BOUNDS)
        registry.register(made)
        return made
