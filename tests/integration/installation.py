"""An installation on the real broker, as its users have it: what tests do to it and see of it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from sluice import keys, topics
from sluice.avro import Writer
from sluice.contract import CheckedContract, check, load_contracts
from sluice.demo.processes import Samples, samples, total
from sluice.installation import apply, plan
from sluice.kafka.admin import high_watermarks
from sluice.kafka.clients import admin_client, idempotent_producer
from sluice.kafka.tailing import Tail
from sluice.keys import PartnerKeys, load_master_key
from sluice.law.loading import shipped_law
from sluice.local.stack import Endpoints
from sluice.log import Record
from sluice.model import CustomerId, Held, PartnerId
from sluice.partitioning import partition_of
from sluice.registry import Registry
from sluice.settings import load_settings
from sluice.source_schema import leaves
from sluice.store import Row
from stream_processors.sharing import folding
from tests.integration.commands import Command, run

PARTITIONS = 4
CONTRACTS = Path("deploy/demo/contracts")
ADRESSO, HOSHI, LISTMART = PartnerId("adresso"), PartnerId("hoshi-card"), PartnerId("listmart")
PARTNERS = (ADRESSO, HOSHI, LISTMART)
_EVENTUALLY_SECONDS = 30.0


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def eventually(condition: Callable[[], Any], what: str, seconds: float = _EVENTUALLY_SECONDS) -> Any:  # noqa: ANN401
    """The first true answer of `condition`."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} seconds: {what}")
        time.sleep(0.05)
    return answer


class Installation:
    def __init__(self, endpoints: Endpoints, folder: Path, certificates: Sequence[str] = ()) -> None:
        self.folder = folder
        self.settings_path = folder / "sluice.yaml"
        self.log_path = folder / "sharing.log"
        self.contracts_folder = folder / "contracts"
        self.is_tampered_with = False
        """A test has made partner topics or disclosures wrong on purpose."""
        self.logs: list[Path] = []
        """What each process of this test has said."""
        self._endpoints = endpoints
        self._certificates = certificates
        self._processes: list[Command] = []
        self._has_run = False

    def set_up(self) -> None:
        """All topics deleted and made anew, with the demo's contracts."""
        shutil.copytree(CONTRACTS, self.contracts_folder)
        self.write_settings()
        self._delete_topics()
        apply(load_settings(self.settings_path), lambda _: None)
        self.settings = load_settings(self.settings_path)
        self.registry = Registry(self.settings.registry())
        self.crm = idempotent_producer({**self.settings.client("crm"), "linger.ms": "0"})
        self.admin: AdminClient = admin_client(self.settings.client("admin"))
        _, schema = self.registry.latest(topics.subject(topics.CUSTOMER_UPDATES))
        contracts = check(load_contracts(self.contracts_folder), leaves(schema), shipped_law()).contracts
        self._checked = {contract.partner: contract for contract in contracts}
        self.update_writer = self.writer(topics.CUSTOMER_UPDATES)
        self.consent_writer = self.writer(topics.CONSENT_EVENTS)

    def write_settings(
        self,
        *,
        returns: Mapping[str, object] | None = None,
        providers: Mapping[str, object] | None = None,
        tracing: Mapping[str, object] | None = None,
        **sharing: object,
    ) -> None:
        settings = {
            "clients": str(self._endpoints.clients),
            "contracts": str(self.contracts_folder),
            "master_key": str(self.folder / "master.key"),
            "partitions": PARTITIONS,
            "certificates": list(self._certificates),
            "sharing": {
                "group": f"sharing-{self.folder.name}",
                "state": str(self.folder / "state"),
                "session_timeout_ms": 6_000,
                "metrics": {"port": 0},
                **sharing,
            },
            "returns": {
                "group": f"returns-{self.folder.name}",
                "look_every_s": 0.2,
                "metrics": {"port": 0},
                **(returns or {}),
            },
            "providers": {"group": f"providers-{self.folder.name}", "metrics": {"port": 0}, **(providers or {})},
            "tracing": tracing or {},
        }
        self.settings_path.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML

    def checked(self, partner: PartnerId) -> CheckedContract:
        return self._checked[partner]

    # what CRMs do

    def profile(self, customer: str, **fields: Any) -> bytes:  # noqa: ANN401
        address = {
            "street": "1 Long Street",
            "city": "Melbourne",
            "state": "VIC",
            "postal_code": "3055",
            "country": "AU",
        }
        return self.update_writer.write(
            {
                "customer_id": customer,
                "given_name": "Hana",
                "family_name": "Mori",
                "birth_date": 4000,
                "updated_at": 1_790_000_000_000,
                "residence": "AU",
                "address": address,
                **fields,
            }
        )

    def consent(self, customer: str, partner: PartnerId, state: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
        contract = self.checked(partner).contract
        at = fields.pop("at", now_ms() - 60_000)
        return {
            "record_id": f"{customer}/{partner}/{state}/{at}",
            "subject_id": customer,
            "purpose": contract.purpose,
            "recipient_scope": {"category": contract.kind.value, "partner_ids": [partner]},
            "data_scope": ["*"],
            "state": state,
            "expression": "opt_in",
            "actor": "subject",
            "event_time": at,
            "recorded_at": at,
            **fields,
        }

    def update(self, customer: str, **fields: Any) -> None:  # noqa: ANN401
        self.send(topics.CUSTOMER_UPDATES, customer.encode(), self.profile(customer, **fields))

    def delete(self, customer: str) -> None:
        self.send(topics.CUSTOMER_UPDATES, customer.encode(), None)

    def say(self, customer: str, partner: PartnerId, state: str, **fields: Any) -> None:  # noqa: ANN401
        event = self.consent(customer, partner, state, **fields)
        self.send(topics.CONSENT_EVENTS, customer.encode(), self.consent_writer.write(event))

    def send(self, topic: str, key: bytes | None, value: bytes | None, *, producer: Producer | None = None) -> None:
        """One record, acknowledged; a record without key goes to partition 0."""
        partition = partition_of(key, PARTITIONS) if key else 0
        chosen = producer or self.crm
        failures: list[object] = []
        chosen.produce(
            topic, value, key, partition=partition, on_delivery=lambda e, _: failures.append(e) if e else None
        )
        assert chosen.flush(20) == 0
        assert not failures, failures

    # what partners do

    def say_back(self, partner: PartnerId, customer: str, kind: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
        """One return with the partner's own credentials; what it says."""
        said = {
            "return_id": f"{kind}-{uuid4()}",
            "type": kind,
            "decision_id": None,
            "customer": customer,
            "other_customer": None,
            "channel": None,
            "corrections": [],
            "at": now_ms(),
            **fields,
        }
        self.send_back(partner, customer.encode(), self.writer(topics.returns(partner)).write(said))
        return said

    def send_back(self, partner: PartnerId, key: bytes, value: bytes | None) -> None:
        """One record into the partner's returns, partitioned as any client does."""
        self.send(topics.returns(partner), key, value, producer=idempotent_producer(self.settings.client(partner)))

    def reply(self, provider: PartnerId, request: dict[str, Any], **fields: Any) -> dict[str, Any]:  # noqa: ANN401
        """One reply with the provider's own credentials; what it says."""
        said = {
            "reply_id": f"reply-{uuid4()}",
            "request_id": request["request_id"],
            "customer": request["customer"],
            "values": [{"field": "deliverability", "value": "Y"}],
            **fields,
        }
        self.send_reply(provider, said["customer"].encode(), self.writer(topics.replies(provider)).write(said))
        return said

    def send_reply(self, provider: PartnerId, key: bytes, value: bytes | None) -> None:
        producer = idempotent_producer(self.settings.client(provider))
        self.send(topics.replies(provider), key, value, producer=producer)

    def acknowledge(self, partner: PartnerId, control: dict[str, Any], **fields: Any) -> dict[str, Any]:  # noqa: ANN401
        decision = {"decision_id": control["decision_id"], **fields}
        return self.say_back(partner, control["customer"], "ACKNOWLEDGED", **decision)

    # what operators do

    def start_processor(self, instance: str = "0", *, wait: bool = True) -> Processor:
        started = self._start(f"sharing-{instance}", "sharing", "--metrics-port", "0", "--instance", instance)
        if wait:
            eventually(started.serves, f"{instance} serves what it was assigned: {started.log.read_text()}", 60)
        return started

    def start_returns(self, *, wait: bool = True) -> Processor:
        return self._start_serving("returns", wait=wait)

    def start_providers(self, *, wait: bool = True) -> Processor:
        return self._start_serving("providers", wait=wait)

    def _start_serving(self, what: str, *, wait: bool) -> Processor:
        started = self._start(what, what)
        if wait:
            eventually(lambda: started.said("serving"), f"{what} are served: {started.log.read_text()}", 60)
        return started

    def _start(self, name: str, *arguments: str) -> Processor:
        log = self.folder / f"{name}-{len(self._processes)}.log"
        process = Command(["run", *arguments, "--settings", str(self.settings_path)], log, log)
        self._processes.append(process)
        self.logs.append(log)
        return Processor(process, log)

    def apply(self) -> None:
        """What the contracts folder holds now is in force."""
        apply(load_settings(self.settings_path), lambda _: None)

    def remove_left_over(self) -> None:
        """What no contract asks for here: other tests use the same broker."""
        settings = load_settings(self.settings_path)
        apply(settings, lambda _: None, destroy=[one.address for one in plan(settings).plan.left_over])

    def edit(self, partner: PartnerId, old: str, new: str) -> None:
        """One change of a contract, in force from now on."""
        path = self.contracts_folder / f"{partner}.yaml"
        before = path.read_text(encoding="utf-8")
        assert old in before
        path.write_text(before.replace(old, new), encoding="utf-8")
        self.apply()

    @contextmanager
    def processor(self, instance: str = "0") -> Iterator[Processor]:
        started = self.start_processor(instance)
        yield started
        started.stop()

    def tear_down(self) -> None:
        self.registry.close()
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command of ours, to its end."""
        self._has_run |= arguments[:2] == ("run", "sharing")
        return run([*arguments, "--settings", str(self.settings_path)], environment)

    @property
    def has_processed(self) -> bool:
        """A processor has run here."""
        return self._has_run or bool(self._processes)

    # what can be seen

    def holds(self, partner: PartnerId) -> dict[str, dict[str, Any]]:
        """The partner's topic, read as the partner and folded by key."""
        held: dict[str, dict[str, Any]] = {}
        for record in self.read_as(partner, topics.customers(partner)):
            key = (record.key or b"").decode()
            if record.value is None:
                held.pop(key, None)
            else:
                held[key] = self.registry.decode(record.value)
        return held

    def control(self, partner: PartnerId) -> list[dict[str, Any]]:
        return [self.registry.decode(r.value) for r in self.read_as(partner, topics.control(partner))]

    def read_as(self, partner: PartnerId, topic: str) -> list[Record]:
        group = topics.partner_group(partner, "test")
        with Tail(self.settings.client(partner), (topic,), group, from_beginning=True) as source:
            return list(source.to_the_end())

    def read(self, topic: str) -> list[Record]:
        """Any topic, as the administrator."""
        with Tail(self.settings.client("admin"), (topic,), "test", from_beginning=True) as source:
            return list(source.to_the_end())

    def requests(self, provider: PartnerId) -> list[dict[str, Any]]:
        """As the provider reads them."""
        return [self.registry.decode(r.value) for r in self.read_as(provider, topics.requests(provider))]

    def enrichments(self) -> dict[str, list[dict[str, Any]]]:
        """The topic folded by customer."""
        found: dict[str, list[dict[str, Any]]] = {}
        for record in self.read(topics.ENRICHMENTS):
            key = (record.key or b"").decode()
            if record.value is None:
                found.pop(key, None)
            else:
                found[key] = self.registry.decode(record.value)["appended"]
        return found

    def accepted(self) -> list[dict[str, Any]]:
        return [self.registry.decode(record.value) for record in self.read(topics.ACCEPTED_RETURNS)]

    def refused(self) -> list[dict[str, Any]]:
        return [self.registry.decode(record.value) for record in self.read(topics.REFUSED_RETURNS)]

    def rejected(self) -> list[dict[str, Any]]:
        return [self.registry.decode(record.value) for record in self.read(topics.REJECTED)]

    def disclosed(self) -> dict[CustomerId, dict[PartnerId, Held]]:
        """The fold of the disclosures."""
        rows: dict[CustomerId, Row] = {}
        for record in self.read(topics.DISCLOSURES):
            customer = CustomerId((record.key or b"").decode())
            rows[customer] = folding.with_disclosure(rows.get(customer, Row()), self.registry.decode(record.value))
        return {customer: row.held for customer, row in rows.items() if row.held}

    def pseudonym(self, partner: PartnerId, customer: str) -> str:
        master = load_master_key(self.settings.master_key)
        return keys.pseudonym(PartnerKeys.of(master, partner, 1).record, customer)

    def has(self, partner: PartnerId, customer: str) -> dict[str, Any] | None:
        return self.holds(partner).get(self.pseudonym(partner, customer))

    def input_ends(self) -> dict[tuple[str, int], int]:
        inputs = (topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS)
        return high_watermarks(self.admin, [(topic, p) for topic in inputs for p in range(PARTITIONS)])

    def limit(self, topic: str, *, max_message_bytes: int) -> None:
        self._set(topic, "max.message.bytes", str(max_message_bytes))

    def _set(self, topic: str, name: str, value: str) -> None:
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        for future in self.admin.incremental_alter_configs([resource]).values():
            future.result()

    def delete_records(self, topic: str) -> None:
        """All that are there; offsets go on. As compaction may do it, where a topic is compacted."""
        if topic == topics.CUSTOMER_UPDATES or topic.endswith(".customers"):
            self._set(topic, "cleanup.policy", "compact,delete")  # who may not delete by time may not by hand
        everything = [TopicPartition(topic, number, -1) for number in range(PARTITIONS)]
        for future in self.admin.delete_records(everything).values():
            future.result()

    def writer(self, topic: str) -> Writer:
        schema_id, text = self.registry.latest(topics.subject(topic))
        return Writer(text, schema_id)

    def _delete_topics(self) -> None:
        client = admin_client(load_settings(self.settings_path).client("admin"))
        mine = [name for name in client.list_topics(timeout=10).topics if not name.startswith("__")]
        if mine:
            for future in client.delete_topics(mine, operation_timeout=10).values():
                future.result()
            eventually(lambda: not set(mine) & set(client.list_topics(timeout=10).topics), "topics deleted")


class Processor:
    """A running `sluice run sharing`."""

    def __init__(self, process: Command, log: Path) -> None:
        self.process = process
        self.log = log

    def events(self) -> list[dict[str, Any]]:
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def said(self, event: str) -> dict[str, Any] | None:
        return next((e for e in self.events() if e["event"] == event), None)

    def last(self, event: str) -> dict[str, Any]:
        """The newest event of this name; empty if there is none."""
        return next((e for e in reversed(self.events()) if e["event"] == event), {})

    def serves(self) -> bool:
        """Every partition that it was assigned last."""
        events = self.events()
        assigned = max((n for n, e in enumerate(events) if e["event"] == "assigned"), default=None)
        if assigned is None:
            return False
        served = {e["partition"] for e in events[assigned:] if e["event"] == "serving"}
        return served >= set(events[assigned]["partitions"])

    def metric(self, name: str, **labels: str) -> float:
        return total(self.sampled(), name, **labels)

    def sampled(self) -> Samples:
        return samples(eventually(lambda: self.said("serving_metrics"), "metrics served")["url"])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Gracefully; asserts that it ends well."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, self.log.read_text()

    def ends_with(self, sentence: str) -> None:
        assert self.process.wait(60) == 1, self.log.read_text()
        last = self.log.read_text(encoding="utf-8").splitlines()[-1]
        assert sentence in last, last
