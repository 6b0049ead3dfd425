"""What others need, computed from what was measured: cores, partitions, disk. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

BUSY = 0.6
"""Of a core: what is more is room for catching up, and for what else runs there."""
REPLICAS = 3
RATES = (1_000, 10_000, 100_000)
CUSTOMERS = (1_000_000, 10_000_000, 100_000_000)
_DAY_SECONDS = 86_400
_PARTITIONS_AT_LEAST = 4
_SHARES_OF_A_DAY = 1.0
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
    """The newest values of the compacted topics and a consent for each partner, replicas included."""
    stores_gb: float
    """Of all sharing processes together."""
    from_logs_hours: float
    """Until state lost by all is folded again, by one process."""
    from_snapshots_hours: float
    reconciled_hours: float
    """Until everybody was compared anew, by one process."""


def for_rate(measured: Measured, rate: int) -> ForRate:
    processes = math.ceil(rate * measured.processor_us / _MEGA / BUSY)
    written = _bytes_an_event(measured)
    disclosed = measured.bytes_each["disclosure"] * REPLICAS * rate * _DAY_SECONDS
    return ForRate(
        rate,
        processes,
        math.ceil(rate * measured.broker_us / _MEGA / BUSY),
        max(_PARTITIONS_AT_LEAST, 2 ** math.ceil(math.log2(2 * processes))),
        written * REPLICAS * rate / _MEGA,
        disclosed / _GIGA,
        (written - measured.bytes_each["disclosure"]) * REPLICAS * rate * _DAY_SECONDS * _SHARES_OF_A_DAY / _GIGA,
    )


def for_customers(measured: Measured, customers: int, partners: int = 3) -> ForCustomers:
    each = measured.bytes_each
    newest = each["update"] + partners * each["consent"] + measured.deliveries * each["delivery"]
    return ForCustomers(
        customers,
        customers * newest * REPLICAS / _GIGA,
        customers * measured.store_bytes / _GIGA,
        customers / measured.folded_per_second / 3_600,
        customers / measured.restored_per_second / 3_600,
        customers / measured.reconciled_per_second / 3_600,
    )


def _bytes_an_event(measured: Measured) -> float:
    each = measured.bytes_each
    return each["update"] + each["disclosure"] + measured.deliveries * each["delivery"]


def tables(measured: Measured) -> str:
    """What was measured and what follows, as Markdown."""
    each = measured.bytes_each
    figures = [
        ("processor time of a sharing process, an event", f"{measured.processor_us:.0f} µs"),
        ("processor time of the broker, an event, without replicas", f"{measured.broker_us:.0f} µs"),
        ("events a second, one process on two cores with the broker", f"{measured.events_per_second:,.0f}"),
        ("records for partners, an event", f"{measured.deliveries:.2f}"),
        *((f"bytes of {name}, on the broker's disk", f"{size:.0f}") for name, size in sorted(each.items())),
        ("bytes of a customer in the store", f"{measured.store_bytes:.0f}"),
        ("customers a second, lost state folded from the logs", f"{measured.folded_per_second:,.0f}"),
        ("customers a second, restored from a snapshot", f"{measured.restored_per_second:,.0f}"),
        ("customers a second, compared anew and written (reconciled)", f"{measured.reconciled_per_second:,.0f}"),
    ]
    rates = [
        (
            f"{one.rate:,}",
            f"{one.processes:,}",
            f"{one.broker_cores:,}",
            f"{one.partitions:,}",
            f"{one.written_mb_per_second:,.1f}",
            f"{one.for_ever_gb_a_day:,.0f}",
            f"{one.passing_gb:,.0f}",
        )
        for one in (for_rate(measured, rate) for rate in RATES)
    ]
    customers = [
        (
            f"{one.customers:,}",
            f"{one.newest_gb:,.0f}",
            f"{one.stores_gb:,.1f}",
            f"{one.from_logs_hours:,.1f}",
            f"{one.from_snapshots_hours:,.1f}",
            f"{one.reconciled_hours:,.1f}",
        )
        for one in (for_customers(measured, number) for number in CUSTOMERS)
    ]
    return "\n".join(
        [
            *_table(("measured", ""), figures),
            "",
            *_table(
                (
                    "events a second",
                    "sharing processes, a core each",
                    "broker cores",
                    "partitions",
                    "MB/s written",
                    "GB a day for ever",
                    "GB passing",
                ),
                rates,
            ),
            "",
            *_table(
                (
                    "customers",
                    "GB of newest values",
                    "GB in stores",
                    "hours, one process: from the logs",
                    "from snapshots",
                    "reconciled",
                ),
                customers,
            ),
        ]
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows)]
