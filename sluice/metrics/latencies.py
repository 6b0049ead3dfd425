"""A histogram that is told of many events at once: the client library takes two microseconds for each."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Latencies(Collector):
    """Of events, in seconds; a cumulative histogram as Prometheus has it."""

    def __init__(self, name: str, documentation: str, bounds: Sequence[float]) -> None:
        """`bounds` of the buckets, in seconds, ascending; each includes its own."""
        self._name = name
        self._documentation = documentation
        self._bounds = [*bounds, float("inf")]
        self._bounds_ms = [bound * 1000 for bound in bounds]
        self._counts = [0] * len(self._bounds)
        self._sum_ms = 0

    def observe(self, milliseconds: Iterable[int]) -> None:
        """What clocks make negative counts as nothing."""
        counts, bounds = self._counts, self._bounds_ms
        for value in milliseconds:
            taken = max(value, 0)
            counts[bisect_left(bounds, taken)] += 1
            self._sum_ms += taken

    def collect(self) -> Iterator[Metric]:
        labels = map(floatToGoString, self._bounds)
        buckets = list(zip(labels, map(float, accumulate(self._counts)), strict=True))
        yield HistogramMetricFamily(self._name, self._documentation, buckets=buckets, sum_value=self._sum_ms / 1000)
