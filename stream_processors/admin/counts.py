"""What processes count, read from their metrics at one moment."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from http.client import HTTPException

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from sluice.metrics.declaration import Declared

_PATIENCE_SECONDS = 2.0
_AT_ONCE = 16
_MOST_BYTES = 50_000_000
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Process:
    """One that was asked."""

    url: str
    samples: tuple[Sample, ...] = ()
    trouble: str = ""
    """Why it gave no answer."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Of several processes together."""

    at: float
    """Seconds of a clock that only goes forward."""
    processes: tuple[Process, ...]
    is_everybody: bool = True
    """Somebody has named them all, so that who does not answer is missed."""

    def sums(self, metric: Declared, *by: str, **where: str) -> dict[Labels, float]:
        """Added up, by the values of these labels."""
        found: dict[Labels, float] = {}
        for sample in self._samples(metric, where):
            key = tuple(sample.labels.get(name, "") for name in by)  # another version's may have fewer
            found[key] = found.get(key, 0.0) + sample.value
        return found

    def highest(self, metric: Declared, *by: str, **where: str) -> dict[Labels, float]:
        """For gauges that several processes may tell of the same thing."""
        found: dict[Labels, float] = {}
        for sample in self._samples(metric, where):
            key = tuple(sample.labels.get(name, "") for name in by)  # another version's may have fewer
            found[key] = max(found.get(key, 0.0), sample.value)
        return found

    def per_second(self, before: Counts, metric: Declared, *by: str, **where: str) -> dict[Labels, float]:
        """How fast a counter has grown since, in those processes that answered both times; none that began anew has."""
        found: dict[Labels, float] = {}
        seconds = max(self.at - before.at, 1e-3)
        for was, process in self._answered_since(before):
            then = Counts(before.at, (was,)).sums(metric, *by, **where)
            for key, value in Counts(self.at, (process,)).sums(metric, *by, **where).items():
                found[key] = found.get(key, 0.0) + max(value - then.get(key, 0.0), 0.0) / seconds
        return found

    def of(self, processes: Iterable[Process]) -> Counts:
        """Of these of them alone."""
        return replace(self, processes=tuple(processes))

    def is_told_since(self, before: Counts, metric: Declared) -> bool:
        """Somebody who tells this metric answered both times."""
        return any(one.name == metric.name for _, process in self._answered_since(before) for one in process.samples)

    def _answered_since(self, before: Counts) -> Iterator[tuple[Process, Process]]:
        """As they were, and as they are."""
        earlier = {one.url: one for one in before.processes if not one.trouble}
        return ((earlier[one.url], one) for one in self.processes if one.url in earlier and not one.trouble)

    def _samples(self, metric: Declared, where: dict[str, str]) -> Iterable[Sample]:
        for process in self.processes:
            for sample in process.samples:
                if sample.name == metric.name and where.items() <= sample.labels.items():
                    yield sample


def count(urls: Sequence[str], own: CollectorRegistry | None) -> Counts:
    """All asked at the same time; who does not answer says why. `own`: this process, beside which others may be."""
    mine = [] if own is None else [Process("this process", tuple(_samples(own.collect())))]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        told = pool.map(_ask, urls)
        return Counts(time.monotonic(), (*mine, *told), is_everybody=own is None)


def _samples(families: Iterable[Metric]) -> Iterator[Sample]:
    return (sample for family in families for sample in family.samples)


def _ask(url: str) -> Process:
    try:
        with _DIRECTLY.open(url, timeout=_PATIENCE_SECONDS) as answer:
            text = answer.read(_MOST_BYTES).decode("utf-8")
        return Process(url, tuple(_samples(text_string_to_metric_families(text))))
    except (OSError, ValueError, HTTPException) as error:
        return Process(url, trouble=str(getattr(error, "reason", error)) or type(error).__name__)
