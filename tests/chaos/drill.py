"""A drill before the deployed alerting rules: a quiet time that may alert nobody, then one fault after the other.

Prometheus scrapes and judges every fifteen seconds, as deploy/ has it, and the rules have all their patience. Each
fault's condition has to be seen within two evaluations, to fire the alert of its cause within two more, and to wake
nobody for anything else.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sluice.metrics.alerts import CAUSES, Severity
from sluice.metrics.catalogue import UPDATE_TO_COMMIT, WITHDRAWAL_TO_RECALL
from tests.chaos.drill_faults import FAULTS, Fault, NotDone
from tests.chaos.drilled import EVERY_SECONDS, Drilled, begin_as_a_program, under_load
from tests.chaos.machine import machine
from tests.integration.prometheus_server import Prometheus

_AT_MOST_SECONDS = 240.0
_AFTERWARDS_SECONDS = 45.0
"""For which it is watched whether somebody is woken for anything else."""
_CALM_SECONDS = 780.0
"""Longer than any alert looks back."""
_TOLD_SECONDS = 3.0
"""Until it is seen here that an alert fires."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """What a time without a fault brought."""

    minutes: float
    fired: list[str]
    """Alerts of any severity."""
    updates: int
    recalls: int
    """That reached partners."""
    ends: int
    """How often somebody ended who should not have."""

    @property
    def passed(self) -> bool:
        """Quiet under load: where nothing goes through, nothing can be late."""
        return not self.fired and self.updates > 0 and self.recalls > 0 and self.ends == 0


@dataclass(frozen=True, slots=True)
class Found:
    """What a fault did. Seconds are from when it was done; None: never."""

    fault: str
    alert: str | None
    patience: str
    """For how long the alert's condition has to last."""
    holds_after_seconds: int
    """What the fault takes to bring the condition about."""
    condition_seconds: float | None = None
    """Until Prometheus saw the alert's condition hold, less `holds_after_seconds`."""
    fired_seconds: float | None = None
    woken_for: list[str] = field(default_factory=list)
    """Alerts that paged, from before the fault until all was calm."""
    calm_seconds: float | None = None
    """From its end until nobody was paged."""
    not_done: str = ""
    """Why the fault could not be brought about."""

    @property
    def passed(self) -> bool:
        if self.not_done or self.calm_seconds is None:
            return False
        if self.alert is None:
            return self.woken_for == []
        return self._is_seen_in_time and self._fires_in_time and self.woken_for == [self.alert]

    @property
    def _is_seen_in_time(self) -> bool:
        return self.condition_seconds is not None and self.condition_seconds <= 2 * EVERY_SECONDS

    @property
    def _fires_in_time(self) -> bool:
        if self.fired_seconds is None or self.condition_seconds is None:
            return False
        held = self.fired_seconds - self.holds_after_seconds - self.condition_seconds
        return held <= 2 * EVERY_SECONDS + _TOLD_SECONDS


class Drill:
    """One time that Prometheus watches; what it has seen before it, it does not know."""

    def __init__(self, drilled: Drilled, server: Prometheus) -> None:
        self._drilled = drilled
        self._server = server

    def quiet(self, minutes: float) -> Quiet:
        began = time.monotonic()
        ended = self._drilled.ends
        told_at = began
        while time.monotonic() < began + minutes * 60:
            self._drilled.look()
            if time.monotonic() >= told_at:
                told_at += 60
                _tell(quiet_minutes=round((time.monotonic() - began) / 60), fired=self._fired(began))
        updates, recalls = (self._counted(one.name, began) for one in (UPDATE_TO_COMMIT, WITHDRAWAL_TO_RECALL))
        return Quiet(minutes, self._fired(began), updates, recalls, self._drilled.ends - ended)

    def drill(self, fault: Fault) -> Found:
        patience = next((one.lasting for one in CAUSES if one.name == fault.alert), "")
        found = Found(fault.name, fault.alert, patience, fault.holds_after_seconds)
        before = time.monotonic()
        try:
            with fault.lasting(self._drilled):
                found = self._watched(fault, found)
        except NotDone as why:
            found = replace(found, not_done=str(why))
        calm = self.until_calm()
        return replace(found, woken_for=self._fired(before, severity=Severity.PAGE), calm_seconds=calm)

    def _watched(self, fault: Fault, found: Found) -> Found:
        """Until a while after the alert fired, or for as long as it could have."""
        began, wall = time.monotonic(), time.time()
        ends_at = began + (_AT_MOST_SECONDS if fault.alert else _AFTERWARDS_SECONDS + 2 * EVERY_SECONDS)
        while time.monotonic() < ends_at:
            self._drilled.look()
            alert = next((one for one in self._paging() if one["labels"]["alertname"] == fault.alert), None)
            if alert is None:
                continue
            if found.condition_seconds is None:
                since = datetime.fromisoformat(alert["activeAt"]).timestamp() - wall - fault.holds_after_seconds
                found = replace(found, condition_seconds=round(since, 1))
            if found.fired_seconds is None and alert["state"] == "firing":
                found = replace(found, fired_seconds=round(time.monotonic() - began, 1))
                ends_at = time.monotonic() + _AFTERWARDS_SECONDS
        return found

    def until_calm(self) -> float | None:
        """Seconds until nobody has been paged for two evaluations, nor is about to be; None: it does not end."""
        over, calm_since = time.monotonic(), time.monotonic()
        while time.monotonic() < over + _CALM_SECONDS:
            self._drilled.look()
            if self._paging():
                calm_since = time.monotonic()
            elif time.monotonic() > calm_since + 2 * EVERY_SECONDS:
                return round(calm_since - over, 1)
        return None

    def _paging(self) -> list[dict[str, Any]]:
        """Alerts that page, or will if their condition lasts."""
        return [one for one in self._server.alerts() if one["labels"]["severity"] == Severity.PAGE]

    def _fired(self, since: float, severity: str = ".*") -> list[str]:
        """Names of the alerts that have fired, as Prometheus remembers it."""
        firing = f'ALERTS{{alertstate="firing",severity=~"{severity}"}}[{_ago(since)}]'
        found = self._server.ask(f"sum by (alertname) (count_over_time({firing}))")
        return sorted(one["metric"]["alertname"] for one in found)

    def _counted(self, latencies: str, since: float) -> int:
        (answer,) = self._server.ask(f"sum(increase({latencies}_count[{_ago(since)}])) or vector(0)")
        return round(float(answer["value"][1]))


@contextmanager
def watching(drilled: Drilled) -> Iterator[Drill]:
    """From when all is calm."""
    with drilled.watched() as server:
        drill = Drill(drilled, server)
        drill.until_calm()
        yield drill


def _ago(since: float) -> str:
    """As Prometheus has a range; it holds two scrapes at the least."""
    return f"{max(time.monotonic() - since, 2 * EVERY_SECONDS):.0f}s"


def _tell(**what: object) -> None:
    print(json.dumps({"at": datetime.now().astimezone().isoformat(timespec="seconds"), **what}), flush=True)  # noqa: T201 - a program of the command line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    every = {fault.name: fault for fault in FAULTS}
    parser.add_argument("--quiet-minutes", type=float, default=60.0, help="[60]")
    parser.add_argument("--rate", type=float, default=20.0, help="events a second [20]")
    parser.add_argument("--faults", nargs="*", choices=[[], *every], default=list(every), metavar="NAME", help="[all]")
    parser.add_argument("--folder", type=Path, default=Path("build/drill"), help="[build/drill]")
    given = parser.parse_args()
    begin_as_a_program()
    _tell(warming_up=True)
    with under_load(given.folder, given.rate) as drilled:
        with watching(drilled) as drill:
            quiet = drill.quiet(given.quiet_minutes)
        _tell(**asdict(quiet), passed=quiet.passed)
        found = []
        for name in given.faults:
            with watching(drilled) as drill:
                found.append(drill.drill(every[name]))
            _tell(**asdict(found[-1]), passed=found[-1].passed)
    passed = quiet.passed and all(one.passed for one in found)
    told = [{**asdict(one), "passed": one.passed} for one in found]
    report = {"passed": passed, "machine": machine(), "quiet": asdict(quiet), "faults": told}
    path = given.folder / "report.json"
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    _tell(passed=passed, report=str(path))
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
