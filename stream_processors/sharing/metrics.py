"""Every metric of the sharing processor: what it counts, in what unit. Labels never come from data."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.samples import Sample

from sluice import topics
from sluice.model import label
from stream_processors.sharing.batch import Batch
from stream_processors.sharing.inputs import Inputs
from stream_processors.sharing.latencies import Latencies
from stream_processors.sharing.partition import Partition

_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600)

STOPS = ("unreadable_consent_key", "open_transaction")
"""Why nothing is added on a partition."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a run has done."""

    updates: int
    consents: int
    deliveries: int
    """Records and tombstones for partners."""
    rejected: int
    transactions: int


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
        self.update_to_commit = Latencies(
            "sluice_update_to_commit_seconds",
            "From the timestamp of a customer update to the commit of what it changed.",
            _SECONDS,
        )
        self.withdrawal_to_recall = Latencies(
            "sluice_withdrawal_to_recall_seconds",
            "From the timestamp of a consent event to the commit of the recall that it caused.",
            _SECONDS,
        )
        for latencies in (self.update_to_commit, self.withdrawal_to_recall):
            registry.register(latencies)
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
            "1 while customers of this partition are still to be reconciled: after a gap, rebuild or other contracts.",
            ["partition"],
            registry=registry,
        )
        self.to_reconcile = Gauge(
            "sluice_customers_to_reconcile",
            "Customers of this partition that are still to be reconciled, about.",
            ["partition"],
            registry=registry,
        )
        self.reconciled = Counter(
            "sluice_customers_reconciled_total",
            "Customers reconciled although no input named them: for the time, after a wait, to catch up.",
            registry=registry,
        )
        self.to_fold = Gauge(
            "sluice_records_to_fold",
            "Records that the store of this partition still lacks before it is served.",
            ["partition"],
            registry=registry,
        )
        self.paused = Gauge(
            "sluice_updates_paused",
            "1 while the updates of this partition are held, because too many of them were rejected.",
            ["partition"],
            registry=registry,
        )
        self.fenced = Counter(
            "sluice_fenced_total", "Transactions of dead instances that were ended.", registry=registry
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

    def committed(self, batches: Collection[Batch], inputs: Inputs, at_ms: int) -> None:
        """What a committed transaction held. Events last, so that who sees one counted sees what came of it."""
        self.batches.inc()
        self.update_to_commit.observe([at_ms - record.timestamp for record in inputs.updates])
        for batch in batches:
            self.reconciled.inc(batch.background)
            self.withdrawal_to_recall.observe([at_ms - timestamp for timestamp in batch.recall_timestamps])
            came = batch.came + Tally((party.partner, *label(outcome)) for party, outcome in batch.outcomes)
            for labels, count in came.items():
                self.outcomes.labels(*labels).inc(count)
            for record, cause in batch.rejects:
                self.rejected.labels(record.topic, cause.value).inc()
        self.events.labels(topics.CUSTOMER_UPDATES).inc(len(inputs.updates))
        self.events.labels(topics.CONSENT_EVENTS).inc(len(inputs.consents))

    def done(self) -> Done:
        """What was counted since the start."""
        events = {sample.labels["topic"]: int(sample.value) for sample in _totals(self.events)}
        outcomes: dict[str, int] = {}
        for sample in _totals(self.outcomes):
            name = sample.labels["outcome"]
            outcomes[name] = outcomes.get(name, 0) + int(sample.value)
        return Done(
            updates=events.get(topics.CUSTOMER_UPDATES, 0),
            consents=events.get(topics.CONSENT_EVENTS, 0),
            deliveries=outcomes.get("shared", 0) + outcomes.get("recalled", 0),
            rejected=sum(int(sample.value) for sample in _totals(self.rejected)),
            transactions=sum(int(sample.value) for sample in _totals(self.batches)),
        )

    def standing(self, partition: Partition, behind: int, *, braked: bool) -> None:
        """How a partition stands after a batch."""
        number = partition.number
        self.lag.labels(number).set(max(behind, 0))
        self.catching_up.labels(number).set(partition.meta.catching_up)
        self.paused.labels(number).set(braked)
        stopped = partition.stopped_by()
        for reason in STOPS:
            self.widening_stopped.labels(number, reason).set(reason in stopped)

    def forget(self, partition: int) -> None:
        """The partition is somebody else's now."""
        for gauge in (self.lag, self.catching_up, self.to_reconcile, self.paused, self.to_fold):
            gauge.remove(partition)
        for reason in STOPS:
            self.widening_stopped.remove(partition, reason)


def _totals(counter: Counter) -> Iterator[Sample]:
    return (sample for metric in counter.collect() for sample in metric.samples if sample.name.endswith("_total"))
