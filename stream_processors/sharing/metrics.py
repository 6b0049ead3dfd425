"""Every metric of the sharing processor: what it counts, in what unit. Labels never come from data."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600)

STOPS = ("unreadable_consent_key", "open_transaction")
"""Why nothing is added on a partition."""


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter(
            "sluice_events_total", "Input records processed and committed.", ["topic"], registry=registry
        )
        self.outcomes = Counter(
            "sluice_outcomes_total",
            "Outcomes of one customer at one partner, committed.",
            ["partner", "outcome", "reason"],
            registry=registry,
        )
        self.rejected = Counter(
            "sluice_rejected_total",
            "Input records that could not be used, committed.",
            ["topic", "cause"],
            registry=registry,
        )
        self.update_to_commit = Histogram(
            "sluice_update_to_commit_seconds",
            "From the timestamp of a customer update to the commit of what it changed.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.withdrawal_to_recall = Histogram(
            "sluice_withdrawal_to_recall_seconds",
            "From the timestamp of a consent event to the commit of the recall that it caused.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.lag = Gauge(
            "sluice_lag_records", "Customer updates between the position and the end.", ["partition"], registry=registry
        )
        self.widening_stopped = Gauge(
            "sluice_widening_stopped",
            "1 while nothing is added on this partition, for the reason named; recalls go on.",
            ["partition", "reason"],
            registry=registry,
        )
        self.catching_up = Gauge(
            "sluice_catching_up",
            "1 while customers of this partition are still to be reconciled after a gap or rebuild.",
            ["partition"],
            registry=registry,
        )
        self.unavailable = Gauge(
            "sluice_unavailable", "1 while the broker or the registry does not answer.", registry=registry
        )
        self.batches = Counter("sluice_batches_total", "Transactions committed.", registry=registry)
        self.aborts = Counter("sluice_aborts_total", "Transactions aborted and tried again.", registry=registry)
        self.barrier = Histogram(
            "sluice_barrier_seconds",
            "From asking for the consents' end until everything below it was read.",
            buckets=_SECONDS,
            registry=registry,
        )

    def forget(self, partition: int) -> None:
        """The partition is somebody else's now."""
        for gauge in (self.lag, self.catching_up):
            gauge.remove(partition)
        for reason in STOPS:
            self.widening_stopped.remove(partition, reason)
