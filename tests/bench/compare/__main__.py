"""Everybody on the same broker, topics and records, one after the other (`make bench`, docs/benchmarks.md).

    python -m tests.bench.compare [--customers 100000] [--updates 400000] [--rounds 3] [--only NAME …]

Each round is a broker of its own with workload W1 on it. How far a contestant has come is seen from outside, by the
offsets that its group has committed; how long it takes to start does not count. Prints a table, and writes the figures
to build/bench/latest.json.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from sluice import topics
from sluice.cli import form
from tests.bench.compare.field import GROUP, Field, Watch, events_per_second, field
from tests.chaos.machine import machine

FOLDER = Path("build/bench")
_HERE = Path(__file__).parent
_PATIENCE_SECONDS = 30.0
_KIBIBYTE = 1024


@dataclass(frozen=True, slots=True)
class Contestant:
    """A program that works off the updates, for as long as it is let."""

    name: str
    group: str
    command: Sequence[str]
    """With {settings}, {told} and {group}."""
    before: Sequence[str] = ()
    """Loads the consents, where the program would otherwise not wait for them."""
    share: float = 1.0
    """Of the updates: who is slow is measured on fewer."""


@dataclass(frozen=True, slots=True)
class Run:
    events_per_second: float
    memory_mb: float
    """The most that the process had."""


OURS = Contestant(
    "sluice",
    GROUP,
    (sys.executable, "-m", "sluice", "run", "sharing", "--metrics-port", "0", "--settings", "{settings}"),
)
TWO_WORKERS = Contestant("sluice, two workers", GROUP, (*OURS.command, "--workers", "2"))
LIMIT = Contestant("limit", "bench.limit", (sys.executable, "-m", "tests.bench.compare.limit", "{settings}", "{group}"))
_THEIRS = str(FOLDER / "venv/bin/python")
_FAUST = (_THEIRS, str(_HERE / "with_faust.py"), "{told}", "{group}")
QUIX = Contestant("quix streams", "bench.quix", (_THEIRS, str(_HERE / "with_quix.py"), "{told}", "{group}"), share=0.5)
FAUST = Contestant("faust", "bench.faust", _FAUST, before=(*_FAUST, "consents"), share=0.1)
CONTESTANTS = (OURS, LIMIT, QUIX, FAUST)
"""Ours first: the limit writes what it wrote."""


def main() -> None:
    options = _options()
    chosen = [one for one in CONTESTANTS if not options.only or one.name in options.only]
    runs: dict[str, list[Run]] = {one.name: [] for one in chosen}
    for number in range(options.rounds):
        with field(FOLDER / "field", options.customers, options.updates) as there:
            _say(f"round {number + 1} of {options.rounds}: {there.consents:,} consents and {there.updates:,} updates")
            for one in chosen:
                done = _run(one, there)
                runs[one.name].append(done)
                _say(f"  {one.name}: {done.events_per_second:,.0f} events/s, {done.memory_mb:,.0f} MB")
    report = _report(runs, options)
    (FOLDER / "latest.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    _say(_table(runs))


def _run(one: Contestant, there: Field) -> Run:
    if one.before:
        _until(one, one.before, there, topics.CONSENT_EVENTS, there.consents)
    return _until(one, one.command, there, topics.CUSTOMER_UPDATES, int(there.updates * one.share))


def _until(one: Contestant, command: Sequence[str], there: Field, topic: str, count: int) -> Run:
    """A program, until its group has come so far in a topic."""
    whole = [part.format(settings=there.settings_path, told=there.told, group=one.group) for part in command]
    log = there.folder / f"{one.name.replace(' ', '-')}.log"
    watch = Watch(there.settings, one.group, topic)
    with log.open("ab") as file, subprocess.Popen(whole, stdout=file, stderr=file) as process:
        try:
            seen = watch.until(count, lambda: process.poll() is None)
            memory = _most_memory_mb(process.pid)
            process.send_signal(signal.SIGTERM)
            process.wait(_PATIENCE_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{one.name} {error}: {log.read_text()[-2_000:]}") from None
        finally:
            process.kill()
    return Run(events_per_second(seen), memory)


def _most_memory_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * _KIBIBYTE / 1e6


def _report(runs: Mapping[str, Sequence[Run]], options: argparse.Namespace) -> dict[str, object]:
    return {
        "machine": machine(),
        "versions": {name: version(name) for name in ("sluice", "confluent-kafka", "fastavro", "rocksdict")},
        "form": form(),
        "command": " ".join(["python -m tests.bench.compare", *sys.argv[1:]]),
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
    parser.add_argument("--only", nargs="*", default=[], help="names of contestants [all]")
    return parser.parse_args()


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a program of the command line


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
