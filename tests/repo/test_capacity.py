"""The page on capacity says what was measured, and what follows from it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.bench.compare import sizing
from tests.bench.compare.sizing import Measured

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "docs/benchmarks/capacity.json"
"""As `make bench-capacity` has written it."""


def test_the_tables_of_the_page_are_those_of_the_figures() -> None:
    measured = Measured(**json.loads(FIGURES.read_text(encoding="utf-8"))["measured"])
    assert sizing.tables(measured) in (ROOT / "docs/capacity.md").read_text(encoding="utf-8")


def test_ten_times_the_events_need_ten_times_as_much() -> None:
    measured = Measured(
        60.0,
        30.0,
        10_000,
        1.5,
        1.0,
        dict.fromkeys(("update", "consent", "disclosure", "delivery"), 100.0),
        1_000,
        2_000,
        4_000,
        1_000,
    )
    small, large = sizing.for_rate(measured, 10_000), sizing.for_rate(measured, 100_000)
    assert (small.processes, small.broker_cores, small.partitions) == (1, 1, 4)
    assert (large.processes, large.broker_cores, large.partitions) == (10, 5, 32)
    assert small.written_mb_per_second == 10_000 * 350 * 3 / 1e6
    assert large.for_ever_gb_a_day == 10 * small.for_ever_gb_a_day == 100_000 * 100 * 3 * 86_400 / 1e9
    customers = sizing.for_customers(measured, 1_000_000)
    assert customers.newest_gb == 1_000_000 * (100 + 300 + 150 + 100) * 3 / 1e9
    assert customers.reconciled_hours == 1_000_000 / 1_000 / 3_600
