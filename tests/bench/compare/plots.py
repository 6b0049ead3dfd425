"""Draws what was measured: `make bench-plots`.

    python plots.py build/bench docs/benchmarks

Runs with the packages of requirements.txt beside it, not with ours. Draws what there is a file for.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "sluice"  # the same figures, the same file
_INK, _OTHERS = "#1f5f8b", "#b5b5b5"
_SIZE = (6.4, 2.6)
_AXES = {
    "partners": "partners who receive",
    "contracts": "contracts, of which one applies",
    "customers": "customers",
    "record": "bytes more in a record",
    "consent": "share of who consents",
}
_TOO_MANY_FOR_ONE_SCALE = 20
"""From here on what is on an axis is shown by its order of magnitude."""


def compared(report: Any, target: Path) -> None:  # noqa: ANN401 - JSON
    """Everybody's rounds, and their medians."""
    speeds: dict[str, list[int]] = dict(sorted(report["events_per_second"].items(), key=lambda one: max(one[1])))
    figure, axes = plt.subplots(figsize=_SIZE, layout="constrained")
    for row, (name, rounds) in enumerate(speeds.items()):
        median = statistics.median(rounds)
        axes.barh(row, median, color=_INK if name == "sluice" else _OTHERS)
        axes.plot(rounds, [row] * len(rounds), "|", color="black", markersize=10)
        axes.annotate(f" {median:,.0f}", (max(rounds), row), va="center")
    axes.set_yticks(range(len(speeds)), list(speeds))
    axes.set_xlabel(f"events a second, W1, {report['customers']:,} customers, {report['updates']:,} updates")
    axes.margins(x=0.15)
    _save(figure, target / "compared.svg")


def dimension(name: str, points: list[dict[str, float]], target: Path) -> None:
    """What one event costs, and the most memory."""
    figure, (cost, memory) = plt.subplots(1, 2, figsize=_SIZE, layout="constrained")
    values = [one["value"] for one in points]
    cost.plot(values, [1e6 / one["events_per_second"] for one in points], "o-", color=_INK)
    cost.set_ylabel("microseconds an event")
    memory.plot(values, [one["memory_mb"] for one in points], "o-", color=_INK)
    memory.set_ylabel("MB")
    for axes in (cost, memory):
        axes.set_ylim(bottom=0)
        axes.set_xlabel(_AXES[name])
        if max(values) > _TOO_MANY_FOR_ONE_SCALE * max(min(values), 1):
            axes.set_xscale("symlog" if min(values) == 0 else "log")
    _save(figure, target / f"{name}.svg")


def latencies(report: Any, target: Path) -> None:  # noqa: ANN401 - JSON
    figure, axes = plt.subplots(figsize=_SIZE, layout="constrained")
    for name, by_rate in report["milliseconds"].items():
        rates = [int(rate) for rate in by_rate]
        for share, line in (("p50", "-"), ("p99", "--")):
            color = _INK if name == "sluice" else _OTHERS
            axes.plot(
                rates, [one[share] for one in by_rate.values()], f"o{line}", color=color, label=f"{name}, {share}"
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("updates a second")
    axes.set_ylabel("ms to the partner")
    axes.legend(fontsize="small")
    _save(figure, target / "latency.svg")


def _save(figure: Any, path: Path) -> None:  # noqa: ANN401 - matplotlib's
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in source.glob("*.json")}
    if "latest" in found:
        compared(found["latest"], target)
    for name, points in found.get("dimensions", {"dimensions": {}})["dimensions"].items():
        if name in _AXES:
            dimension(name, points, target)
    if "latency" in found:
        latencies(found["latency"], target)


if __name__ == "__main__":
    main()
