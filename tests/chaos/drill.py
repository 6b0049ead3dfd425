"""A drill before the deployed alerting rules: a quiet time that may alert nobody, then one fault after the other.

Prometheus scrapes and judges every fifteen seconds, as deploy/ has it, and the rules have all their patience. Each
fault has to fire the alert of its cause within two evaluations of its condition, and to wake nobody for anything else.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from sluice.local import ports, stack
from sluice.metrics import rules
from sluice.metrics.alerts import Severity
from tests.chaos.companions import Companion
from tests.chaos.drill_faults import FAULTS, Drilled, Fault, named
from tests.chaos.field import INSTANCES, PROXIED, Field
from tests.chaos.machine import machine
from tests.chaos.proxied_stack import ProxiedStack
from tests.integration.installation import HOSHI, PARTNERS
from tests.integration.prometheus_server import Prometheus, prometheus

EVERY_SECONDS = 15
"""Between two evaluations, and two scrapes: deploy/compose/prometheus.yaml."""
_LOOK_SECONDS = 1.0
_AT_MOST_SECONDS = 240.0
_AFTERWARDS_SECONDS = 45.0
"""For which it is watched whether somebody is woken for anything else."""
_CALM_SECONDS = 600.0
_WARM_SECONDS = 30.0
_LITTLE = 100
"""Records that may wait while updates come."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a fault did. Seconds are from when it was done; None: never."""

    fault: str
    alert: str | None
    condition_seconds: float | None
    """Until Prometheus saw the alert's condition hold, less what the fault takes to bring it about."""
    fired_seconds: float | None
    patience_seconds: float
    """The rule's `for`."""
    woken_for: list[str]
    """Alerts that page, while it lasted and until all was calm."""
    calm_seconds: float | None
    """From its end until nobody was paged."""

    @property
    def passed(self) -> bool:
        if self.calm_seconds is None:
            return False
        if self.alert is None:
            return self.woken_for == []
        in_time = self.condition_seconds is not None and self.condition_seconds <= 2 * EVERY_SECONDS
        return in_time and self.woken_for == [self.alert]


class Drill:
    def __init__(self, drilled: Drilled, server: Prometheus, report: Path) -> None:
        self._drilled = drilled
        self._server = server
        self._report = report
        self._patience = _patience()

    def quiet(self, minutes: float) -> list[str]:
        """The alerts, of any severity, that fired meanwhile."""
        ends_at, told_at, fired = time.monotonic() + minutes * 60, time.monotonic(), set[str]()
        while time.monotonic() < ends_at:
            self._look()
            fired |= {one["alertname"] for one in self._server.firing()}
            if time.monotonic() >= told_at:
                told_at += 60
                _tell(quiet_minutes_left=round((ends_at - time.monotonic()) / 60, 1), fired=sorted(fired))
        _tell(quiet_minutes=minutes, fired=sorted(fired), **self._load(minutes))
        return sorted(fired)

    def drill(self, fault: Fault) -> Found:
        active: float | None = None
        fired: float | None = None
        woken: set[str] = set()
        with fault.lasting(self._drilled):
            began, wall = time.monotonic(), time.time()
            ends_at = began + (_AT_MOST_SECONDS if fault.alert else _AFTERWARDS_SECONDS + 2 * EVERY_SECONDS)
            while time.monotonic() < ends_at:
                self._look()
                for alert in self._paging():
                    if alert["labels"]["alertname"] == fault.alert:
                        since = datetime.fromisoformat(alert["activeAt"]).timestamp() - wall
                        active = since if active is None else min(active, since)
                woken |= self._woken()
                if fired is None and fault.alert in woken:
                    fired = time.monotonic() - began
                    ends_at = time.monotonic() + _AFTERWARDS_SECONDS
        calm = self.until_calm(woken)
        condition = None if active is None else round(active - fault.holds_after_seconds, 1)
        return Found(
            fault.name,
            fault.alert,
            condition,
            None if fired is None else round(fired, 1),
            self._patience.get(fault.alert or "", 0.0),
            sorted(woken),
            calm,
        )

    def until_calm(self, woken: set[str]) -> float | None:
        """Nobody has been paged for two evaluations, nor is about to be."""
        over, calm_since = time.monotonic(), time.monotonic()
        while time.monotonic() < over + _CALM_SECONDS:
            self._look()
            woken |= self._woken()
            if self._paging():
                calm_since = time.monotonic()
            elif time.monotonic() > calm_since + 2 * EVERY_SECONDS:
                return round(calm_since - over, 1)
        return None

    def _look(self) -> None:
        time.sleep(_LOOK_SECONDS)
        for companion in self._drilled.companions.values():
            companion.look()

    def _paging(self) -> list[dict[str, Any]]:
        """Alerts that page, or will if their condition lasts."""
        return [one for one in self._server.alerts() if one["labels"]["severity"] == Severity.PAGE]

    def _woken(self) -> set[str]:
        return {one["alertname"] for one in self._server.firing() if one["severity"] == Severity.PAGE}

    def _load(self, minutes: float) -> dict[str, float]:
        """What went through."""
        questions = {
            "updates": f"sum(increase(sluice_update_to_commit_seconds_count[{max(minutes * 60, 60):.0f}s]))",
            "recalls": f"sum(increase(sluice_withdrawal_to_recall_seconds_count[{max(minutes * 60, 60):.0f}s]))",
        }
        answers = {name: self._server.ask(question) for name, question in questions.items()}
        return {name: round(float(answer[0]["value"][1])) for name, answer in answers.items() if answer}


def _patience() -> dict[str, float]:
    """Seconds for which the condition of each alert has to last."""
    every = [rule for group in yaml.safe_load(rules.document())["groups"] for rule in group["rules"]]
    units = {"s": 1, "m": 60, "h": 3_600}
    return {one["alert"]: float(one["for"][:-1]) * units[one["for"][-1]] for one in every if "alert" in one}


def _tell(**what: object) -> None:
    print(json.dumps({"at": datetime.now().astimezone().isoformat(timespec="seconds"), **what}), flush=True)  # noqa: T201 - a program of the command line


@contextmanager
def under_load(folder: Path, rate: float) -> Iterator[tuple[Drilled, Prometheus]]:
    """A new broker and a new installation in place of those of the last drill, with everybody who uses them."""
    local, home = (folder / "local").absolute(), (folder / "installation").absolute()
    stack.delete(local)
    shutil.rmtree(folder, ignore_errors=True)
    home.mkdir(parents=True)
    chosen = ports.choose(len(INSTANCES) + 2)
    sharing = dict(zip(INSTANCES, chosen, strict=False))
    proxied = ProxiedStack(local, (PROXIED,))
    endpoints = proxied.start()
    field = Field(proxied, endpoints, home, session_timeout_ms=6_000, batch=1_000, metrics_ports=sharing)
    companions: dict[str, Companion] = {}
    try:
        settings = field.installation.settings_path
        given = json.loads(settings.read_text(encoding="utf-8"))
        for what, port in zip(("returns", "providers"), chosen[len(INSTANCES) :], strict=True):
            given[what]["metrics"]["port"] = port
        del given["returns"]["look_every_s"]  # as usual, and not as tests want it
        settings.write_text(json.dumps(given), encoding="utf-8")
        commands = [
            ["run", "returns"],
            ["run", "providers"],
            ["simulate-crm", "--rate", str(rate), "--customers", "1000"],
            ["tail", HOSHI],
            *(["acknowledge", partner, "--follow"] for partner in PARTNERS),
        ]
        field.start()
        for command in commands:
            name = " ".join(command[:2])
            companions[name] = Companion(command, settings, home / f"{name.replace(' ', '-')}.log")
        _await_calm(field)
        targets = {"sharing": list(sharing.values()), "returns": [chosen[-2]], "providers": [chosen[-1]]}
        addresses = {job: [f"{ports.LOOPBACK}:{port}" for port in those] for job, those in targets.items()}
        with prometheus(home, addresses, every_seconds=EVERY_SECONDS) as server:
            yield Drilled(field, companions), server
    finally:
        for companion in companions.values():
            companion.pause()
        field.close()
        proxied.close()


def _await_calm(field: Field) -> None:
    """Whoever was introduced before the processors ran was late: no fault, and nothing to page for."""
    _tell(warming_up=True)
    time.sleep(_WARM_SECONDS)
    while (standing := field.group.standing()) is None or standing.backlog > _LITTLE:
        time.sleep(_LOOK_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quiet-minutes", type=float, default=60.0, help="[60]")
    parser.add_argument("--rate", type=float, default=20.0, help="events a second [20]")
    parser.add_argument(
        "--faults",
        nargs="*",
        choices=[[], *(fault.name for fault in FAULTS)],
        default=[fault.name for fault in FAULTS],
        help="by name [all]",
    )
    parser.add_argument("--folder", type=Path, default=Path("build/drill"), help="[build/drill]")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # whoever was started is ended
    with under_load(given.folder, given.rate) as (drilled, server):
        drill = Drill(drilled, server, given.folder)
        drill.until_calm(set())
        fired = drill.quiet(given.quiet_minutes)
        found = []
        for fault in named(given.faults):
            found.append(drill.drill(fault))
            _tell(**asdict(found[-1]), passed=found[-1].passed)
    report = {
        "passed": fired == [] and all(one.passed for one in found),
        "machine": machine(),
        "quiet_minutes": given.quiet_minutes,
        "fired_while_quiet": fired,
        "faults": [{**asdict(one), "passed": one.passed} for one in found],
    }
    (given.folder / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    _tell(passed=report["passed"], report=str(given.folder / "report.json"))
    sys.exit(0 if report["passed"] else 1)


if __name__ == "__main__":
    main()
