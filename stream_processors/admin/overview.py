"""What the page for operators shows, made of counts and recorded contract sets. Pure; no customer is in either."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sluice import topics
from sluice.metrics import catalogue as metrics
from sluice.metrics.declaration import Declared
from sluice.model import PartnerId
from stream_processors.admin.counts import Counts, Labels, Process
from stream_processors.admin.history import Change, Known


@dataclass(frozen=True, slots=True)
class Flow:
    """Of the last seconds."""

    updates: float
    consents: float
    shared: float
    recalled: float
    """All four a second."""
    waiting: int
    """Updates."""
    behind_seconds: float


@dataclass(frozen=True, slots=True)
class Trouble:
    what: str
    alert: str
    """Under whose name docs/alerts.md says what to do."""


@dataclass(frozen=True, slots=True)
class PartnerState:
    partner: PartnerId
    state: str
    shared: float
    recalled: float
    """Both a second."""
    open: int | None
    due_soon: int | None
    overdue: int | None
    """Recalls. None, here and below: nobody has told."""
    unread: int | None
    """Records that it has still to read."""


@dataclass(frozen=True, slots=True)
class Rejected:
    topic: str
    cause: str
    count: int

    @property
    def command(self) -> str:
        return f"sluice redrive --topic {self.topic} --cause {self.cause} --dry-run"


@dataclass(frozen=True, slots=True)
class Reconciling:
    partitions: tuple[str, ...]
    customers: int
    """Still to be reconciled, about."""
    per_second: float
    to_fold: int
    """Records that stores still lack."""


@dataclass(frozen=True, slots=True)
class Overview:
    at: datetime
    processes: tuple[Process, ...]
    troubles: tuple[Trouble, ...]
    flow: Flow
    partners: tuple[PartnerState, ...]
    rejected: tuple[Rejected, ...]
    reconciling: Reconciling
    in_force: tuple[str, ...]
    """The contract sets by which processes decide: one, but while it changes."""
    changes: tuple[Change, ...]
    """The newest first."""
    is_everybody: bool
    """All processes are shown."""
    hears_returns: bool
    """Somebody tells how recalls stand."""


def overview(now: datetime, counts: Counts, before: Counts, known: Known) -> Overview:
    """`before` is a moment earlier."""
    return Overview(
        at=now,
        processes=counts.processes,
        troubles=tuple(_troubles(counts)),
        flow=_flow(counts, before),
        partners=tuple(_partners(counts, before, known.partners)),
        rejected=_rejected(counts),
        reconciling=_reconciling(counts, before),
        in_force=tuple(sorted(digest for (digest,) in counts.highest(metrics.CONTRACT_SET, "contract_set"))),
        changes=known.changes,
        is_everybody=counts.is_everybody,
        hears_returns=bool(counts.highest(metrics.RETURNS_UNAVAILABLE)),
    )


def _flow(counts: Counts, before: Counts) -> Flow:
    events = counts.per_second(before, metrics.EVENTS, "topic")
    outcomes = counts.per_second(before, metrics.OUTCOMES, "outcome")
    return Flow(
        updates=events.get((topics.CUSTOMER_UPDATES,), 0.0),
        consents=events.get((topics.CONSENT_EVENTS,), 0.0),
        shared=outcomes.get(("shared",), 0.0),
        recalled=outcomes.get(("recalled",), 0.0),
        waiting=int(sum(counts.highest(metrics.LAG, "partition").values())),
        behind_seconds=max(counts.highest(metrics.LAG_SECONDS, "partition").values(), default=0.0),
    )


@dataclass(frozen=True, slots=True)
class _Wrong:
    """A gauge that stands too high."""

    metric: Declared
    by: tuple[str, ...]
    said: str
    """Of the labels, in this order, and of the `value`."""
    alert: str
    most: float = 0
    where: Mapping[str, str] = field(default_factory=dict)
    unless: tuple[Declared, ...] = ()
    """One of these says why: of the same partition, or of all."""


_AWAY = "{}: the broker or the schema registry is away"
_WRONG = (
    _Wrong(metrics.UNAVAILABLE, (), _AWAY.format("Sharing"), "SluiceUnavailable"),
    _Wrong(metrics.RETURNS_UNAVAILABLE, (), _AWAY.format("Returns"), "SluiceUnavailable"),
    _Wrong(metrics.PROVIDERS_UNAVAILABLE, (), _AWAY.format("Providers"), "SluiceUnavailable"),
    _Wrong(
        metrics.WIDENING_STOPPED,
        ("partition", "reason"),
        "Nothing new is shared on partition {}: {}",
        "SluiceWideningStopped",
    ),
    _Wrong(
        metrics.PAUSED_FOR,
        ("partition", "cause"),
        "Updates of partition {} are held: too many cannot be used ({}: {value:,.0f})",
        "SluiceUpdatesPaused",
    ),
    _Wrong(
        metrics.LAG_SECONDS,
        ("partition",),
        "Partition {} is {value:,.0f} seconds behind",
        "SluiceNotProgressing",
        most=300,
        unless=(metrics.PAUSED, metrics.UNAVAILABLE),
    ),
    _Wrong(
        metrics.RECALLS,
        ("partner",),
        "{} has not acknowledged {value:,.0f} recalls in time",
        "SluiceRecallOverdue",
        where={"state": "overdue"},
    ),
)


def _troubles(counts: Counts) -> Iterator[Trouble]:
    for process in counts.processes:
        if process.trouble and counts.is_everybody:
            yield Trouble(f"{process.url} does not answer: {process.trouble}", "SluiceDown")
    partitions = max(counts.highest(metrics.PARTITIONS).values(), default=0.0)
    unserved = int(partitions) - len(counts.highest(metrics.LAG, "partition"))
    if unserved > 0 and counts.is_everybody:
        yield Trouble(f"{unserved} partitions are with none of these processes", "SluicePartitionUnserved")
    for wrong in _WRONG:
        told_already = {labels for metric in wrong.unless for labels in _above_zero(counts, metric)}
        for labels, value in sorted(counts.highest(wrong.metric, *wrong.by, **wrong.where).items()):
            if value > wrong.most and told_already.isdisjoint({labels, ()}):
                yield Trouble(wrong.said.format(*labels, value=value), wrong.alert)


def _above_zero(counts: Counts, metric: Declared) -> Iterator[Labels]:
    return (labels for labels, value in counts.highest(metric, *metric.labels).items() if value > 0)


def _partners(counts: Counts, before: Counts, recorded: Mapping[PartnerId, bool]) -> Iterator[PartnerState]:
    """`recorded`: of the newest set, with whether its contract has ended."""
    outcomes = counts.per_second(before, metrics.OUTCOMES, "partner", "outcome")
    recalls = counts.highest(metrics.RECALLS, "partner", "state")
    paused = counts.highest(metrics.PARTNER_PAUSED, "partner")
    unread = counts.highest(metrics.PARTNER_LAG, "partner")
    known = {PartnerId(partner) for partner, _ in (*outcomes, *recalls)}
    for partner in sorted({*recorded, *known}):
        yield PartnerState(
            partner=partner,
            state=_state(partner, recorded, is_paused=bool(paused.get((partner,)))),
            shared=outcomes.get((partner, "shared"), 0.0),
            recalled=outcomes.get((partner, "recalled"), 0.0),
            open=_whole(recalls.get((partner, "open"))),
            due_soon=_whole(recalls.get((partner, "due_soon"))),
            overdue=_whole(recalls.get((partner, "overdue"))),
            unread=_whole(unread.get((partner,))),
        )


def _whole(told: float | None) -> int | None:
    return None if told is None else int(told)


def _state(partner: PartnerId, recorded: Mapping[PartnerId, bool], *, is_paused: bool) -> str:
    if not recorded:
        return "not known"
    if partner not in recorded:
        return "not in the set in force"
    if recorded[partner]:
        return "ended"
    return "paused: recalls are overdue" if is_paused else "shared with"


def _rejected(counts: Counts) -> tuple[Rejected, ...]:
    found = counts.sums(metrics.REJECTED, "topic", "cause")
    return tuple(Rejected(topic, cause, int(count)) for (topic, cause), count in sorted(found.items()) if count)


def _reconciling(counts: Counts, before: Counts) -> Reconciling:
    return Reconciling(
        partitions=tuple(
            sorted((p for (p,), on in counts.highest(metrics.CATCHING_UP, "partition").items() if on), key=int)
        ),
        customers=int(sum(counts.highest(metrics.TO_RECONCILE, "partition").values())),
        per_second=sum(counts.per_second(before, metrics.RECONCILED).values()),
        to_fold=int(sum(counts.highest(metrics.TO_FOLD, "partition").values())),
    )
