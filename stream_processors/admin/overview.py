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
    """Of the last seconds. None: nobody tells."""

    updates: float | None
    consents: float | None
    shared: float | None
    recalled: float | None
    """All four a second."""
    waiting: int | None
    """Updates."""
    behind_seconds: float | None


@dataclass(frozen=True, slots=True)
class Trouble:
    what: str
    alert: str
    """Under whose name docs/alerts.md says what to do."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A process."""

    url: str
    said: str
    is_well: bool | None
    """None: it may be elsewhere."""


@dataclass(frozen=True, slots=True)
class PartnerState:
    partner: PartnerId
    state: str
    shared: float | None
    recalled: float | None
    """Both a second. None, here and below: nobody has told."""
    open: int | None
    due_soon: int | None
    overdue: int | None
    """Recalls."""
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
    processes: tuple[Asked, ...]
    troubles: tuple[Trouble, ...]
    flow: Flow
    partners: tuple[PartnerState, ...]
    rejected: tuple[Rejected, ...]
    reconciling: Reconciling
    in_force: tuple[str, ...]
    """The contract sets by which processes decide: one, but while it changes."""
    changes: tuple[Change, ...]
    """The newest first."""
    sets_unknown: str
    """Why what is said of contract sets may not be all, or nothing."""
    hears_sharing: bool
    hears_returns: bool
    """Somebody tells how recalls stand."""


def overview(now: datetime, counts: Counts, before: Counts, known: Known, sets_unknown: str = "") -> Overview:
    """`before` is a moment earlier.

    What those tell of partitions and recalls who stand still is of before: others may have their partitions by now, and
    deadlines pass. It is left out.
    """
    current = counts.of(one for one in counts.processes if not _stands_still(one))
    return Overview(
        at=now,
        processes=tuple(_asked(one, is_missed=counts.is_everybody) for one in counts.processes),
        troubles=(*_absent(counts), *_waiting(counts), *_unserved(current), *_troubles(current)),
        flow=_flow(counts, before, current),
        partners=tuple(_partners(counts, before, current, known.partners)),
        rejected=_rejected(counts),
        reconciling=_reconciling(counts, before, current),
        in_force=tuple(sorted(digest for (digest,) in counts.highest(metrics.CONTRACT_SET, "contract_set"))),
        changes=known.changes,
        sets_unknown=sets_unknown,
        hears_sharing=bool(current.highest(metrics.LAG, "partition")),
        hears_returns=bool(current.highest(metrics.RECALLS, "partner")) or not known.partners,
    )


def _flow(counts: Counts, before: Counts, current: Counts) -> Flow:
    events = counts.per_second(before, metrics.EVENTS, "topic")
    outcomes = counts.per_second(before, metrics.OUTCOMES, "outcome")
    otherwise = _counted_nothing(counts, before)
    lags = current.highest(metrics.LAG, "partition", "topic")
    seconds = current.highest(metrics.LAG_SECONDS, "partition").values()
    return Flow(
        updates=events.get((topics.CUSTOMER_UPDATES,), otherwise),
        consents=events.get((topics.CONSENT_EVENTS,), otherwise),
        shared=outcomes.get(("shared",), otherwise),
        recalled=outcomes.get(("recalled",), otherwise),
        waiting=int(sum(lags.values())) if lags else None,
        behind_seconds=max(seconds, default=0.0) if lags else None,
    )


def _counted_nothing(counts: Counts, before: Counts) -> float | None:
    """0 a second; None where nobody tells."""
    return 0.0 if counts.is_told_since(before, metrics.PARTITIONS) else None


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
    """One of these says why, of the same labels."""


_WRONG = (
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
        unless=(metrics.PAUSED,),
    ),
    _Wrong(
        metrics.RECALLS,
        ("partner",),
        "{} has not acknowledged {value:,.0f} recalls in time",
        "SluiceRecallOverdue",
        where={"state": "overdue"},
    ),
    _Wrong(
        metrics.PARTNER_STALLED,
        ("partner", "topic"),
        "{} has read nothing of its {} for {value:,.0f} seconds, though records wait",
        "SluicePartnerNotReading",
        most=3_600,
    ),
)


_PARTS = dict(zip(metrics.WAITING, ("Sharing", "Returns", "Providers"), strict=True))


def _needed(counts: Counts) -> Iterator[tuple[str, str]]:
    """Which part waits, and for whom: versions before this one did not say which of the two."""
    for metric, part in _PARTS.items():
        for (needs,), waits in sorted(counts.highest(metric, "needs").items()):
            if waits:
                yield part, needs or "broker or registry"


def _waits_for(process: Process) -> str:
    """The broker, the registry, or nothing."""
    return next((needs for _, needs in _needed(Counts(0, (process,)))), "")


def _stands_still(process: Process) -> bool:
    """Whoever waits for the broker or, without which sharing goes on, for the registry."""
    parts = _needed(Counts(0, (process,)))
    return any((part, needs) != (_PARTS[metrics.UNAVAILABLE], "registry") for part, needs in parts)


def _asked(process: Process, *, is_missed: bool) -> Asked:
    """`is_missed`: one that does not answer is known to be there otherwise."""
    if process.trouble:
        said = process.trouble if is_missed else f"not here: {process.trouble}"
        return Asked(process.url, said, is_well=False if is_missed else None)
    waits_for = _waits_for(process)
    said = f"yes, and waits for the {waits_for}" if waits_for else "yes"
    return Asked(process.url, said, is_well=not waits_for)


def _absent(counts: Counts) -> Iterator[Trouble]:
    for process in counts.processes:
        if process.trouble and counts.is_everybody:
            yield Trouble(f"{process.url} does not answer: {process.trouble}", "SluiceDown")


def _waiting(counts: Counts) -> Iterator[Trouble]:
    return (Trouble(f"{part} waits for the {needs}", "SluiceUnavailable") for part, needs in _needed(counts))


def _unserved(counts: Counts) -> Iterator[Trouble]:
    partitions = max(counts.highest(metrics.PARTITIONS).values(), default=0.0)
    unserved = int(partitions) - len(counts.highest(metrics.LAG, "partition"))
    if unserved > 0 and counts.is_everybody:
        yield Trouble(f"{unserved} partitions are with none of these processes", "SluicePartitionUnserved")


def _troubles(current: Counts) -> Iterator[Trouble]:
    for wrong in _WRONG:
        told_already = {labels for metric in wrong.unless for labels in _above_zero(current, metric)}
        for labels, value in sorted(current.highest(wrong.metric, *wrong.by, **wrong.where).items()):
            if value > wrong.most and labels not in told_already:
                yield Trouble(wrong.said.format(*labels, value=value), wrong.alert)


def _above_zero(counts: Counts, metric: Declared) -> Iterator[Labels]:
    return (labels for labels, value in counts.highest(metric, *metric.labels).items() if value > 0)


def _partners(
    counts: Counts, before: Counts, current: Counts, recorded: Mapping[PartnerId, bool]
) -> Iterator[PartnerState]:
    """`recorded`: of the newest set, with whether its contract has ended."""
    outcomes = counts.per_second(before, metrics.OUTCOMES, "partner", "outcome")
    recalls = current.highest(metrics.RECALLS, "partner", "state")
    paused = current.highest(metrics.PARTNER_PAUSED, "partner")
    unread = current.highest(metrics.PARTNER_LAG, "partner")
    known = {PartnerId(partner) for partner, _ in (*outcomes, *recalls)}
    otherwise = _counted_nothing(counts, before)
    for partner in sorted({*recorded, *known}):
        yield PartnerState(
            partner=partner,
            state=_state(partner, recorded, is_paused=bool(paused.get((partner,)))),
            shared=outcomes.get((partner, "shared"), otherwise),
            recalled=outcomes.get((partner, "recalled"), otherwise),
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


def _reconciling(counts: Counts, before: Counts, current: Counts) -> Reconciling:
    return Reconciling(
        partitions=tuple(
            sorted((p for (p,), on in current.highest(metrics.CATCHING_UP, "partition").items() if on), key=int)
        ),
        customers=int(sum(current.highest(metrics.TO_RECONCILE, "partition").values())),
        per_second=sum(counts.per_second(before, metrics.RECONCILED).values()),
        to_fold=int(sum(current.highest(metrics.TO_FOLD, "partition").values())),
    )
