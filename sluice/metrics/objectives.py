"""What is promised, as Prometheus rules that say how fast the room for error is used up.

Burn rates over several windows: Site Reliability Workbook (2018), chapter 5, for objectives over thirty days. An alert
asks a long window whether it matters, and a short one whether it still goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sluice.metrics import catalogue
from sluice.metrics.alerts import Alert, Severity
from sluice.metrics.declaration import Declared

Rule = dict[str, object]
"""As Prometheus has it in YAML."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A share of what happens is good."""

    name: str
    """As the recorded series have it."""
    all: str
    good: str
    """Selectors of counters."""
    share: float
    alert: str
    bad: str
    """As it stands in a sentence after a share: who is not, and how."""
    severity: Severity = Severity.PAGE
    """Where it burns fast."""
    made: Rule | None = None
    """What records the series that the selectors name, where they are not any process's own."""


def _within(seconds: float, latencies: Declared) -> tuple[str, str]:
    """All, and those that took no longer; `seconds` is one of the histogram's bounds."""
    return f"{latencies.name}_count", f'{latencies.name}_bucket{{le="{float(seconds)}"}}'


_DUE = "sluice:recalls_due_total:max"
"""Every process of returns knows of every recall; one that begins anew begins with them all."""

OBJECTIVES = (
    Objective(
        "freshness",
        *_within(5, catalogue.UPDATE_TO_COMMIT),
        0.99,
        "SluiceUpdatesLate",
        "customer updates take longer than 5 s",
    ),
    Objective(
        "recall",
        *_within(5, catalogue.WITHDRAWAL_TO_RECALL),
        0.999,
        "SluiceRecallsLate",
        "recalls take longer than 5 s",
    ),
    Objective(
        "acknowledgement",
        _DUE,
        f'{_DUE}{{outcome="in_time"}}',
        0.99,
        "SluiceAcknowledgementsLate",
        "recalls are not acknowledged in time",
        Severity.TICKET,  # one that is overdue pages by itself, and it is the partner's to mend
        {"record": _DUE, "expr": f"max by (partner, outcome) ({catalogue.RECALLS_DUE.name})"},
    ),
)


@dataclass(frozen=True, slots=True)
class Burning:
    """So many times as fast as the room for error would last thirty days."""

    times: float
    long: str
    short: str
    """A twelfth of it."""
    sixtieth: str
    """In steps of which it is counted how much of it is known."""


FAST = (Burning(14.4, "1h", "5m", "1m"), Burning(6, "6h", "30m", "6m"))
"""A fiftieth of the month's room in an hour, a twentieth in six."""
SLOW = (Burning(1, "3d", "6h", "72m"),)
_FEWEST_BAD = 3
"""In the long window. Where little happens, one that is bad is a large share of it, and nobody gets up for one."""


def recorded(objective: Objective) -> Iterator[Rule]:
    """The share that was bad, in each window that an alert asks for."""
    if objective.made:
        yield objective.made
    for window in ("5m", "30m", "1h", "6h", "3d"):
        bad = f"1 - sum(rate({objective.good}[{window}])) / (sum(rate({objective.all}[{window}])) > 0)"
        yield {"record": _series(objective, window), "expr": bad}


def alerts(objective: Objective) -> tuple[Alert, Alert]:
    """Somebody is woken where it burns fast, and told where it has for days."""
    bad = f"{{{{ $value | humanizePercentage }}}} of {objective.bad}"
    return (
        Alert(objective.alert, _burning(objective, FAST), objective.severity, bad),
        Alert(f"{objective.alert}ForDays", _burning(objective, SLOW), Severity.TICKET, f"{bad}, for days"),
    )


def _burning(objective: Objective, rates: tuple[Burning, ...]) -> str:
    room = 1 - objective.share
    terms = []
    for rate in rates:
        bound = f"{rate.times * room:.6g}"
        long = f"{_series(objective, rate.long)} > {bound} / {_covered(objective, rate)}"
        shares = f"{long} and {_series(objective, rate.short)} > {bound}"
        terms.append(f"({shares} and {_bad(objective, rate.long)} >= {_FEWEST_BAD})")
    return " or ".join(terms)


def _covered(objective: Objective, rate: Burning) -> str:
    """The share of the long window for which there is anything to go by.

    The rest counts as good: the room for error is a month's, and a minute uses up no more of it in a first hour.
    """
    return f"clamp_max(count_over_time(sum({objective.all})[{rate.long}:{rate.sixtieth}]) / 60, 1)"


def _bad(objective: Objective, window: str) -> str:
    """How many."""
    return f"(sum(increase({objective.all}[{window}])) - sum(increase({objective.good}[{window}])))"


def _series(objective: Objective, window: str) -> str:
    return f"sluice:{objective.name}_bad:ratio_rate{window}"
