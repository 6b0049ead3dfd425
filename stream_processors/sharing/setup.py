"""From settings to a processor that can run: what can be refused is refused here, before it joins the group."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from schemas import catalogue
from sluice import recorded_set, topics
from sluice.contract import CheckedContract, partner_schema
from sluice.customer_keys import SqliteCustomerKeys
from sluice.errors import SluiceError
from sluice.kafka import admin
from sluice.kafka.clients import Broker, ClientConfig, admin_client
from sluice.kafka.transactions import LogSettings, TransactionalLog
from sluice.keys import CustomerKeys, MasterKey, PartnerKeys, load_master_key
from sluice.model import PartnerId
from sluice.projection import Projector, SourceReader
from sluice.recorded_set import LoadedSet, RecordedSet
from sluice.registry import Registry, SchemaNotFound, registered_writer
from sluice.rocks import RocksStores
from sluice.ruling import Policy
from sluice.settings import Settings
from stream_processors.sharing.checkpoint import Identity, topics_hash
from stream_processors.sharing.clock import Clock
from stream_processors.sharing.contract_sets import RecordedSets
from stream_processors.sharing.disclosing import DisclosureWriter
from stream_processors.sharing.metrics import Metrics
from stream_processors.sharing.parties import FormerPartnership, Partnership, Party, asked_paths
from stream_processors.sharing.plan import Plan
from stream_processors.sharing.processor import Processor
from stream_processors.sharing.redrives import RequestedRedrives
from stream_processors.sharing.view import View, Writers

USER = "sharing"


def processor(settings: Settings, metrics: Metrics) -> Processor:
    """Raises SluiceError with a sentence for whatever is missing: topics, rights, schemas, keys, contracts."""
    client, clock, own = settings.client(USER), Clock(), settings.sharing
    workshop = Workshop(settings, client, Registry(settings.registry()), load_master_key(settings.master_key))
    sets = RecordedSets(client, settings.sharing.group, clock, workshop.view)
    plan = Plan(
        sets=sets,
        stores=RocksStores(own.state / own.instance, own.snapshots, own.store_memory_mb),
        identity=workshop.identity(sets.newest()),
        identity_now=workshop.identity,
        batch=settings.sharing.batch,
        lease_ms=settings.sharing.session_timeout_ms,
        tombstones_kept_ms=workshop.tombstones_kept_ms(),
        redrives=RequestedRedrives(client, settings.sharing.group),
        snapshot_every_ms=settings.sharing.snapshot_every_s * 1000,
        standby=settings.sharing.standby,
    )
    log = TransactionalLog(
        client,
        LogSettings(
            group=settings.sharing.group,
            instance=settings.sharing.instance,
            driving=topics.CUSTOMER_UPDATES,
            joined=topics.CONSENT_EVENTS,
            confirmed=topics.DISCLOSURES,
            instances=settings.sharing.instances,
            session_timeout_ms=settings.sharing.session_timeout_ms,
            smallest_message_limit=workshop.smallest_message_limit(sets.newest()),
        ),
        settings.traces("sharing"),
    )
    return Processor(log, plan, metrics, clock)


@dataclass(frozen=True, slots=True)
class Workshop:
    """Makes of a recorded contract set what this process decides by."""

    settings: Settings
    client: ClientConfig
    registry: Registry
    master: MasterKey

    @property
    def broker(self) -> Broker:
        """A new one each time: what an old one knows of leaders goes stale."""
        return admin_client(self.client)

    def view(self, recorded: RecordedSet, unanswered: frozenset[PartnerId] = frozenset()) -> View:
        """`unanswered`: who leaves recalls unanswered, and is paused if its contract says so.

        Raises SluiceError for a set that cannot be carried out here, RegistryUnavailable, KafkaUnavailable.
        """
        loaded = recorded_set.load(recorded, self.master)
        stopped = frozenset(
            one.partner
            for one in loaded.contracts.contracts
            if one.partner in unanswered and one.contract.limits.pause_when_overdue
        )
        parties = tuple(self._parties(loaded, stopped))
        acknowledged = frozenset(self.settings.sharing.acknowledged)
        terms = {contract.partner: contract.terms() for contract in loaded.contracts.contracts}
        return View(
            parties=parties,
            writers=self._writers(recorded),
            decode=self.registry.decode,
            source=SourceReader(self.registry.reader, asked_paths(loaded.law, parties)),
            policy=Policy(terms, loaded.law, acknowledged, " ".join((loaded.rules, *sorted(stopped)))),
            acknowledged=acknowledged,
            partitions=self.settings.partitions,
            customer_keys=customer_keys(self.settings.customer_keys, self.master, parties),
            contract_set=recorded.digest,
            topic_ids=recorded.topic_ids(),
        )

    def identity(self, view: View) -> Identity:
        """As the broker tells it now. Raises SluiceError for topics that are not those of the set."""
        broker = self.broker
        found = admin.topic_identities(broker, view.topic_ids)
        _check_partition_counts(found, self.settings.partitions)
        for topic in found:
            if view.topic_ids[topic.name] != topic.topic_id:
                raise SluiceError(
                    f"The topic {topic.name} was re-created since the contracts were applied, so what it said before "
                    "is lost: `sluice plan` says what to do."
                )
        own = [topic for topic in found if topic.name in topics.OWN]
        return Identity(admin.cluster_id(broker), topics_hash(own))

    def tombstones_kept_ms(self) -> int:
        limits = admin.topic_settings(self.broker, (topics.CUSTOMER_UPDATES,))
        return int(limits[topics.CUSTOMER_UPDATES]["delete.retention.ms"])

    def smallest_message_limit(self, view: View) -> int:
        """Of all topics that are written."""
        written = view.topic_ids.keys() - {topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS}
        limits = admin.topic_settings(self.broker, written)
        return min(int(limit["max.message.bytes"]) for limit in limits.values())

    def _parties(self, loaded: LoadedSet, stopped: frozenset[PartnerId]) -> Iterable[Party]:
        recorded = loaded.recorded.names()
        names = [topics.customers(contract.partner) for contract in loaded.contracts.contracts]
        limits = admin.topic_settings(self.broker, names)
        for contract in loaded.contracts.contracts:
            largest = int(limits[topics.customers(contract.partner)]["max.message.bytes"])
            paused = contract.contract.paused or contract.partner in stopped
            yield self._partnership(contract, largest, paused=paused)
        for one in recorded.values():
            if one.ended:
                yield FormerPartnership(one.partner, one.acknowledge_within_ms)

    def _partnership(self, contract: CheckedContract, max_bytes: int, *, paused: bool) -> Partnership:
        keys = PartnerKeys.of(self.master, contract.partner, contract.contract.pseudonym_epoch)
        schema_id = _registered(self.registry, topics.customers(contract.partner), partner_schema(contract))
        return Partnership(
            partner=contract.partner,
            terms=contract.terms(),
            contract=contract.digest(self.master),
            keys=keys,
            projector=Projector(contract, keys, schema_id, max_bytes),
            acknowledge_within_ms=int(contract.contract.limits.acknowledge_within.total_seconds() * 1000),
            paused=paused,
        )

    def _writers(self, recorded: RecordedSet) -> Writers:
        disclosure = catalogue.text("disclosure")
        return Writers(
            disclosure=DisclosureWriter(disclosure, _registered(self.registry, topics.DISCLOSURES, disclosure)),
            rejected=registered_writer(self.registry, topics.REJECTED, "rejected"),
            control={
                one.partner: registered_writer(self.registry, topics.control(one.partner), "control")
                for one in recorded.partners
            },
            source_key=self.master.derive("rejected"),
            decision_key=self.master.derive("decision"),
            contract_set=recorded.digest,
        )


def _check_partition_counts(identities: list[admin.TopicIdentity], partitions: int) -> None:
    """Everything about a customer lies in the same partition number of every topic."""
    for topic in identities:
        if topic.partitions != partitions:
            raise SluiceError(
                f"The topic {topic.name} has {topic.partitions} partitions, and `partitions` says {partitions}: all "
                "topics must have that many, for ever."
            )


def customer_keys(path: Path | None, master: MasterKey, parties: Iterable[Party]) -> CustomerKeys | None:
    """Raises SluiceError when a contract encrypts with customers' keys and the settings name no file for them."""
    if path is not None:
        return SqliteCustomerKeys(path, master)
    for party in parties:
        for sealed in party.projector.sealed if isinstance(party, Partnership) else ():
            raise SluiceError(
                f"The contract of {party.partner} encrypts `{sealed}` with customers' own keys, and there is no "
                "place for them: set `customer_keys` in the settings."
            )
    return None


def _registered(registry: Registry, topic: str, schema: str) -> int:
    try:
        return registry.id_of(topics.subject(topic), schema)
    except SchemaNotFound as error:
        raise SluiceError(f"{error} `sluice apply` registers it.") from None
