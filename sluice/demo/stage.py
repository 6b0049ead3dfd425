"""What the stories of service providers stand on: an installation with one contract, and what is seen in its topics."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from sluice import keys, topics
from sluice.contract import Contract, load_contracts
from sluice.contract.sentence import sentence
from sluice.demo import people, processes
from sluice.errors import SluiceError
from sluice.installation import apply
from sluice.kafka.tailing import Tail
from sluice.keys import PartnerKeys, load_master_key
from sluice.local import stack
from sluice.local.terminal import Terminal
from sluice.log import Record
from sluice.planning.plan import summary
from sluice.registry import Registry
from sluice.settings import Settings, load_settings

_PATIENCE_SECONDS = 60.0
_SETTINGS = {"clients": "clients", "contracts": "contracts", "master_key": "master.key", "partitions": 4}
T = TypeVar("T")

Folded = dict[str, dict[str, Any]]
"""The newest record of each key, decoded."""


@dataclass
class Stage:
    """`contract`: its file. `state`: an empty place for a broker of its own."""

    console: Console
    contract_path: Path
    state: Path

    def set_up(self, running: ExitStack, other: str) -> None:
        """The broker, the contract, and `sluice run sharing` with the other processor until `running` is closed."""
        self.step("A real Kafka and schema registry, on this machine, with access control on")
        stack.start(self.state, Terminal())
        folder = self.state / "contracts"
        folder.mkdir()
        (folder / self.contract_path.name).write_bytes(self.contract_path.read_bytes())
        written = {**_SETTINGS, "sharing": {"state": "sharing"}}
        (self.state / "sluice.yaml").write_text(json.dumps(written), encoding="utf-8")  # JSON is YAML
        self.step("The contract, read aloud")
        self.say(sentence(self.contract))
        done = apply(self.settings, lambda _: None)
        self.say(f"sluice apply: {summary(done.steps)}")
        for what, ready in (("sharing", "assigned"), (other, "serving")):
            running.enter_context(
                processes.processor(self.state / "sluice.yaml", self.state / f"{what}.log", what, ready)
            )

    @cached_property
    def settings(self) -> Settings:
        return load_settings(self.state / "sluice.yaml")

    @cached_property
    def contract(self) -> Contract:
        ((contract, _),) = load_contracts(self.settings.contracts).values()
        return contract

    @cached_property
    def registry(self) -> Registry:
        return Registry(self.settings.registry())

    def step(self, title: str) -> None:
        self.console.print(f"\n[bold cyan]●[/] [bold]{title}[/]")

    def say(self, text: str) -> None:
        self.console.print(f"   {text}", markup=False)

    def run(self, *arguments: str) -> None:
        self.say("$ sluice " + " ".join(arguments))
        processes.sluice(*arguments, settings=self.state / "sluice.yaml")

    @contextmanager
    def meanwhile(self, *arguments: str) -> Iterator[None]:
        """One of our commands from when it says something, and until it ends, while something else happens."""
        self.say("$ sluice " + " ".join(arguments) + " &")
        with processes.started(*arguments, settings=self.state / "sluice.yaml"):
            yield

    def publish(self, kind: str, rows: Iterable[Mapping[str, Any]]) -> None:
        path = self.state / f"{kind}.jsonl"
        people.write_json_lines(path, iter(rows))
        self.run("publish", kind, str(path))

    def pseudonym(self, customer: str) -> str:
        master = load_master_key(self.settings.master_key)
        return keys.pseudonym(PartnerKeys.of(master, self.contract.partner, 1).record, customer)

    def as_provider(self, topic: str) -> list[dict[str, Any]]:
        """Its records, without nulls, read with the provider's own credentials."""
        return [value for _, value in self._read(self.contract.partner, topic) if value is not None]

    def records(self, topic: str) -> list[dict[str, Any]]:
        """Of any topic, without nulls."""
        return [value for _, value in self._read("admin", topic) if value is not None]

    def count(self, topic: str) -> int:
        """Records of any topic, whatever they are."""
        return len(self._records("admin", topic))

    def folded(self, topic: str) -> Folded:
        """Of any topic."""
        found: Folded = {}
        for key, value in self._read("admin", topic):
            if value is None:
                found.pop(key, None)
            else:
                found[key] = value
        return found

    def until(self, condition: Callable[[], T | None], what: str) -> T:
        """The first true answer. Raises SluiceError when there is none for a minute."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not (answer := condition()):
            if time.monotonic() > deadline:
                raise SluiceError(
                    f"Within {_PATIENCE_SECONDS:.0f} seconds it did not happen that {what}; see {self.state}."
                )
            time.sleep(0.2)
        return answer

    def _read(self, user: str, topic: str) -> list[tuple[str, dict[str, Any] | None]]:
        return [
            ((one.key or b"").decode(), None if one.value is None else self.registry.decode(one.value))
            for one in self._records(user, topic)
        ]

    def _records(self, user: str, topic: str) -> list[Record]:
        group = topics.partner_group(self.contract.partner, "demo")
        with Tail(self.settings.client(user), (topic,), group, from_beginning=True) as tail:
            return list(tail.to_the_end())
