"""What others need, computed from what was measured: cores, partitions, disk. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

BUSY = 0.6
"""Of a core: what is more is room for catching up, and for what else runs there."""
REPLICAS = 3
RATES = (1_000, 10_000, 100_000)
CUSTOMERS = (1_000_000, 10_000_000, 100_000_000)
_DAY_SECONDS = 86_400
_PARTITIONS_AT_LEAST = 4
_KEPT_DAYS = 1.0
"""Compacted topics keep old values for a day at the most (docs/operating.md, Topics)."""
_MEGA, _GIGA = 1e6, 1e9


@dataclass(frozen=True, slots=True)
class Measured:
    """One worker on workload W1, and the rebuilding of lost state."""

    processor_us: float
    """Processor time of the sharing process, an event."""
    broker_us: float
    """Of a broker without replicas, an event."""
    events_per_second: float
    deliveries: float
    """Records for partners, an event."""
    disclosures: float
    """Records of the log that proves what was shared, an event."""
    bytes_each: dict[str, float]
    """Bytes of a record on the broker's disk by what it is: `update`, `consent`, `disclosure`, `delivery`."""
    store_bytes: float
    """Of a customer in the processor's store."""
    folded_per_second: float
    """Customers whose lost state one process folds anew from the logs."""
    restored_per_second: float
    """The same, from a snapshot."""
    reconciled_per_second: float
    """Customers whom one process compares anew where everybody has to be written, as after a change of contracts."""


class ForRate(NamedTuple):
    rate: int
    processes: int
    """Sharing processes, a core each."""
    broker_cores: int
    """Of all brokers together, without what replicas cost."""
    partitions: int
    written_mb_per_second: float
    """By the brokers together, replicas included."""
    for_ever_gb_a_day: float
    """Disclosures, replicas included: they are never deleted."""
    passing_gb: float
    """What compacted topics hold beside the newest values: a day's."""


class ForCustomers(NamedTuple):
    customers: int
    newest_gb: float
    """An update, a consent for each partner, what partners hold and its disclosure, replicas included."""
    stores_gb: float
    """Of all sharing processes together."""
    from_logs_hours: float
    """Until state lost by all is folded again, by one process."""
    from_snapshots_hours: float
    reconciled_hours: float
    """Until everybody was compared anew, by one process."""


def for_rate(measured: Measured, rate: int) -> ForRate:
    processes = math.ceil(rate * measured.processor_us / _MEGA / BUSY)
    disclosed = measured.disclosures * measured.bytes_each["disclosure"]
    passing = measured.bytes_each["update"] + measured.deliveries * measured.bytes_each["delivery"]
    replicated = REPLICAS * rate
    return ForRate(
        rate,
        processes,
        math.ceil(rate * measured.broker_us / _MEGA / BUSY),
        max(_PARTITIONS_AT_LEAST, 2 ** math.ceil(math.log2(2 * processes))),
        (disclosed + passing) * replicated / _MEGA,
        disclosed * replicated * _DAY_SECONDS / _GIGA,
        passing * replicated * _DAY_SECONDS * _KEPT_DAYS / _GIGA,
    )


def for_customers(measured: Measured, customers: int, partners: int = 3) -> ForCustomers:
    each = measured.bytes_each
    shared = measured.deliveries * each["delivery"] + measured.disclosures * each["disclosure"]
    newest = each["update"] + partners * each["consent"] + shared
    return ForCustomers(
        customers,
        customers * newest * REPLICAS / _GIGA,
        customers * measured.store_bytes / _GIGA,
        customers / measured.folded_per_second / 3_600,
        customers / measured.restored_per_second / 3_600,
        customers / measured.reconciled_per_second / 3_600,
    )


def tables(measured: Measured) -> str:
    """What was measured and what follows, as Markdown."""
    rates = [for_rate(measured, rate) for rate in RATES]
    customers = [for_customers(measured, count) for count in CUSTOMERS]
    return "\n\n".join([_figures(measured), _sizes(_RATE_COLUMNS, rates), _sizes(_CUSTOMER_COLUMNS, customers)])


def _figures(measured: Measured) -> str:
    sizes = ((f"bytes of {name}, on the broker's disk", f"{size:.0f}") for name, size in measured.bytes_each.items())
    return _table(
        ("measured", ""),
        [
            ("processor time of a sharing process, an event", f"{measured.processor_us:.0f} µs"),
            ("processor time of the broker, an event, without replicas", f"{measured.broker_us:.0f} µs"),
            ("events a second, one process on two cores with the broker", f"{measured.events_per_second:,.0f}"),
            ("records for partners, an event", f"{measured.deliveries:.2f}"),
            ("disclosures, an event", f"{measured.disclosures:.2f}"),
            *sorted(sizes),
            ("bytes of a customer in the store", f"{measured.store_bytes:.0f}"),
            ("customers a second, lost state folded from the logs", f"{measured.folded_per_second:,.0f}"),
            ("customers a second, restored from a snapshot", f"{measured.restored_per_second:,.0f}"),
            ("customers a second, compared anew and written (reconciled)", f"{measured.reconciled_per_second:,.0f}"),
        ],
    )


_RATE_COLUMNS = {
    "events a second": ",.0f",
    "sharing processes, a core each": ",.0f",
    "broker cores": ",.0f",
    "partitions": ",.0f",
    "MB/s written": ",.1f",
    "GB a day for ever": ",.0f",
    "GB passing": ",.0f",
}
_CUSTOMER_COLUMNS = {
    "customers": ",.0f",
    "GB of newest values": ",.0f",
    "GB in stores": ",.1f",
    "hours, one process: from the logs": ",.1f",
    "from snapshots": ",.1f",
    "reconciled": ",.1f",
}


def _sizes(columns: Mapping[str, str], rows: Iterable[Iterable[float]]) -> str:
    """`columns`: how the figures of each are written."""
    return _table(list(columns), [list(map(format, row, columns.values())) for row in rows])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))
