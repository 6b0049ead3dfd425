"""From settings to a processor that can run: what can be refused is refused here, before it joins the group."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from schemas import catalogue
from sluice import topics
from sluice.avro import Writer
from sluice.contract import CheckedContract, ContractSet, check, load_contracts, partner_schema
from sluice.customer_keys import SqliteCustomerKeys
from sluice.errors import SluiceError
from sluice.kafka import admin
from sluice.kafka.clients import admin_client
from sluice.kafka.transactions import LogSettings, TransactionalLog
from sluice.keys import CustomerKeys, MasterKey, PartnerKeys, load_master_key
from sluice.projection import Projector, SourceReader
from sluice.registry import Registry, SchemaNotFound
from sluice.ruling import Policy
from sluice.settings import Settings
from sluice.source_schema import leaves
from stream_processors.sharing.checkpoint import Identity, topics_hash
from stream_processors.sharing.clock import Clock
from stream_processors.sharing.metrics import Metrics
from stream_processors.sharing.output import Writers
from stream_processors.sharing.partition import View
from stream_processors.sharing.pipeline import Partnership
from stream_processors.sharing.processor import Plan, Processor

USER = "sharing"
_SCAN_CHUNK = 2_000


def processor(settings: Settings, metrics: Metrics) -> Processor:
    """Raises SluiceError with a sentence for whatever is missing: topics, rights, schemas, keys, contracts."""
    client = settings.client(USER)
    registry = Registry(settings.registry_url())
    master = load_master_key(settings.master_key)
    _, source_schema = registry.latest(topics.subject(topics.CUSTOMER_UPDATES))
    law = settings.load_law()
    contracts = check(load_contracts(settings.contracts), leaves(source_schema), law)
    broker = admin_client(client)
    names = _topics(contracts)
    identities = admin.topic_identities(broker, names)
    _check_partition_counts(identities, settings.partitions)
    limits = admin.topic_settings(broker, names)
    serving = _Serving(master, registry)
    partnerships = tuple(
        _partnership(contract, serving, int(limits[topics.customers(contract.partner)]["max.message.bytes"]))
        for contract in contracts.contracts
    )
    view = View(
        partnerships=partnerships,
        writers=_writers(contracts, master, registry),
        decode=registry.decode,
        source=SourceReader(registry.decode),
        policy=Policy(
            {contract.partner: contract.terms() for contract in contracts.contracts}, law, settings.sharing.acknowledged
        ),
        acknowledged=frozenset(settings.sharing.acknowledged),
        partitions=settings.partitions,
        chunk=min(settings.sharing.batch, _SCAN_CHUNK),
        customer_keys=customer_keys(settings.customer_keys, master, partnerships),
    )

    def identity_now() -> Identity:
        found = admin.topic_identities(broker, names)
        return Identity(admin.cluster_id(broker), topics_hash(found), contracts.digest(master))

    plan = Plan(
        view=view,
        identity=identity_now(),
        identity_now=identity_now,
        state=settings.sharing.state / settings.sharing.instance,
        batch=settings.sharing.batch,
        tombstones_kept_ms=int(limits[topics.CUSTOMER_UPDATES]["delete.retention.ms"]),
    )
    log = TransactionalLog(
        client,
        LogSettings(
            group=settings.sharing.group,
            instance=settings.sharing.instance,
            driving=topics.CUSTOMER_UPDATES,
            joined=topics.CONSENT_EVENTS,
            confirmed=topics.DISCLOSURES,
            session_timeout_ms=settings.sharing.session_timeout_ms,
            smallest_message_limit=min(int(limit["max.message.bytes"]) for limit in limits.values()),
        ),
    )
    return Processor(log, plan, metrics, Clock())


def _topics(contracts: ContractSet) -> list[str]:
    partners = [contract.partner for contract in contracts.contracts]
    own = [topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS, topics.DISCLOSURES, topics.REJECTED]
    return own + [name for partner in partners for name in (topics.customers(partner), topics.control(partner))]


def _check_partition_counts(identities: list[admin.TopicIdentity], partitions: int) -> None:
    """Everything about a customer lies in the same partition number of every topic."""
    for topic in identities:
        if topic.partitions != partitions:
            raise SluiceError(
                f"The topic {topic.name} has {topic.partitions} partitions, and `partitions` says {partitions}: all "
                "topics must have that many, for ever."
            )


@dataclass(frozen=True, slots=True)
class _Serving:
    """What every partner's records are made with."""

    master: MasterKey
    registry: Registry


def _partnership(contract: CheckedContract, serving: _Serving, max_bytes: int) -> Partnership:
    master = serving.master
    keys = PartnerKeys.of(master, contract.partner, contract.contract.pseudonym_epoch)
    schema_id = _registered(serving.registry, topics.customers(contract.partner), partner_schema(contract))
    return Partnership(
        partner=contract.partner,
        terms=contract.terms(),
        contract=contract.digest(master),
        keys=keys,
        projector=Projector(contract, keys, schema_id, max_bytes),
        acknowledge_within_ms=int(contract.contract.limits.acknowledge_within.total_seconds() * 1000),
    )


def customer_keys(path: Path | None, master: MasterKey, partnerships: Iterable[Partnership]) -> CustomerKeys | None:
    """Raises SluiceError when a contract encrypts with customers' keys and the settings name no file for them."""
    if path is not None:
        return SqliteCustomerKeys(path, master)
    for partnership in partnerships:
        for sealed in partnership.projector.sealed:
            raise SluiceError(
                f"The contract of {partnership.partner} encrypts `{sealed}` with customers' own keys, and there is no "
                "place for them: set `customer_keys` in the settings."
            )
    return None


def _writers(contracts: ContractSet, master: MasterKey, registry: Registry) -> Writers:
    control = catalogue.text("control")
    return Writers(
        disclosure=_writer(registry, topics.DISCLOSURES, catalogue.text("disclosure")),
        rejected=_writer(registry, topics.REJECTED, catalogue.text("rejected")),
        control={c.partner: _writer(registry, topics.control(c.partner), control) for c in contracts.contracts},
        source_key=master.derive("rejected"),
        decision_key=master.derive("decision"),
        contract_set=contracts.digest(master),
    )


def _writer(registry: Registry, topic: str, schema: str) -> Writer:
    return Writer(schema, _registered(registry, topic, schema))


def _registered(registry: Registry, topic: str, schema: str) -> int:
    try:
        return registry.id_of(topics.subject(topic), schema)
    except SchemaNotFound as error:
        raise SluiceError(f"{error} Provision it first (`sluice provision`).") from None
