"""What the sharing processor counts, and when."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.samples import Sample

from sluice import topics
from sluice.log import Ends, Positions
from sluice.metrics import catalogue
from sluice.model import Cause, label
from sluice.store import Family
from stream_processors.sharing.batch import Batch
from stream_processors.sharing.inputs import Inputs
from stream_processors.sharing.lag import Lag
from stream_processors.sharing.partition import Partition
from stream_processors.unavailable import Unavailable

_MEASURE_EVERY_MS = 10_000
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
        self.events = catalogue.EVENTS.counter(registry)
        self.outcomes = catalogue.OUTCOMES.counter(registry)
        self.rejected = catalogue.REJECTED.counter(registry)
        for topic in (topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS):
            for cause in Cause:
                self.rejected.labels(topic, cause.value)  # from 0: what begins at a value did not grow, to Prometheus
        self.update_to_commit = catalogue.UPDATE_TO_COMMIT.latencies(registry)
        self.withdrawal_to_recall = catalogue.WITHDRAWAL_TO_RECALL.latencies(registry)
        self.partitions = catalogue.PARTITIONS.gauge(registry)
        self.lag = catalogue.LAG.gauge(registry)
        self.widening_stopped = catalogue.WIDENING_STOPPED.gauge(registry)
        self.catching_up = catalogue.CATCHING_UP.gauge(registry)
        self.to_reconcile = catalogue.TO_RECONCILE.gauge(registry)
        self.reconciled = catalogue.RECONCILED.counter(registry)
        self.to_fold = catalogue.TO_FOLD.gauge(registry)
        self.customers = catalogue.CUSTOMERS.gauge(registry)
        self.due = catalogue.DUE.gauge(registry)
        self.store_bytes = catalogue.STORE_BYTES.gauge(registry)
        self.store_memory = catalogue.STORE_MEMORY.gauge(registry)
        self.paused = catalogue.PAUSED.gauge(registry)
        self.paused_for = catalogue.PAUSED_FOR.gauge(registry)
        self.fenced = catalogue.FENCED.counter(registry)
        self.unavailable = Unavailable(catalogue.UNAVAILABLE.gauge(registry))
        self.batches = catalogue.BATCHES.counter(registry)
        self.aborts = catalogue.ABORTS.counter(registry)
        self.barrier = catalogue.BARRIER.histogram(registry)
        self.transaction = catalogue.TRANSACTION.histogram(registry)
        self.lag_seconds = catalogue.LAG_SECONDS.gauge(registry)
        self.assignments = catalogue.ASSIGNMENTS.counter(registry)
        self.contract_set = catalogue.CONTRACT_SET.gauge(registry)
        self._lags: dict[int, Lag] = {}
        self._measured_at: dict[int, int] = {}
        """When a partition's store was."""
        self._held: dict[int, Tally[Cause]] = {}
        """What is told of why a partition's updates are held."""

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

    def decides_by(self, contract_set: str) -> None:
        """From now on."""
        self.contract_set.clear()
        self.contract_set.labels(contract_set).set(1)

    def ends(self, ends: Mapping[int, Ends]) -> None:
        """What there is to be done, whether or not this batch does it: lag in seconds goes on while none does."""
        for number, end in ends.items():
            if number not in self._lags:
                lag = self._lags[number] = Lag()
                self.lag_seconds.labels(number).set_function(lag.waited)
            self._lags[number].ends(end.driving_high, end.joined_stable)

    def held(self, number: int, causes: Iterable[Cause]) -> None:
        """Updates of a partition were tried, and are held because of these rejects."""
        counts = Tally(causes)
        if self._held.get(number) == counts:
            return
        self._held[number] = counts
        for cause in Cause:
            self.paused_for.labels(number, cause.value).set(counts[cause])

    def standing(self, partition: Partition, ends: Ends, reached: Positions, at_ms: int, *, braked: bool) -> None:
        """How a partition stands after a batch that was committed, or had nothing to commit."""
        number = partition.number
        self.lag.labels(number, topics.CUSTOMER_UPDATES).set(max(ends.driving_high - reached.driving, 0))
        self.lag.labels(number, topics.CONSENT_EVENTS).set(max(ends.joined_stable - reached.joined, 0))
        self._lags[number].reached(*reached)
        self.catching_up.labels(number).set(partition.meta.catching_up)
        self.paused.labels(number).set(braked)
        if not braked:
            self.held(number, ())
        stopped = partition.stopped_by()
        for reason in STOPS:
            self.widening_stopped.labels(number, reason).set(reason in stopped)
        self._measure_store(partition, at_ms)

    def _measure_store(self, partition: Partition, at_ms: int) -> None:
        if at_ms - self._measured_at.get(partition.number, 0) < _MEASURE_EVERY_MS:
            return
        self._measured_at[partition.number] = at_ms
        sizes = partition.store.sizes()
        self.customers.labels(partition.number).set(sizes[Family.ROWS].keys)
        self.due.labels(partition.number).set(sizes[Family.DUE].keys)
        self.store_bytes.labels(partition.number).set(sum(size.bytes for size in sizes.values()))

    def forget(self, partition: int) -> None:
        """The partition is somebody else's now."""
        self._lags.pop(partition, None)
        self._measured_at.pop(partition, None)
        for cause in Cause if self._held.pop(partition, None) is not None else ():
            self.paused_for.remove(partition, cause.value)
        for gauge in (
            self.lag_seconds, self.catching_up, self.to_reconcile, self.paused, self.to_fold,
            self.customers, self.due, self.store_bytes,
        ):  # fmt: skip
            gauge.remove(partition)
        for topic in (topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS):
            self.lag.remove(partition, topic)
        for reason in STOPS:
            self.widening_stopped.remove(partition, reason)


def _totals(counter: Counter) -> Iterator[Sample]:
    return (sample for metric in counter.collect() for sample in metric.samples if sample.name.endswith("_total"))
