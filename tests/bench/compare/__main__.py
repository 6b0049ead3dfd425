"""Everybody on the same broker, topics and records, one after the other (`make bench`, docs/benchmarks.md).

    python -m tests.bench.compare [--customers 100000] [--updates 400000] [--rounds 3] [--only NAME …]

Each round is a broker of its own with workload W1 on it. Everybody works off the consents first, and then the updates,
which are all there by then. How far a contestant has come is seen from outside, by the offsets that its group has
committed; how long it takes to start does not count. Prints a table, and writes the figures to build/bench/latest.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.compare.contestants import CONTESTANTS, FOLDER, LIMIT, Run, circumstances, prepare, run, say
from tests.bench.compare.field import add_updates, field


def main() -> None:
    options = _options()
    chosen = [one for one in CONTESTANTS if not options.only or one.name in options.only]
    runs: dict[str, list[Run]] = {one.name: [] for one in chosen}
    for number in range(options.rounds):
        with field(options.folder / "field", options.customers, options.updates) as there:
            for one in chosen:
                prepare(one, there)
            add_updates(there)
            say(f"round {number + 1} of {options.rounds}: {there.consents:,} consents and {there.updates:,} updates")
            for one in chosen:
                done = run(one, there)
                runs[one.name].append(done)
                say(f"  {one.name}: {done.events_per_second:,.0f} events/s, {done.memory_mb:,.0f} MB")
    report = _report(runs, options)
    (options.folder / "latest.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    say(_table(runs))


def _report(runs: Mapping[str, Sequence[Run]], options: argparse.Namespace) -> dict[str, object]:
    return {
        **circumstances(),
        "customers": options.customers,
        "updates": options.updates,
        "events_per_second": {name: [round(run.events_per_second) for run in some] for name, some in runs.items()},
        "memory_mb": {name: [round(run.memory_mb) for run in some] for name, some in runs.items()},
    }


def _table(runs: Mapping[str, Sequence[Run]]) -> str:
    """Medians and spread, and each one's share of the limit in the same round."""
    lines = ["", "| | events/s, median (least to most) | of the limit | memory, MB |", "|---|---|---|---|"]
    limits = [run.events_per_second for run in runs.get(LIMIT.name, ())]
    for name, some in runs.items():
        speeds = [run.events_per_second for run in some]
        shares = [speed / limit for speed, limit in zip(speeds, limits, strict=False)]
        share = f"{statistics.median(shares):.2f}" if shares else ""
        spread = f"{statistics.median(speeds):,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f})"
        lines.append(f"| {name} | {spread} | {share} | {max(run.memory_mb for run in some):,.0f} |")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=100_000, help="[100000]")
    parser.add_argument("--updates", type=int, default=400_000, help="[400000]")
    parser.add_argument("--rounds", type=int, default=3, help="[3]")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"[{FOLDER}]")
    parser.add_argument("--only", nargs="*", default=[], help="names of contestants [all]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
