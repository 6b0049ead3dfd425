"""An installation under load, as in production: everybody supervised, and Prometheus with the deployed rules."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sluice.local import ports, stack
from tests.chaos.companions import Companion
from tests.chaos.field import INSTANCES, PROXIED, Field
from tests.chaos.proxied_stack import ProxiedStack
from tests.integration.installation import HOSHI, PARTNERS
from tests.integration.prometheus_server import Prometheus, program, prometheus

EVERY_SECONDS = 15
"""Between two evaluations, and two scrapes: deploy/compose/prometheus.yaml."""
_LOOK_SECONDS = 1.0
_WARM_SECONDS = 30.0
_LITTLE = 100
"""Records that may wait while updates come."""


@dataclass(frozen=True, slots=True)
class Drilled:
    field: Field
    companions: dict[str, Companion]
    """Everybody but the sharing processors, by name."""
    addresses: dict[str, str]
    """Where each process serves its metrics, and sharing its page for operators, by name."""
    folder: Path

    @contextmanager
    def watched(self) -> Iterator[Prometheus]:
        """One that knows nothing of what was before: faults are minutes apart here, and months elsewhere."""
        shutil.rmtree(self.folder / "prometheus", ignore_errors=True)
        jobs: dict[str, list[str]] = {}
        for name, address in self.addresses.items():
            jobs.setdefault(name.split()[0], []).append(address)
        with prometheus(self.folder, jobs, every_seconds=EVERY_SECONDS) as server:
            yield server

    def look(self) -> None:
        """Whoever ended by itself is started again. To be called about every second; takes that second."""
        time.sleep(_LOOK_SECONDS)
        for companion in self.companions.values():
            companion.look()

    @property
    def ends(self) -> int:
        """How often a companion ended who should not have."""
        return sum(companion.ends for companion in self.companions.values())


def begin_as_a_program() -> None:
    """SIGTERM ends whoever is started from now on, too. Exits with a sentence where there is no Prometheus."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        program("prometheus")
    except pytest.skip.Exception as missing:
        sys.exit(str(missing))


@contextmanager
def under_load(folder: Path, rate: float) -> Iterator[Drilled]:
    """A new broker and a new installation in place of those of the last time. `rate`: events a second."""
    local, home = (folder / "local").absolute(), (folder / "installation").absolute()
    stack.delete(local)
    shutil.rmtree(folder, ignore_errors=True)
    home.mkdir(parents=True)
    names = [*(f"sharing {instance}" for instance in INSTANCES), "returns", "providers"]
    listening = dict(zip(names, ports.choose(len(names)), strict=True))
    sharing = {instance: listening[f"sharing {instance}"] for instance in INSTANCES}
    proxied = ProxiedStack(local, (PROXIED,))
    endpoints = proxied.start()
    addresses = {name: f"{ports.LOOPBACK}:{port}" for name, port in listening.items()}
    shown = [f"http://{address}/metrics" for address in addresses.values()]
    there = Field(proxied, endpoints, home, session_timeout_ms=6_000, batch=1_000, metrics_ports=sharing, shown=shown)
    companions: dict[str, Companion] = {}
    try:
        _write_settings(there, listening)
        commands = [
            ["run", "returns"],
            ["run", "providers"],
            ["simulate-crm", "--rate", str(rate), "--customers", "1000"],
            ["tail", HOSHI],
            *(["acknowledge", partner, "--follow"] for partner in PARTNERS),
        ]
        there.start()
        for command in commands:
            name = " ".join(command[:2])
            log = home / f"{name.replace(' ', '-')}.log"
            companions[name] = Companion(command, there.installation.settings_path, log)
        _await_calm(there)
        yield Drilled(there, companions, addresses, home)
    finally:
        for companion in companions.values():
            companion.kill()
        there.close()
        proxied.close()


def _write_settings(there: Field, listening: dict[str, int]) -> None:
    path = there.installation.settings_path
    given = json.loads(path.read_text(encoding="utf-8"))
    for what in ("returns", "providers"):
        given[what]["metrics"]["port"] = listening[what]
    del given["returns"]["look_every_s"]  # as usual, and not as tests want it
    path.write_text(json.dumps(given), encoding="utf-8")


def _await_calm(field: Field) -> None:
    """Whoever was introduced before the processors ran was late: no fault, and nothing to page for."""
    time.sleep(_WARM_SECONDS)
    while (standing := field.group.standing()) is None or standing.backlog > _LITTLE:
        time.sleep(_LOOK_SECONDS)
