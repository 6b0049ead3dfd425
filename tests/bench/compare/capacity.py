"""What an event and a customer cost, and what follows for a larger installation (docs/capacity.md).

    python -m tests.bench.compare.capacity [--customers 50000] [--updates 200000] [--rebuilt 50000]

One worker works off workload W1; then another installation loses its state in each way. Writes what was measured to
build/bench/capacity.json and prints the tables of the page.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from sluice import topics
from sluice.kafka.admin import high_watermarks
from sluice.kafka.clients import admin_client
from sluice.local import broker, process
from sluice.model import PartnerId
from tests.bench import rebuild
from tests.bench.compare.contestants import FOLDER, OURS, circumstances, prepare, say, started
from tests.bench.compare.field import PARTITIONS, Field, Watch, add_updates, events_per_second, field
from tests.bench.compare.sizing import Measured, tables

_TICKS = os.sysconf("SC_CLK_TCK")
_MICRO = 1e6


class Spent(NamedTuple):
    """Processor seconds so far, at a moment of the clock that only goes forward."""

    at: float
    ours: float
    brokers: float


def main() -> None:
    options = _options()
    with field(options.folder / "field", options.customers, options.updates) as there:
        prepare(OURS, there)
        add_updates(there)
        flow = _flow(there)
    say(json.dumps(flow))
    with tempfile.TemporaryDirectory(prefix="sluice-rebuild-") as name, rebuild.installation(Path(name)) as lost:
        rebuilt = rebuild.measure(lost, options.rebuilt)
    say(json.dumps(rebuilt))
    measured = Measured(**{**flow, **_again(rebuilt, options.rebuilt)})
    report = {**circumstances(), "measured": asdict(measured)}
    (options.folder / "capacity.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    say(tables(measured))


def _flow(there: Field) -> dict[str, Any]:
    """Of the time between the first commit and the last: starting does not count."""
    running = process.find(there.folder / "local" / broker.NAME)
    assert running is not None
    spent: list[Spent] = []
    watch = Watch(there.settings, OURS.group)
    with started(OURS, OURS.command, there) as ours:

        def goes_on() -> bool:
            spent.append(Spent(time.monotonic(), _processor_seconds(ours.pid), _processor_seconds(running.pid)))
            return ours.poll() is None

        seen = watch.until(there.updates, goes_on)
    begun = next(one for one in seen if one.updates > 0)
    first = min(spent, key=lambda one: abs(one.at - begun.at))
    events = seen[-1].updates - begun.updates
    customers = [topics.customers(PartnerId(partner)) for partner in there.variant.parties]
    return {
        "processor_us": (spent[-1].ours - first.ours) / events * _MICRO,
        "broker_us": (spent[-1].brokers - first.brokers) / events * _MICRO,
        "events_per_second": events_per_second(seen),
        "deliveries": _ends(there, customers) / there.updates,
        "disclosures": _ends(there, [topics.DISCLOSURES]) / there.updates,
        "bytes_each": {
            "update": _bytes_each(there, [topics.CUSTOMER_UPDATES]),
            "consent": _bytes_each(there, [topics.CONSENT_EVENTS]),
            "disclosure": _bytes_each(there, [topics.DISCLOSURES]),
            "delivery": _bytes_each(there, customers),
        },
        "store_bytes": _size(there.folder / "state", "*") / there.customers,
    }


def _again(rebuilt: Mapping[str, Any], customers: int) -> dict[str, float]:
    """Beyond what a process takes to start that has lost nothing."""
    first, logs, snapshot = (rebuilt[how] for how in ("first_sharing", "rebuild_from_logs", "restore_from_snapshot"))
    starts = rebuilt["restart_with_store"]["served_s"]
    return {
        "folded_per_second": customers / (logs["served_s"] - starts),
        "restored_per_second": customers / (snapshot["served_s"] - starts),
        "reconciled_per_second": customers / (first["reconciled_s"] - first["served_s"]),
    }


def _processor_seconds(pid: int) -> float:
    """In user and system mode, of a process and its threads (proc(5), fields 14 and 15 of stat)."""
    after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICKS


def _bytes_each(there: Field, names: list[str]) -> float:
    """On the broker's disk, as compressed as it is written, before anything is compacted."""
    data = there.folder / "local" / broker.NAME / "data"
    size = sum(_size(data / f"{name}-{number}", "*.log") for name in names for number in range(PARTITIONS))
    return size / _ends(there, names)


def _ends(there: Field, names: list[str]) -> int:
    """Records of all partitions, and the markers of transactions."""
    client = admin_client(there.settings.client("admin"))
    return sum(high_watermarks(client, [(name, number) for name in names for number in range(PARTITIONS)]).values())


def _size(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.rglob(pattern) if path.is_file())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=50_000, help="[50000]")
    parser.add_argument("--updates", type=int, default=200_000, help="[200000]")
    parser.add_argument("--rebuilt", type=int, default=50_000, help="customers whose state is lost [50000]")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"[{FOLDER}]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
