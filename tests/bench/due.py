"""A million grants that end in the same second: how long a batch takes meanwhile (`make bench-due`).

    python -m tests.bench.due [--customers 1000000]

One partition on a disk, without a broker: a partner holds every customer, and all grants end at one instant. From then
on batches of one update each, beside which as many ends are carried out as the pace allows. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from sluice.model import CustomerId
from sluice.store import Row
from stream_processors.sharing.batch import Batch
from stream_processors.sharing.pace import Pace
from stream_processors.sharing.partition import Partition
from tests.unit.installation import NOW, Installation
from tests.unit.lane import A, Lane

_ENDS = NOW + 5_000
_WRITTEN_AT_ONCE = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    customers: int = parser.parse_args().customers
    with tempfile.TemporaryDirectory(prefix="sluice-due-") as folder:
        lane = Lane(Installation(), Path(folder))
        _hold(lane, customers)
        print(json.dumps(_end(lane, customers), indent=2))  # noqa: T201
        lane.close()


def _hold(lane: Lane, customers: int) -> None:
    """Everybody like the first one, who is shared by the ordinary way."""
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card", valid_until=_ENDS)
    lane.step()
    one, partition = lane.row(A), lane.partition
    assert one.held
    assert one.due_at == _ENDS
    for first in range(0, customers, _WRITTEN_AT_ONCE):
        last = min(first + _WRITTEN_AT_ONCE, customers)
        rows = {CustomerId(f"crm:{number}"): (Row(), one) for number in range(first, last)}
        partition.store.write(rows, partition.meta)
        _tell(f"{last:,} of {customers:,} customers held")


def _end(lane: Lane, customers: int) -> dict[str, object]:
    """Batches until nobody is due any more."""
    lane.now = _ENDS
    pace, partition = Pace(1_000), lane.partition
    took: list[float] = []
    recalled = 0
    began = told = time.monotonic()
    while not took or partition.store.due(lane.moment.now, 1):
        lane.update("crm:new", lane.installation.profile())
        lane.allowance = pace.allowance(1, 1)
        batch, milliseconds = _batch(lane, partition)
        pace.took(milliseconds, batch.customers, 0)
        took.append(milliseconds)
        recalled += batch.background
        if time.monotonic() - told > 5:
            told = time.monotonic()
            _tell(f"{recalled:,} of {customers:,} recalled, {milliseconds:.0f} ms for the newest batch")
    seconds = time.monotonic() - began
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    return {
        "customers": customers,
        "recalled": recalled,
        "seconds": round(seconds, 1),
        "customers_per_s": round(recalled / seconds),
        "batches": len(took),
        "batch_ms": {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1), "max": round(max(took), 1)},
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _batch(lane: Lane, partition: Partition) -> tuple[Batch, float]:
    """Decided and applied, as after a commit, and how long both took; what it would write is counted and forgotten."""
    started = time.perf_counter()
    batch, lane.positions = lane.peek()
    partition.apply(batch, lane.positions, lane.disclosures.high, lane.moment)
    return batch, (time.perf_counter() - started) * 1000


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    main()
