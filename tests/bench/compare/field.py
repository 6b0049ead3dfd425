"""A broker of its own with workload W1 on it, and how far a consumer group has come."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from schemas import catalogue
from sluice import topics
from sluice.installation import apply
from sluice.kafka.clients import ClientConfig, admin_client
from sluice.keys import PartnerKeys, load_master_key
from sluice.local import stack
from sluice.model import PartnerId
from sluice.partitioning import partition_of
from sluice.registry import Registry
from sluice.settings import Settings, load_settings
from tests.bench import w1

PARTITIONS = 4
GROUP = "bench.sharing"
_POLL_SECONDS = 0.05
_PATIENCE_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class Field:
    """What contestants find."""

    folder: Path
    settings_path: Path
    customers: int
    updates: int
    consents: int
    variant: w1.Variant
    schemas: tuple[int, int]
    """Ids under which those of updates and of consents are registered."""

    @property
    def settings(self) -> Settings:
        return load_settings(self.settings_path)

    @property
    def told(self) -> Path:
        """What a program that knows nothing of us has to know, as JSON."""
        return self.folder / "field.json"


@contextmanager
def field(folder: Path, customers: int, updates: int, variant: w1.Variant = w1.W1) -> Iterator[Field]:
    """Begun empty, filled with consents, and stopped in the end. Updates come with `add_updates`."""
    local = (folder / "local").absolute()
    stack.delete(local)
    shutil.rmtree(folder, ignore_errors=True)
    endpoints = stack.start(local)
    try:
        settings_path = _settings(folder.absolute(), endpoints.clients, variant)
        settings = load_settings(settings_path)
        schemas = _applied(settings)
        consents = _add_consents(settings, w1.Workload(*schemas, variant), customers)
        there = Field(folder.absolute(), settings_path, customers, updates, consents, variant, schemas)
        (there.folder / "others").mkdir()
        create_topics(settings, [f"faust.{partner}" for partner in variant.parties])
        there.told.write_text(json.dumps(_told(settings, there)), encoding="utf-8")
        yield there
    finally:
        stack.stop(local)


def _settings(folder: Path, clients: Path, variant: w1.Variant) -> Path:
    contracts = folder / "contracts"
    contracts.mkdir(parents=True)
    for partner, wanted in variant.parties.items():
        text = yaml.safe_dump(w1.contract(partner, wanted), sort_keys=False)
        (contracts / f"{partner}.yaml").write_text(text, encoding="utf-8")
    path = folder / "sluice.yaml"
    written = {
        "clients": str(clients),
        "contracts": str(contracts),
        "master_key": str(folder / "master.key"),
        "partitions": PARTITIONS,
        "sharing": {"group": GROUP, "state": str(folder / "state"), "metrics": {"port": 0}},
    }
    path.write_text(json.dumps(written), encoding="utf-8")  # JSON is YAML
    return path


def _applied(settings: Settings) -> tuple[int, int]:
    """The ids of both inputs' schemas."""
    source = topics.subject(topics.CUSTOMER_UPDATES)
    with closing(Registry(settings.registry())) as registry:
        profile_id = registry.register(source, w1.schema(), "FULL_TRANSITIVE")
        apply(settings, lambda _: None)
        consent_id, _ = registry.latest(topics.subject(topics.CONSENT_EVENTS))
    return profile_id, consent_id


def _add_consents(settings: Settings, workload: w1.Workload, customers: int) -> int:
    """How many there are."""
    return _write(_crm(settings), topics.CONSENT_EVENTS, workload.consents(customers))


def add_updates(there: Field) -> None:
    workload = w1.Workload(*there.schemas, there.variant, seed=2)
    _write(_crm(there.settings), topics.CUSTOMER_UPDATES, workload.updates(there.customers, there.updates))


def _crm(settings: Settings) -> Producer:
    own = {"linger.ms": "20", "compression.type": "lz4", "acks": "all", "queue.buffering.max.messages": 1_000_000}
    return Producer({**settings.client("crm"), **own})


def _write(producer: Producer, topic: str, records: w1.Records) -> int:
    failed: list[KafkaError] = []

    def judge(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error)

    count = 0
    for count, one in enumerate(records, 1):
        partition = partition_of(one.key, PARTITIONS)
        while True:
            try:
                producer.produce(topic, one.value, one.key, partition, on_delivery=judge)
            except BufferError:
                producer.poll(0.1)
            else:
                break
        if count % 1_000 == 0:
            producer.poll(0)
    waiting = len(producer)
    while waiting > (waiting := producer.flush(60)):  # for as long as it gets on
        pass
    if waiting or failed:
        raise AssertionError(f"{topic} could not be filled: {failed[:1]}")
    return count


def create_topics(settings: Settings, names: Iterable[str]) -> None:
    """For who does not create what it writes to."""
    client = admin_client(settings.client("admin"))
    wanted = [NewTopic(name, num_partitions=PARTITIONS, replication_factor=1) for name in names]
    for future in client.create_topics(wanted, operation_timeout=30).values():
        future.result()


def _told(settings: Settings, there: Field) -> dict[str, object]:
    partners = {}
    with closing(Registry(settings.registry())) as registry:
        master = load_master_key(settings.master_key)
        for partner, wanted in there.variant.parties.items():
            schema_id, schema = registry.latest(topics.subject(topics.customers(PartnerId(partner))))
            partners[partner] = {
                "purpose": wanted["purpose"],
                "fields": wanted["fields"],
                "key": PartnerKeys.of(master, PartnerId(partner), 1).record.hex(),
                "schema_id": schema_id,
                "schema": json.loads(schema),
            }
    return {
        "client": settings.client("admin"),
        "registry": settings.registry()["url"],
        "partitions": PARTITIONS,
        "updates": topics.CUSTOMER_UPDATES,
        "consents": topics.CONSENT_EVENTS,
        "schemas": {"updates": json.loads(w1.schema()), "consents": json.loads(catalogue.text("consent_event"))},
        "partners": partners,
        "state": str(there.folder / "others"),
    }


def reader_of_updates(client: ClientConfig, group: str) -> Consumer:
    """For loops that read committed updates and commit their offsets in a transaction."""
    own = {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "fetch.wait.max.ms": 10,
    }
    consumer = Consumer({**client, **own})
    consumer.subscribe([topics.CUSTOMER_UPDATES])
    return consumer


class Reached(NamedTuple):
    """How many updates a group has committed, on a clock that only goes forward (seconds)."""

    at: float
    updates: int


class Watch:
    """Looks from outside at how far a group has come: the same for everybody, whatever they are written in."""

    def __init__(self, settings: Settings, group: str, topic: str = topics.CUSTOMER_UPDATES) -> None:
        own = {"group.id": group, "enable.auto.commit": False}
        self._consumer = Consumer({**settings.client("admin"), **own})
        self._partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        self.seen: list[Reached] = []

    def until(self, updates: int, goes_on: Callable[[], bool]) -> list[Reached]:
        """Looks until so many are committed; `goes_on` says whether the contestant still runs."""
        began = time.monotonic()
        try:
            while True:
                runs, reached = goes_on(), self._reached()
                if not self.seen or reached.updates > self.seen[-1].updates:
                    self.seen.append(reached)
                if reached.updates >= updates:
                    return self.seen
                if not runs or reached.at - began > _PATIENCE_SECONDS:
                    raise AssertionError(f"ended at {reached.updates} of {updates} updates")
                time.sleep(_POLL_SECONDS)
        finally:
            self.close()

    def until_quiet(self, seconds: float) -> None:
        """Looks until nothing was committed for so long."""
        last = self._reached()
        while True:
            now = self._reached()
            if now.updates != last.updates or not now.updates:
                last = now
            elif now.at - last.at >= seconds:
                return
            time.sleep(_POLL_SECONDS)

    def close(self) -> None:
        self._consumer.close()

    def _reached(self) -> Reached:
        try:
            found = self._consumer.committed(self._partitions, timeout=10)
        except KafkaException:  # the group is new, and nobody coordinates it yet
            return Reached(time.monotonic(), 0)
        return Reached(time.monotonic(), sum(max(one.offset, 0) for one in found))


def events_per_second(seen: list[Reached]) -> float:
    """From the first commit that was seen to the last: how long a program takes to start does not count."""
    first, last = next(one for one in seen if one.updates > 0), seen[-1]
    if first is last:
        raise AssertionError(f"{last.updates} updates were committed at once: too few to measure anything")
    return (last.updates - first.updates) / (last.at - first.at)
