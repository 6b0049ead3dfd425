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
    """A share of what happens takes no longer than this."""

    name: str
    """As the recorded series and the label `objective` have it."""
    latencies: Declared
    """A histogram."""
    within_seconds: float
    """One of the histogram's bounds."""
    share: float
    alert: str
    what: str
    """As it stands in a sentence: who takes too long."""


OBJECTIVES = (
    Objective("freshness", catalogue.UPDATE_TO_COMMIT, 5, 0.99, "SluiceUpdatesLate", "customer updates"),
    Objective("recall", catalogue.WITHDRAWAL_TO_RECALL, 5, 0.999, "SluiceRecallsLate", "recalls"),
)


@dataclass(frozen=True, slots=True)
class Burning:
    """So many times as fast as the room for error would last thirty days."""

    times: float
    long: str
    short: str


FAST = (Burning(14.4, "1h", "5m"), Burning(6, "6h", "30m"))
"""A fiftieth of the month's room in an hour, a twentieth in six."""
SLOW = (Burning(1, "3d", "6h"),)
_FEWEST_LATE = 3
"""In the long window. Where little happens, one that is late is a large share of it, and nobody gets up for one."""


def recorded(objective: Objective) -> Iterator[Rule]:
    """The share that was late, in each window that an alert asks for."""
    name, bound = objective.latencies.name, f'le="{float(objective.within_seconds)}"'
    for window in ("5m", "30m", "1h", "6h", "3d"):
        late = f"1 - sum(rate({name}_bucket{{{bound}}}[{window}])) / (sum(rate({name}_count[{window}])) > 0)"
        yield {"record": _series(objective, window), "expr": late}


def alerts(objective: Objective) -> tuple[Alert, Alert]:
    """Somebody is woken where it burns fast, and told where it has for days."""
    late = f"{{{{ $value | humanizePercentage }}}} of {objective.what} take longer than {objective.within_seconds:g} s"
    return (
        Alert(objective.alert, _burning(objective, FAST), Severity.PAGE, late),
        Alert(f"{objective.alert}ForDays", _burning(objective, SLOW), Severity.TICKET, f"{late}, for days"),
    )


def _burning(objective: Objective, rates: tuple[Burning, ...]) -> str:
    room = 1 - objective.share
    terms = []
    for rate in rates:
        bound = f"{rate.times * room:.6g}"
        shares = f"{_series(objective, rate.long)} > {bound} and {_series(objective, rate.short)} > {bound}"
        terms.append(f"({shares} and {_late(objective, rate.long)} >= {_FEWEST_LATE})")
    return " or ".join(terms)


def _late(objective: Objective, window: str) -> str:
    """How many."""
    name, bound = objective.latencies.name, f'le="{float(objective.within_seconds)}"'
    return f"(sum(increase({name}_count[{window}])) - sum(increase({name}_bucket{{{bound}}}[{window}])))"


def _series(objective: Objective, window: str) -> str:
    return f"sluice:{objective.name}_late:ratio_rate{window}"
