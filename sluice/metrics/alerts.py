"""What somebody has to look at, each with its cause. docs/alerts.md says what to do, under the alert's name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sluice.metrics.catalogue import (
    ABORTS,
    LAG,
    LAG_SECONDS,
    PARTITIONS,
    PARTNER_PAUSED,
    PARTNER_STALLED,
    PAUSED,
    PROVIDERS_UNAVAILABLE,
    RECALLS,
    REJECTED,
    RETURNS_UNAVAILABLE,
    TO_RECONCILE,
    WIDENING_STOPPED,
)
from sluice.metrics.declaration import Declared
from sluice.metrics.queries import served, waiting

RUNBOOK = "docs/alerts.md"
JOBS = "sharing|returns|providers"
"""As deploy/ has Prometheus name them. The rules are about one installation: they add up all that Prometheus knows."""


class Severity(StrEnum):
    PAGE = "page"
    """Customers' rights or the flow are at stake now: somebody gets up."""
    TICKET = "ticket"
    """Somebody looks at it on the next working day."""


@dataclass(frozen=True, slots=True)
class Alert:
    name: str
    expr: str
    severity: Severity
    summary: str
    lasting: str = "0s"
    """For how long the expression has to hold."""

    def runbook(self, page: str = RUNBOOK) -> str:
        """Where it says what to do. `page`: where docs/alerts.md is."""
        return f"{page}#{self.name.lower()}"

    def rule(self, page: str = RUNBOOK) -> dict[str, object]:
        """As Prometheus has it in YAML."""
        annotations = {"summary": self.summary, "runbook_url": self.runbook(page)}
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.lasting,
            "labels": {"severity": self.severity.value},
            "annotations": annotations,
        }


def _gone(job: str, tells: Declared) -> str:
    """Nobody tells it, and there is no process of that job that is down, which SluiceDown says."""
    return f'absent({tells.name}) unless on () up{{job="{job}"}} == 0'


CAUSES = (
    Alert(
        "SluiceDown",
        f'up{{job=~"{JOBS}"}} == 0',
        Severity.PAGE,
        "{{ $labels.job }} at {{ $labels.instance }} does not answer",
        "30s",
    ),
    Alert(
        "SluiceRestarting",
        f'changes(process_start_time_seconds{{job=~"{JOBS}"}}[10m]) > 3',
        Severity.PAGE,
        "{{ $labels.job }} at {{ $labels.instance }} has ended {{ $value }} times in ten minutes",
    ),
    Alert(
        "SluiceGone",
        _gone("sharing", PARTITIONS),
        Severity.PAGE,
        "No sharing processor tells anything: nothing is shared, and nothing recalled",
        "1m",
    ),
    Alert(
        "SluiceReturnsGone",
        _gone("returns", RETURNS_UNAVAILABLE),
        Severity.PAGE,
        "Nobody hears what partners return, and nobody looks at deadlines",
        "5m",
    ),
    Alert(
        "SluiceProvidersGone",
        f"max_over_time(max({PROVIDERS_UNAVAILABLE.name})[4d:15m]) >= 0 unless on () max({PROVIDERS_UNAVAILABLE.name}) "
        'unless on () up{job="providers"} == 0',
        Severity.TICKET,
        "Nobody asks service providers any more, though somebody did within four days",
        "15m",
    ),
    Alert(
        "SluicePartitionUnserved",
        f"max({served(PARTITIONS)}) - (count(count by (partition) ({served(LAG)})) or vector(0)) > 0",
        Severity.PAGE,
        "{{ $value }} partitions are with no process: nothing is shared from them, and nothing recalled",
        "5m",
    ),
    Alert(
        "SluiceUnavailable",
        f"{waiting().expr} > 0",
        Severity.PAGE,
        "{{ $value }} processes wait for the {{ $labels.needs }}: what they do is not done meanwhile",
        "30s",
    ),
    Alert(
        "SluiceWideningStopped",
        f"max by (partition, reason) ({served(WIDENING_STOPPED)}) > 0",
        Severity.PAGE,
        "Nothing new is shared on partition {{ $labels.partition }}: {{ $labels.reason }}",
        "30s",
    ),
    Alert(
        "SluiceUpdatesPaused",
        f"max by (partition) ({served(PAUSED)}) > 0",
        Severity.PAGE,
        "Updates of partition {{ $labels.partition }} are held: too many of them cannot be used",
        "30s",
    ),
    Alert(
        "SluiceNotProgressing",
        f"max by (partition) ({served(LAG_SECONDS)}) > 300 "
        f"unless on (partition) max by (partition) ({served(PAUSED)}) > 0",
        Severity.PAGE,
        "What was logged on partition {{ $labels.partition }} has waited for {{ $value | humanizeDuration }}",
        "2m",
    ),
    Alert(
        "SluiceAborting",
        f"sum(rate({ABORTS.name}[10m])) > 0.05",
        Severity.TICKET,
        "Transactions are aborted again and again",
        "10m",
    ),
    Alert(
        "SluiceRejecting",
        f"sum by (topic, cause) (increase({REJECTED.name}[1h])) > 100",
        Severity.TICKET,
        "{{ $value | humanize }} records of {{ $labels.topic }} could not be used in an hour: {{ $labels.cause }}",
    ),
    Alert(
        "SluiceCatchingUpForLong",
        f"sum({served(TO_RECONCILE)}) > 0",
        Severity.TICKET,
        "{{ $value | humanize }} customers are still to be reconciled",
        "6h",
    ),
    Alert(
        "SluiceRecallDueSoon",
        f'max by (partner) ({RECALLS.name}{{state="due_soon"}}) > 0',
        Severity.TICKET,
        "{{ $labels.partner }} has {{ $value }} recalls to acknowledge, soon",
    ),
    Alert(
        "SluiceRecallOverdue",
        f'max by (partner) ({RECALLS.name}{{state="overdue"}}) > 0',
        Severity.PAGE,
        "{{ $labels.partner }} has not acknowledged {{ $value }} recalls in time",
    ),
    Alert(
        "SluicePartnerNotReading",
        f"max by (partner) ({PARTNER_STALLED.name}) > 3600",
        Severity.TICKET,
        "{{ $labels.partner }} has read nothing for {{ $value | humanizeDuration }} although records wait",
    ),
    Alert(
        "SluiceRecallsUnread",
        f'max by (partner) ({PARTNER_STALLED.name}{{topic="control"}}) > 3600 '
        f'and on (partner) max by (partner) ({RECALLS.name}{{state=~"open|due_soon"}}) > 0',
        Severity.TICKET,
        "{{ $labels.partner }} has recalls to carry out and has read none for {{ $value | humanizeDuration }}",
    ),
    Alert(
        "SluicePartnerPaused",
        f"max by (partner) ({PARTNER_PAUSED.name}) > 0",
        Severity.TICKET,
        "{{ $labels.partner }} gets nothing new, because a recall is overdue",
    ),
)
