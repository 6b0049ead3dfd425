"""Where chaos happens: an installation, its broker behind proxies, and supervised processors on one group."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

from sluice.local.stack import Endpoints
from tests.chaos.proxied_stack import ProxiedStack
from tests.chaos.standing import Group
from tests.chaos.supervision import Observed, Supervised
from tests.integration.installation import Installation

INSTANCES = ("0", "1", "2")
PROXIED = "0"
"""The instance whose way to the broker leads through the proxy."""
_LOOK_SECONDS = 0.1


class Field:
    """A context of its own: closing it ends the processors, and leaves the broker to whoever started it."""

    def __init__(
        self,
        stack: ProxiedStack,
        endpoints: Endpoints,
        folder: Path,
        *,
        session_timeout_ms: int,
        batch: int,
        metrics_ports: Mapping[str, int] | None = None,
        shown: Sequence[str] = (),
    ) -> None:
        """`metrics_ports`: by instance; any port that is free otherwise. `shown`: whose metrics the pages show."""
        self._shown = list(shown)
        self.stack = stack
        self.folder = folder
        self.installation = Installation(endpoints, folder)
        self.installation.set_up()
        self.installation.write_settings(instances=list(INSTANCES), session_timeout_ms=session_timeout_ms, batch=batch)
        self.session_timeout_seconds = session_timeout_ms / 1000
        settings = self.installation.settings
        self.group = Group(settings.client("admin"), settings.sharing.group)
        self.processors = {
            instance: self.supervised(instance, metrics_port=(metrics_ports or {}).get(instance, 0))
            for instance in INSTANCES
        }
        self._gone: list[Supervised] = []
        self._ends = threading.Event()
        self._watch = threading.Thread(target=self._look, name="supervisor", daemon=True)
        self._watch.start()

    def supervised(
        self, instance: str, *, restarts: bool = True, state: str = "state", metrics_port: int = 0
    ) -> Supervised:
        """A processor that is not started yet. `state` names the folder of its stores."""
        settings: dict[str, Any] = json.loads(self.installation.settings_path.read_text(encoding="utf-8"))
        settings["sharing"]["state"] = str(self.folder / state)
        settings["sharing"]["metrics"]["port"] = metrics_port
        if self._shown:
            settings["page"] = {"processes": self._shown}
        if instance == PROXIED:
            settings["clients"] = str(self.stack.clients(PROXIED))
        folder = self.folder / state
        folder.mkdir(parents=True, exist_ok=True)
        return Supervised(instance, settings, folder, restarts=restarts)

    def start(self, instances: Sequence[str] = INSTANCES) -> None:
        for instance in instances:
            self.processors[instance].start()

    def dismiss(self, processor: Supervised) -> None:
        """Of one that is not among `processors`: its end, and what it said, count."""
        processor.kill()
        self._gone.append(processor)

    @property
    def observed(self) -> Observed:
        everybody = [*self.processors.values(), *self._gone]
        return reduce(add, (processor.observed for processor in everybody), Observed())

    def heal(self) -> None:
        """Whatever was done to processors and network is over."""
        self.stack.proxies[PROXIED].restore()
        for processor in self.processors.values():
            processor.thaw()

    def close(self) -> None:
        self.heal()
        self._ends.set()
        self._watch.join()
        for processor in self.processors.values():
            processor.stop()
        self.installation.tear_down()
        self.group.close()

    def _look(self) -> None:
        while not self._ends.wait(_LOOK_SECONDS):
            for processor in self.processors.values():
                processor.look()
