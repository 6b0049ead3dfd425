"""Questions to Prometheus about declared metrics, each with the unit of its answer as Grafana names units."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sluice.metrics import catalogue
from sluice.metrics.declaration import Declared, Kind, Unit

WINDOW = "$__rate_interval"
"""Grafana's: at least four scrapes."""

_UNITS = {Unit.SECONDS: "s", Unit.BYTES: "bytes", Unit.FLAG: "bool_on_off"}
_PER_SECOND = "cps"
_COUNT = "short"


@dataclass(frozen=True, slots=True)
class Query:
    expr: str
    legend: str
    unit: str


def per_second(metric: Declared, *by: str, where: str = "") -> Query:
    """How fast a counter grows."""
    assert metric.kind is Kind.COUNTER
    return Query(_sum(f"rate({metric.name}{_braced(where)}[{WINDOW}])", by), _legend(by, metric), _PER_SECOND)


def grown(metric: Declared, window: str, *by: str, where: str = "") -> Query:
    """By how much a counter has grown."""
    assert metric.kind is Kind.COUNTER
    return Query(_sum(f"increase({metric.name}{_braced(where)}[{window}])", by), _legend(by, metric), _COUNT)


def total(metric: Declared, *by: str, where: str = "") -> Query:
    """A gauge, over all processes. For flags: on how many it is set; with every label named, whether it is."""
    assert metric.kind is Kind.GAUGE
    unit = _UNITS.get(metric.unit, _COUNT) if metric.unit is not Unit.FLAG or by else _COUNT
    return Query(_sum(f"{metric.name}{_braced(where)}", by), _legend(by, metric), unit)


def waiting() -> Query:
    """How many processes wait for the broker, and how many for the registry."""
    told = " or ".join(metric.name for metric in catalogue.WAITING)
    return Query(_sum(told, ("needs",)), "for the {{needs}}", _COUNT)


def most(metric: Declared, *by: str, where: str = "") -> Query:
    """A gauge that every process has of the same thing."""
    assert metric.kind is Kind.GAUGE
    return _highest(total(metric, *by, where=where))


def served(metric: Declared) -> str:
    """Without what those tell whom the broker does not answer: others may have their partitions by now."""
    return f'{metric.name} unless on (job, instance) {catalogue.UNAVAILABLE.name}{{needs="broker"}} > 0'


def held(metric: Declared, *by: str) -> Query:
    """A gauge of who has a partition; `by` names the partition first. While it moves, two may tell it."""
    assert metric.kind is Kind.GAUGE
    return Query(f"max by ({', '.join(by)}) ({served(metric)})", _legend(by, metric), _UNITS.get(metric.unit, _COUNT))


def most_grown(metric: Declared, window: str, *by: str) -> Query:
    """By how much a counter has grown that every process has of the same thing."""
    return _highest(grown(metric, window, *by))


def quantile(metric: Declared, share: float) -> Query:
    """What this share of events takes no longer than."""
    assert metric.kind is Kind.HISTOGRAM
    rates = f"sum by (le) (rate({metric.name}_bucket[{WINDOW}]))"
    return Query(f"histogram_quantile({share:g}, {rates})", f"{share:.4g} of them", _UNITS[metric.unit])


def _highest(summed: Query) -> Query:
    """What one process says, and not what all do."""
    return replace(summed, expr=summed.expr.replace("sum", "max", 1))


def _sum(inner: str, by: tuple[str, ...]) -> str:
    return f"sum by ({', '.join(by)}) ({inner})" if by else f"sum({inner})"


def _braced(where: str) -> str:
    return f"{{{where}}}" if where else ""


def _legend(by: tuple[str, ...], metric: Declared) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in by) or metric.name
