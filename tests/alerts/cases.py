"""What each alert is shown, and what it makes of it: a case in which it fires, and one in which it does not.

Values are in promtool's notation: `start+step x count`.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Case:
    alert: str
    series: dict[str, str]
    """Values by series, a sample `every` so often."""
    after: str
    """When Prometheus is asked."""
    fires: dict[str, str] | None = field(default=None)
    """With these labels beside its severity; None: it does not."""
    says: str = ""
    every: str = "1m"
    """Between two samples, and two evaluations."""


def latencies(name: str, all_of_them: str, in_time: str) -> dict[str, str]:
    return {f'{name}_count{{instance="a"}}': all_of_them, f'{name}_bucket{{instance="a",le="5.0"}}': in_time}


def due(in_time: str, late: str) -> dict[str, str]:
    series = 'sluice_recalls_due_total{{partner="hoshi-card",outcome="{}",instance="a"}}'
    return {series.format("in_time"): in_time, series.format("late"): late}


_UPDATES = "sluice_update_to_commit_seconds"
_RECALLS = "sluice_withdrawal_to_recall_seconds"

_LATE = "{share} of {what} take longer than 5 s"
_UNACKNOWLEDGED = "{share} of recalls are not acknowledged in time"
_UNREADABLE = 'sluice_rejected_total{topic="crm.customer-updates",cause="unreadable",instance="a"}'
_STOPPED = 'sluice_widening_stopped{partition="1",reason="open_transaction",instance="a"}'
_LAG = 'sluice_lag_records{partition="0",instance="a"}'
_BEHIND = 'sluice_lag_seconds{partition="0",instance="a"}'
_CUT_OFF = 'sluice_unavailable{instance="a",needs="broker"}'
_STARTED = 'process_start_time_seconds{job="sharing",instance="a"}'
_STALLED = 'sluice_partner_stalled_seconds{partner="hoshi-card",topic="customers",instance="a"}'
_RECALLS_UNREAD = _STALLED.replace("customers", "control")
_TO_RECONCILE = 'sluice_customers_to_reconcile{partition="0",instance="a"}'


def _recalls(state: str) -> str:
    return f'sluice_recalls{{partner="hoshi-card",state="{state}",instance="a"}}'


PENDING = {
    "SluiceDown": "1m15s",
    "SluiceGone": "45s",
    "SluiceReturnsGone": "4m45s",
    "SluiceProvidersGone": "79m30s",
    "SluicePartitionUnserved": "4m45s",
    "SluiceUnavailable": "15s",
    "SluiceWideningStopped": "15s",
    "SluiceUpdatesPaused": "15s",
    "SluiceNotProgressing": "7m45s",
    "SluiceAborting": "14m",
    "SluiceCatchingUpForLong": "359m45s",
}
"""When those that have patience still have it, in the first case in which they fire: it holds, and is not told yet."""

CASES = (
    Case(
        "SluiceUpdatesLate",
        latencies(_UPDATES, "0+100x120", "0+80x120"),
        "2h",
        {},
        _LATE.format(share="20%", what="customer updates"),
    ),
    Case("SluiceUpdatesLate", latencies(_UPDATES, "0+100x120", "0+95x120"), "2h"),
    # all was well for a day; from then on a fifth is late: a window, or less, until it is told
    Case(
        "SluiceUpdatesLate",
        latencies(_UPDATES, "0+100x1500", "0+100x1440 144080+80x60"),
        "25h",
        {},
        _LATE.format(share="20%", what="customer updates"),
    ),
    Case(
        "SluiceRecallsLate",
        latencies(_RECALLS, "0+1000x1800", "0+1000x1440 1440990+990x360"),
        "30h",
        {},
        _LATE.format(share="1%", what="recalls"),
    ),
    # an outage of two minutes after a day in which all was well: what waited was late, and it is over
    Case("SluiceUpdatesLate", latencies(_UPDATES, "0+100x1500", "0+100x1440 144000x2 144100+100x57"), "24h10m"),
    # a rate that one hour does not mind, and six do
    Case(
        "SluiceUpdatesLate",
        latencies(_UPDATES, "0+100x480", "0+93x480"),
        "8h",
        {},
        _LATE.format(share="7%", what="customer updates"),
    ),
    # it is over: the short windows say so
    Case("SluiceUpdatesLate", latencies(_UPDATES, "0+100x180", "0+50x120 6100+100x60"), "175m"),
    # nothing happens
    Case("SluiceUpdatesLate", latencies(_UPDATES, "0x120", "0x120"), "2h"),
    Case(
        "SluiceUpdatesLateForDays",
        latencies(_UPDATES, "0+100x450", "0+98x450"),
        "74h",
        {},
        f"{_LATE.format(share='2%', what='customer updates')}, for days",
        "10m",
    ),
    Case("SluiceUpdatesLateForDays", latencies(_UPDATES, "0+1000x450", "0+995x450"), "74h", every="10m"),
    Case(
        "SluiceRecallsLate",
        latencies(_RECALLS, "0+1000x120", "0+980x120"),
        "2h",
        {},
        _LATE.format(share="2%", what="recalls"),
    ),
    Case("SluiceRecallsLate", latencies(_RECALLS, "0+1000x120", "0+995x120"), "2h"),
    # one of ten in an hour: a large share, and one
    Case("SluiceRecallsLate", latencies(_RECALLS, "0x110 0+1x10", "0x110 0+1x9 9"), "2h"),
    # ten seconds of an installation that is ten minutes old: a large share of them, and little of the month
    Case("SluiceRecallsLate", latencies(_RECALLS, "0+60x10", "0+60x5 350+60x4"), "10m"),
    # a burst that was late in one that is three minutes old, looked at when five-minute steps would take it for five
    Case("SluiceRecallsLate", latencies(_RECALLS, "_x3 0+77x10", "_x3 0 77 109+77x9"), "6m"),
    # one that is as young, and late with everything
    Case(
        "SluiceRecallsLate",
        latencies(_RECALLS, "0+60x15", "0x15"),
        "15m",
        {},
        _LATE.format(share="100%", what="recalls"),
    ),
    Case(
        "SluiceRecallsLateForDays",
        latencies(_RECALLS, "0+1000x450", "0+998x450"),
        "74h",
        {},
        f"{_LATE.format(share='0.2%', what='recalls')}, for days",
        "10m",
    ),
    Case("SluiceRecallsLateForDays", latencies(_RECALLS, "0+10000x450", "0+9995x450"), "74h", every="10m"),
    Case(
        "SluiceAcknowledgementsLate",
        due("0+8x120", "0+2x120"),
        "2h",
        {},
        _UNACKNOWLEDGED.format(share="20%"),
    ),
    Case("SluiceAcknowledgementsLate", due("0+95x120", "0+5x120"), "2h"),
    Case(
        "SluiceAcknowledgementsLateForDays",
        due("0+98x450", "0+2x450"),
        "74h",
        {},
        f"{_UNACKNOWLEDGED.format(share='2%')}, for days",
        "10m",
    ),
    Case("SluiceAcknowledgementsLateForDays", due("0+995x450", "0+5x450"), "74h", every="10m"),
    Case(
        "SluiceDown",
        {'up{job="sharing",instance="a"}': "1 0 0 0"},
        "3m",
        {"job": "sharing", "instance": "a"},
        "sharing at a does not answer",
    ),
    Case("SluiceDown", {'up{job="prometheus",instance="a"}': "0x10"}, "5m"),
    # it dies of the same thing again and again, and is started again each time
    Case(
        "SluiceRestarting",
        {_STARTED: "0x3 100x1 200x1 300x1 400x2"},
        "12m",
        {"job": "sharing", "instance": "a"},
        "sharing at a has ended 4 times in ten minutes",
    ),
    # a new version, and back
    Case("SluiceRestarting", {_STARTED: "0x3 100x2 200x9"}, "12m"),
    Case(
        "SluiceUnavailable",
        {
            'sluice_unavailable{instance="a",needs="broker"}': "0x10",
            'sluice_unavailable{instance="a",needs="registry"}': "1x10",
            'sluice_returns_unavailable{instance="b",needs="registry"}': "1x10",
        },
        "5m",
        {"needs": "registry"},
        "2 processes wait for the registry: what they do is not done meanwhile",
    ),
    Case(
        "SluiceUnavailable",
        {
            'sluice_unavailable{instance="a",needs="broker"}': "0x10",
            'sluice_returns_unavailable{instance="b",needs="broker"}': "0x10",
        },
        "5m",
    ),
    Case(
        "SluiceWideningStopped",
        {_STOPPED: "1x10"},
        "5m",
        {"partition": "1", "reason": "open_transaction"},
        "Nothing new is shared on partition 1: open_transaction",
    ),
    Case("SluiceWideningStopped", {_STOPPED: "0x3 1 0x6"}, "4m"),
    Case(
        "SluiceUpdatesPaused",
        {'sluice_updates_paused{partition="2",instance="a"}': "1x10"},
        "5m",
        {"partition": "2"},
        "Updates of partition 2 are held: too many of them cannot be used",
    ),
    Case("SluiceUpdatesPaused", {'sluice_updates_paused{partition="2",instance="a"}': "0x10"}, "5m"),
    Case("SluiceUpdatesPaused", {'sluice_updates_paused{partition="2",instance="a"}': "1x10", _CUT_OFF: "1x10"}, "5m"),
    # while updates come
    Case(
        "SluiceNotProgressing",
        {_LAG: "70+50x20", _BEHIND: "0+60x20"},
        "15m",
        {"partition": "0"},
        "What was logged on partition 0 has waited for 15m 0s",
    ),
    Case("SluiceNotProgressing", {_LAG: "70+50x20", _BEHIND: "0+60x5 10x15"}, "15m"),
    Case(
        "SluiceNotProgressing", {_BEHIND: "0+60x20", 'sluice_updates_paused{partition="0",instance="a"}': "1x20"}, "15m"
    ),
    Case(
        "SluiceNotProgressing", {_BEHIND: "0+60x20", 'sluice_unavailable{instance="a",needs="broker"}': "1x20"}, "15m"
    ),
    Case(
        "SluiceGone",
        {'up{job="sharing",instance="a"}': "1x10"},
        "5m",
        {},
        "No sharing processor tells anything: nothing is shared, and nothing recalled",
    ),
    Case("SluiceGone", {'sluice_partitions{instance="a"}': "4x10"}, "5m"),
    # it is down, which another alert says
    Case("SluiceGone", {'up{job="sharing",instance="a"}': "0x10"}, "5m"),
    # another one is down, which says nothing of this one
    Case(
        "SluiceGone",
        {'up{job="returns",instance="a"}': "0x10"},
        "5m",
        {},
        "No sharing processor tells anything: nothing is shared, and nothing recalled",
    ),
    Case(
        "SluiceReturnsGone",
        {'up{job="sharing",instance="a"}': "1x10"},
        "8m",
        {},
        "Nobody hears what partners return, and nobody looks at deadlines",
    ),
    Case("SluiceReturnsGone", {'sluice_returns_unavailable{instance="a",needs="broker"}': "0x10"}, "8m"),
    Case(
        "SluiceProvidersGone",
        {'sluice_providers_unavailable{instance="c",needs="broker"}': "0x60"},
        "90m",
        {},
        "Nobody asks service providers any more, though somebody did within four days",
    ),
    # it is there; it is down, which SluiceDown says; there never was any
    Case("SluiceProvidersGone", {'sluice_providers_unavailable{instance="c",needs="broker"}': "0x120"}, "90m"),
    Case(
        "SluiceProvidersGone",
        {
            'sluice_providers_unavailable{instance="c",needs="broker"}': "0x60",
            'up{job="providers",instance="c"}': "1x60 0x60",
        },
        "90m",
    ),
    Case("SluiceProvidersGone", {'sluice_partitions{instance="a"}': "4x120"}, "90m"),
    Case(
        "SluicePartitionUnserved",
        {'sluice_partitions{instance="a"}': "2x20", _LAG: "0x20"},
        "15m",
        {},
        "1 partitions are with no process: nothing is shared from them, and nothing recalled",
    ),
    Case(
        "SluicePartitionUnserved",
        {'sluice_partitions{instance="a"}': "1x20"},
        "15m",
        {},
        "1 partitions are with no process: nothing is shared from them, and nothing recalled",
    ),
    # who is cut off from the broker serves nothing; when all are, another alert says so
    Case(
        "SluicePartitionUnserved",
        {
            'sluice_partitions{instance="a"}': "2x20",
            'sluice_partitions{instance="b"}': "2x20",
            _LAG: "0x20",
            'sluice_lag_records{partition="1",instance="b"}': "0x20",
            _CUT_OFF: "1x20",
        },
        "15m",
        {},
        "1 partitions are with no process: nothing is shared from them, and nothing recalled",
    ),
    Case("SluicePartitionUnserved", {'sluice_partitions{instance="a"}': "1x20", _LAG: "0x20", _CUT_OFF: "1x20"}, "15m"),
    # two processes, and one partition that moved
    Case(
        "SluicePartitionUnserved",
        {
            'sluice_partitions{instance="a"}': "2x20",
            'sluice_partitions{instance="b"}': "2x20",
            _LAG: "0x20",
            'sluice_lag_records{partition="1",instance="a"}': "0x5 _x15",
            'sluice_lag_records{partition="1",instance="b"}': "_x6 0x14",
        },
        "15m",
    ),
    Case(
        "SluiceAborting",
        {'sluice_aborts_total{instance="a"}': "0+6x40"},
        "35m",
        {},
        "Transactions are aborted again and again",
    ),
    Case("SluiceAborting", {'sluice_aborts_total{instance="a"}': "0 1 2 3x37"}, "35m"),
    Case(
        "SluiceRejecting",
        # a bad deploy, in one batch
        {_UNREADABLE: "0x10 300x50"},
        "1h",
        {"topic": "crm.customer-updates", "cause": "unreadable"},
        "300 records of crm.customer-updates could not be used in an hour: unreadable",
    ),
    Case("SluiceRejecting", {_UNREADABLE: "0+1x60"}, "1h"),
    Case(
        "SluiceCatchingUpForLong",
        {_TO_RECONCILE: "9x500"},
        "8h",
        {},
        "9 customers are still to be reconciled",
    ),
    Case("SluiceCatchingUpForLong", {_TO_RECONCILE: "9x100 0x400"}, "90m"),
    Case(
        "SluiceRecallDueSoon",
        {_recalls("due_soon"): "2x10"},
        "5m",
        {"partner": "hoshi-card"},
        "hoshi-card has 2 recalls to acknowledge, soon",
    ),
    Case("SluiceRecallDueSoon", {_recalls("open"): "2x10"}, "5m"),
    Case(
        "SluiceRecallOverdue",
        # known to two processes
        {_recalls("overdue"): "1x10", _recalls("overdue").replace('"a"', '"b"'): "1x10"},
        "5m",
        {"partner": "hoshi-card"},
        "hoshi-card has not acknowledged 1 recalls in time",
    ),
    Case("SluiceRecallOverdue", {_recalls("overdue"): "0x10"}, "5m"),
    Case(
        "SluicePartnerNotReading",
        {_STALLED: "0+60x90"},
        "90m",
        {"partner": "hoshi-card"},
        "hoshi-card has read nothing for 1h 30m 0s although records wait",
    ),
    Case("SluicePartnerNotReading", {_STALLED: "0+60x50"}, "50m"),
    Case(
        "SluiceRecallsUnread",
        {_RECALLS_UNREAD: "0+60x90", _recalls("open"): "2x90"},
        "90m",
        {"partner": "hoshi-card"},
        "hoshi-card has recalls to carry out and has read none for 1h 30m 0s",
    ),
    # they are read; it is not recalls that wait; there are none
    Case("SluiceRecallsUnread", {_RECALLS_UNREAD: "0x90", _recalls("open"): "2x90"}, "90m"),
    Case("SluiceRecallsUnread", {_STALLED: "0+60x90", _recalls("open"): "2x90"}, "90m"),
    Case("SluiceRecallsUnread", {_RECALLS_UNREAD: "0+60x90", _recalls("open"): "0x90"}, "90m"),
    Case(
        "SluicePartnerPaused",
        {'sluice_partner_paused{partner="adresso",instance="a"}': "1x10"},
        "5m",
        {"partner": "adresso"},
        "adresso gets nothing new, because a recall is overdue",
    ),
    Case("SluicePartnerPaused", {'sluice_partner_paused{partner="adresso",instance="a"}': "0x10"}, "5m"),
)
