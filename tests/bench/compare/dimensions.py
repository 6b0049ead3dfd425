"""What a little more of one thing costs: partners, customers, the size of records, the share of who consents, workers.

    python -m tests.bench.compare.dimensions [partners contracts customers record consent workers] [--updates 80000]

Each point is workload W1 with one thing otherwise, on a broker of its own that begins empty. How far the processor has
come is seen from outside. `contracts`: of so many contracts only the first is anybody's to consent to. `workers`: one
and two take turns on the same records, five times. Prints a line each, and writes them to build/bench/dimensions.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.bench import w1
from tests.bench.compare.contestants import FOLDER, OURS, TWO_WORKERS, Contestant, Run, circumstances, prepare, run, say
from tests.bench.compare.field import add_updates, field


class Point(NamedTuple):
    """One value of a dimension."""

    value: float
    variant: w1.Variant = w1.W1
    customers: int | None = None
    """None: as the options say."""
    contestant: Contestant = OURS


DIMENSIONS: dict[str, list[Point]] = {
    "partners": [Point(n, w1.Variant(partners=n)) for n in (1, 3, 10, 50)],
    "contracts": [Point(n, w1.Variant(partners=n, applying=1)) for n in (1, 10, 50)],
    "customers": [Point(n, w1.Variant(partners=1), n) for n in (10_000, 100_000, 500_000, 2_000_000)],
    "record": [Point(n, w1.Variant(note_bytes=n)) for n in (0, 1_000, 10_000)],
    "consent": [Point(share, w1.Variant(consenting=share)) for share in (0.0, 0.25, 0.5, 1.0)],
    "workers": [Point(number, contestant=one) for number, one in ((1, OURS), (2, TWO_WORKERS))] * 5,
}


def main() -> None:
    options = _options()
    path = options.folder / "dimensions.json"
    for name in options.dimensions:
        say(name)
        points = [point for point in DIMENSIONS[name] if not options.values or point.value in options.values]
        told = [_told(point, done) for point, done in _measured(points, options)]
        if name == "workers" and not options.values:
            one, two = (_median(told, number) for number in (1, 2))
            say(f"two workers do {two / one:.2f} of what one does, medians of five")
        known = json.loads(path.read_text(encoding="utf-8"))["dimensions"] if path.exists() else {}
        report = {**circumstances(), "updates": options.updates, "dimensions": known | {name: told}}
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _measured(points: list[Point], options: argparse.Namespace) -> Iterator[tuple[Point, Run]]:
    for point in points:
        customers = point.customers or options.customers
        with field(options.folder / "field", customers, max(options.updates, customers), point.variant) as there:
            prepare(point.contestant, there)
            add_updates(there)
            done = run(point.contestant, there)
        say(f"  {point.value:g}: {done.events_per_second:,.0f} events/s, {done.memory_mb:,.0f} MB")
        yield point, done


def _told(point: Point, done: Run) -> dict[str, float]:
    return {
        "value": point.value,
        "events_per_second": round(done.events_per_second),
        "memory_mb": round(done.memory_mb),
    }


def _median(told: list[dict[str, float]], value: float) -> float:
    return statistics.median(one["events_per_second"] for one in told if one["value"] == value)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dimensions", nargs="*", choices=[*DIMENSIONS, []], help="[all]")
    parser.add_argument("--values", type=float, nargs="+", help="of all that a dimension has, only these")
    parser.add_argument("--customers", type=int, default=20_000, help="[20000]")
    parser.add_argument("--updates", type=int, default=80_000, help="[80000]; each customer has one, at the least")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"[{FOLDER}]")
    options = parser.parse_args()
    options.dimensions = options.dimensions or list(DIMENSIONS)
    return options


if __name__ == "__main__":
    main()
