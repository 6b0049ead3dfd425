"""The demo's story, step by step; each step prints what it shows."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from sluice import field_path, keys, topics
from sluice.avro import Writer
from sluice.contract import Contract, load_contracts, partner_field
from sluice.demo import people, processes
from sluice.demo.processes import Samples, total
from sluice.errors import SluiceError
from sluice.field_path import ABSENT
from sluice.installation import apply
from sluice.kafka.clients import idempotent_producer
from sluice.kafka.tailing import Tail
from sluice.keys import PartnerKeys, load_master_key
from sluice.local import stack
from sluice.local.terminal import Terminal
from sluice.model import PartnerId
from sluice.planning.plan import summary
from sluice.registry import Registry
from sluice.settings import load_settings
from sluice.source_schema import Leaf, leaves

_CATCH_UP_SECONDS = 180.0
_RECALL_SECONDS = 10.0
_WITHDRAWALS = 20
_PARTNER = PartnerId("hoshi-card")
_SETTINGS = """\
clients: {state}/clients
contracts: {deploy}/contracts
master_key: {state}/master.key
partitions: 4
sharing: {{state: {state}/sharing}}
"""

Held = dict[bytes, dict[str, Any]]
"""What a partner holds: its topic folded by key, decoded."""


class Story:
    """`deploy`: folder with contracts and column mapping; `state`: an empty place for the demo's own broker."""

    def __init__(self, console: Console, deploy: Path, state: Path, seed: int) -> None:
        self._console = console
        self._deploy = deploy
        self._state = state
        self._seed = seed

    def tell(self) -> None:
        with ExitStack() as running:
            self._set_up()
            url = running.enter_context(processes.processor(self._settings_path, self._state / "sharing.log"))
            self._publish_consents(url)
            before = processes.samples(url)
            self._publish_customers(url)
            held = self._show_partners(before, processes.samples(url))
            customers = self._show_one_customer(held)
            self._show_recalls(customers)
            self._show_why(customers[0])

    def _set_up(self) -> None:
        self._step("A real Kafka and schema registry, on this machine, with access control on")
        stack.start(self._state, Terminal())
        self._settings_path = self._state / "sluice.yaml"
        self._settings_path.write_text(_SETTINGS.format(state=self._state, deploy=self._deploy), encoding="utf-8")
        self._settings = load_settings(self._settings_path)
        self._contracts = {name: contract for name, (contract, _) in load_contracts(self._settings.contracts).items()}
        self._step(f"Topics, users, rights and schemas for {len(self._contracts)} contracts")
        for contract in self._contracts.values():
            self._say(f"{contract.name} ({contract.recipient}) gets {', '.join(contract.shared_fields)}")
        done = apply(self._settings, lambda _: None)
        self._say(f"sluice apply: {summary(done.steps)}")
        self._registry = Registry(self._settings.registry())
        _, schema = self._registry.latest(topics.subject(topics.CUSTOMER_UPDATES))
        self._leaves = leaves(schema)

    def _publish_consents(self, url: str) -> None:
        self._step("The preference centre publishes what customers said")
        self._customers = people.customer_ids(people.data_set())
        path = self._state / "consents.jsonl"
        now_ms = time.time_ns() // 1_000_000
        contracts = list(self._contracts.values())
        count = people.write_json_lines(path, people.consent_events(self._customers, contracts, now_ms, self._seed))
        processes.sluice("publish", "consents", str(path), settings=self._settings_path)
        self._await_events(url, topics.CONSENT_EVENTS, count)

    def _publish_customers(self, url: str) -> None:
        self._step("The CRM publishes its customers: FEBRL data set 4a, mapped by deploy/demo/febrl.yaml")
        mapping = str(self._deploy / "febrl.yaml")
        arguments = ("publish", "customers", str(people.data_set()), "--mapping", mapping, "--source", people.SOURCE)
        started = time.monotonic()
        processes.sluice(*arguments, settings=self._settings_path)
        self._await_events(url, topics.CUSTOMER_UPDATES, len(self._customers))
        self._say(f"processed {time.monotonic() - started:.1f} s after the command began")

    def _await_events(self, url: str, topic: str, count: int) -> None:
        deadline = time.monotonic() + _CATCH_UP_SECONDS
        while (seen := total(processes.samples(url), "sluice_events_total", topic=topic)) < count:
            if time.monotonic() > deadline:
                raise SluiceError(f"Of {count} records of {topic} only {seen:.0f} were processed; see {self._state}.")
            time.sleep(0.05)
        self._say(f"{count:,} records of {topic} processed")

    def _show_partners(self, before: Samples, after: Samples) -> Mapping[PartnerId, Held]:
        """The counts come from the processor's metrics; what partners hold is read from their topics, as they would."""
        self._step("What became of every customer, at each partner")
        held = {partner: self._read_as(partner) for partner in self._contracts}
        table = Table("partner", "holds", "outcome", "reason", "customers")
        for partner in self._contracts:
            holds = f"{len(held[partner]):,}"
            for labels, count in _outcomes(before, after, partner):
                table.add_row(partner, holds, labels["outcome"], labels["reason"], f"{count:,.0f}")
                holds = ""
            table.add_section()
        self._console.print(table)
        return held

    def _show_one_customer(self, held: Mapping[PartnerId, Held]) -> list[str]:
        """One whom all partners hold, beside the source; returns customers whom the story's partner holds."""
        keys_of = {partner: self._record_key(partner) for partner in self._contracts}
        names = {p: {c: keys.pseudonym(keys_of[p], c).encode() for c in self._customers} for p in self._contracts}
        everywhere = [c for c in self._customers if all(names[p][c] in held[p] for p in self._contracts)]
        chosen = everywhere[0]
        self._step(f"One customer as each partner sees it: {chosen}")
        source = self._source_record(chosen)
        table = Table(*(Column(name, overflow="fold") for name in ("field", "CRM", *self._contracts)))
        paths = dict.fromkeys(path for contract in self._contracts.values() for path in contract.shared_fields)
        for path in paths:
            row = [_cell(held[p][names[p][chosen]], contract, path) for p, contract in self._contracts.items()]
            table.add_row(path, _text(_source_value(source, self._leaves[path])), *row)
        table.add_row("key", chosen, *(names[p][chosen].decode() for p in self._contracts))
        self._console.print(table)
        return [chosen, *(c for c in self._customers if c != chosen and names[_PARTNER][c] in held[_PARTNER])]

    def _show_recalls(self, customers: list[str]) -> None:
        contract = self._contracts[_PARTNER]
        self._step(f"{customers[0]} withdraws its consent to {contract.name}")
        milliseconds = []
        key = self._record_key(_PARTNER)
        crm = self._consent_publisher()
        wanted = (topics.customers(_PARTNER), topics.control(_PARTNER))
        with Tail(
            self._settings.client(_PARTNER), wanted, topics.partner_group(_PARTNER, "demo"), from_beginning=False
        ) as partner:
            partner.poll(0.5)
            for customer in customers[: _WITHDRAWALS + 1]:
                crm.publish(people.answer(customer, contract, "WITHDRAWN", time.time_ns() // 1_000_000))
                acknowledged = time.monotonic()
                seen = self._await_recall(partner, keys.pseudonym(key, customer))
                milliseconds.append((seen - acknowledged) * 1000)
        self._say("the partner reads a tombstone for its pseudonym, and WITHDRAW on its control topic")
        self._console.print(
            f"   [bold]withdrawal acknowledged → recall read by the partner: {milliseconds[0]:.0f} ms[/]; "
            f"{_WITHDRAWALS} more: median {statistics.median(milliseconds[1:]):.0f} ms, "
            f"slowest {max(milliseconds[1:]):.0f} ms"
        )

    def _show_why(self, customer: str) -> None:
        self._step(f"Why: sluice explain {customer} --partner {_PARTNER}")
        processes.sluice("explain", customer, "--partner", _PARTNER, settings=self._settings_path)

    def _await_recall(self, partner: Tail, pseudonym: str) -> float:
        """When the partner had read both the tombstone and the control message."""
        missing = {topics.customers(_PARTNER), topics.control(_PARTNER)}
        deadline = time.monotonic() + _RECALL_SECONDS
        while missing:
            for record in partner.poll(0.001):
                if record.key == pseudonym.encode() and (record.value is None or record.topic.endswith(".control")):
                    missing.discard(record.topic)
            if time.monotonic() > deadline:
                raise SluiceError(
                    f"No recall arrived within {_RECALL_SECONDS:.0f} seconds; see {self._state}/sharing.log."
                )
        return time.monotonic()

    def _consent_publisher(self) -> ConsentPublisher:
        schema_id, schema = self._registry.latest(topics.subject(topics.CONSENT_EVENTS))
        return ConsentPublisher(self._settings.client("crm"), Writer(schema, schema_id))

    def _read_as(self, partner: PartnerId) -> Held:
        held: Held = {}
        with Tail(
            self._settings.client(partner),
            (topics.customers(partner),),
            topics.partner_group(partner, "demo"),
            from_beginning=True,
        ) as source:
            for record in source.to_the_end():
                key = record.key or b""
                if record.value is None:
                    held.pop(key, None)
                else:
                    held[key] = self._registry.decode(record.value)
        return held

    def _source_record(self, customer: str) -> dict[str, Any]:
        """Read with the processor's rights: no partner may read this topic."""
        with Tail(
            self._settings.client("sharing"),
            (topics.CUSTOMER_UPDATES,),
            self._settings.sharing.group,
            from_beginning=True,
        ) as source:
            found = [record.value for record in source.to_the_end() if record.key == customer.encode()]
        return self._registry.decode(found[-1])

    def _record_key(self, partner: PartnerId) -> bytes:
        master = load_master_key(self._settings.master_key)
        return PartnerKeys.of(master, partner, self._contracts[partner].pseudonym_epoch).record

    def _step(self, title: str) -> None:
        self._console.print(f"\n[bold cyan]●[/] [bold]{title}[/]")

    def _say(self, text: str) -> None:
        self._console.print(f"   {text}", markup=False)


class ConsentPublisher:
    """Publishes one consent event at a time and returns when the broker has acknowledged it."""

    def __init__(self, client: Mapping[str, str], writer: Writer) -> None:
        self._producer = idempotent_producer({**client, "linger.ms": "0"})
        self._writer = writer

    def publish(self, event: Mapping[str, Any]) -> None:
        key = str(event["subject_id"]).encode()
        self._producer.produce(topics.CONSENT_EVENTS, self._writer.write(dict(event)), key)
        self._producer.flush(_RECALL_SECONDS)


def _outcomes(before: Samples, after: Samples, partner: str) -> list[tuple[dict[str, str], float]]:
    """How often each outcome occurred between two looks at the metrics, most frequent first."""
    found = []
    for (name, labels), value in after.items():
        of = dict(labels)
        count = value - before.get((name, labels), 0.0)
        if name == "sluice_outcomes_total" and of["partner"] == partner and count > 0:
            found.append((of, count))
    return sorted(found, key=lambda pair: -pair[1])


def _source_value(record: Mapping[str, Any], leaf: Leaf) -> object:
    value = field_path.parse(leaf.path).find(record)
    if value is ABSENT:
        return None
    return date(1970, 1, 1) + timedelta(days=value) if leaf.is_date and isinstance(value, int) else value


def _cell(record: Mapping[str, Any], contract: Contract, path: str) -> str:
    return _text(record[partner_field(path)]) if path in contract.shared_fields else ""


def _text(value: object) -> str:
    return "-" if value is None else str(value)
