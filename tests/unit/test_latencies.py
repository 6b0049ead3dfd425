"""Told of many at once, it says what the library's own histogram says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from sluice.metrics.latencies import Latencies

BOUNDS = (0.005, 0.01, 1, 2.5, 60)


@given(st.lists(st.lists(st.integers(-10, 100_000) | st.sampled_from([5, 10, 1_000, 2_500, 60_000])), max_size=3))
def test_as_the_librarys_own(batches: list[list[int]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    latencies = Latencies("seconds", "Some.", BOUNDS)
    ours.register(latencies)
    histogram = Histogram("seconds", "Some.", buckets=BOUNDS, registry=theirs)
    for batch in batches:
        latencies.observe(batch)
        for value in batch:
            histogram.observe(max(value, 0) / 1000)
    assert _told(ours) == _told(theirs)


def _told(registry: CollectorRegistry) -> list[str]:
    lines = generate_latest(registry).decode().splitlines()
    kept = [line for line in lines if "_created" not in line]
    return [line if "_sum" not in line else f"{float(line.split()[1]):.6f}" for line in kept]
