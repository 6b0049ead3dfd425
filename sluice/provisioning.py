"""What has to exist for a set of contracts, and the rights of everybody: as few as their work needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from schemas import catalogue
from sluice import topics
from sluice.contract import ContractSet, partner_schema
from sluice.model import PartnerId

_DAY_MS = 24 * 60 * 60 * 1000

_KEPT = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
_MONTH_MS = 30 * _DAY_MS


def _kept_for(milliseconds: int) -> Mapping[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(milliseconds)}


def _compacted(act_within_ms: int) -> Mapping[str, str]:
    """Erased means erased: an old value must not outlive the time that partners have to act on a recall."""
    return {
        "cleanup.policy": "compact",
        "max.compaction.lag.ms": str(min(_DAY_MS, act_within_ms)),
        "segment.ms": str(min(_DAY_MS, act_within_ms)),
        # longer than any reader may lag: after that its tombstones are gone and it has to read everything again
        "delete.retention.ms": str(7 * _DAY_MS),
    }


class Operation(StrEnum):
    READ = "READ"
    WRITE = "WRITE"
    DESCRIBE = "DESCRIBE"
    DESCRIBE_CONFIGS = "DESCRIBE_CONFIGS"


class Resource(StrEnum):
    TOPIC = "TOPIC"
    GROUP = "GROUP"
    TRANSACTIONAL_ID = "TRANSACTIONAL_ID"


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    settings: Mapping[str, str]
    partitions: int | None = None
    """None: as many as every topic of customers has."""


@dataclass(frozen=True, slots=True)
class Right:
    """`user` may do `operation` on the resource of this name, or on all whose names begin with it."""

    user: str
    operation: Operation
    resource: Resource
    name: str
    prefixed: bool = False


@dataclass(frozen=True, slots=True)
class RegisteredSchema:
    subject: str
    text: str
    compatibility: str


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything that has to be there."""

    topics: tuple[Topic, ...]
    users: tuple[str, ...]
    rights: tuple[Right, ...]
    schemas: tuple[RegisteredSchema, ...]


def our_source_schema() -> RegisteredSchema:
    """Of the customer updates, unless the source has one of its own; contracts are checked against it."""
    return _own(topics.CUSTOMER_UPDATES)


def desired(contracts: ContractSet, group: str, returns_group: str, providers_group: str) -> Desired:
    """What an installation with these contracts and consumer groups needs, beside the source's schema."""
    partners = [contract.partner for contract in contracts.contracts]
    within = {c.partner: int(c.contract.limits.acknowledge_within.total_seconds() * 1000) for c in contracts.contracts}
    asked = [c.partner for c in contracts.contracts if c.contract.task or c.contract.campaigns]
    answering = [c.partner for c in contracts.contracts if c.contract.task]
    compacted = _compacted(min(within.values(), default=_DAY_MS))
    return Desired(
        topics=(
            Topic(topics.CUSTOMER_UPDATES, compacted),
            # by the broker's clock: what a customer said cannot have been said after it was logged
            Topic(topics.CONSENT_EVENTS, {**_KEPT, "message.timestamp.type": "LogAppendTime"}),
            Topic(topics.DISCLOSURES, _KEPT),
            Topic(topics.CONTRACT_SETS, {"cleanup.policy": "compact", "max.message.bytes": "20000000"}, partitions=1),
            Topic(topics.REJECTED, _kept_for(_MONTH_MS)),
            Topic(topics.REDRIVES, _kept_for(_DAY_MS)),
            Topic(topics.ACCEPTED_RETURNS, _KEPT),
            Topic(topics.REFUSED_RETURNS, _kept_for(_MONTH_MS)),
            Topic(topics.PAUSES, {"cleanup.policy": "compact"}, partitions=1),
            Topic(topics.ENRICHMENTS, compacted),
            Topic(topics.REFUSED_REPLIES, _kept_for(_MONTH_MS)),
            *(Topic(topics.customers(partner), {**compacted, "compression.type": "lz4"}) for partner in partners),
            *(Topic(topics.control(p), _kept_for(max(_MONTH_MS, 2 * within[p]))) for p in partners),
            # by the broker's clock: a partner cannot have said something before it was logged, or long after
            *(
                Topic(topics.returns(p), {**_kept_for(_MONTH_MS), "message.timestamp.type": "LogAppendTime"})
                for p in partners
            ),
            # for ever the newest request of each customer: that is how nothing is asked twice
            *(Topic(topics.requests(p), {"cleanup.policy": "compact"}) for p in asked),
            *(
                Topic(topics.replies(p), {**_kept_for(_MONTH_MS), "message.timestamp.type": "LogAppendTime"})
                for p in answering
            ),
        ),
        users=("crm", "sharing", "returns", "providers", *partners),
        rights=(
            *_crm_rights(),
            *_sharing_rights(partners, group),
            *_returns_rights(partners, returns_group),
            *_providers_rights(asked, answering, providers_group),
            *(right for partner in partners for right in _partner_rights(partner)),
            *(right for provider in asked for right in _read_rights(provider, topics.requests(provider))),
            *(right for provider in answering for right in _write_rights(provider, topics.replies(provider))),
        ),
        schemas=(
            _own(topics.CONSENT_EVENTS),
            _own(topics.DISCLOSURES),
            _own(topics.REJECTED),
            _own(topics.ACCEPTED_RETURNS),
            _own(topics.REFUSED_RETURNS),
            *(
                RegisteredSchema(topics.subject(topics.customers(c.partner)), partner_schema(c), "FULL_TRANSITIVE")
                for c in contracts.contracts
            ),
            *(_registered(topics.control(partner), "control") for partner in partners),
            *(_registered(topics.returns(partner), "partner_return") for partner in partners),
            _own(topics.ENRICHMENTS),
            _own(topics.REFUSED_REPLIES),
            *(_registered(topics.requests(provider), "provider_request") for provider in asked),
            *(_registered(topics.replies(provider), "provider_reply") for provider in answering),
        ),
    )


def _own(topic: str) -> RegisteredSchema:
    return _registered(topic, topics.OWN_SCHEMAS[topic])


def _registered(topic: str, name: str) -> RegisteredSchema:
    return RegisteredSchema(topics.subject(topic), catalogue.text(name), catalogue.compatibility(name))


def _crm_rights() -> Iterable[Right]:
    """Writes inputs, reads what was found out for it, and may not begin transactions.

    An open one would hide withdrawals (LOOP 14).
    """
    for topic in (topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS):
        yield from _write_rights("crm", topic)
    yield from _read_rights("crm", topics.ENRICHMENTS)
    yield Right("crm", Operation.READ, Resource.GROUP, "crm.", prefixed=True)


def _sharing_rights(partners: Iterable[PartnerId], group: str) -> Iterable[Right]:
    written = [name for partner in partners for name in (topics.customers(partner), topics.control(partner))]
    inputs = (
        topics.CUSTOMER_UPDATES,
        topics.CONSENT_EVENTS,
    )  # written for what came into the wrong partition (LOOP 15)
    # rejects are read, and redrives written, by operators under the same name (`sluice redrive`)
    for topic in (*inputs, topics.DISCLOSURES, topics.CONTRACT_SETS, topics.PAUSES, topics.REDRIVES, topics.REJECTED):
        yield Right("sharing", Operation.READ, Resource.TOPIC, topic)
    for topic in (*inputs, topics.DISCLOSURES, topics.REJECTED, topics.REDRIVES, *written):
        yield Right("sharing", Operation.WRITE, Resource.TOPIC, topic)
    decided_by = (topics.CONTRACT_SETS, topics.PAUSES)
    for topic in (*inputs, topics.DISCLOSURES, *decided_by, topics.REDRIVES, topics.REJECTED, *written):
        yield Right("sharing", Operation.DESCRIBE, Resource.TOPIC, topic)
        yield Right("sharing", Operation.DESCRIBE_CONFIGS, Resource.TOPIC, topic)
    yield Right("sharing", Operation.READ, Resource.GROUP, group)
    yield Right("sharing", Operation.WRITE, Resource.TRANSACTIONAL_ID, f"{group}.", prefixed=True)
    yield Right("sharing", Operation.DESCRIBE, Resource.TRANSACTIONAL_ID, f"{group}.", prefixed=True)


def _returns_rights(partners: Iterable[PartnerId], group: str) -> Iterable[Right]:
    """Reads what partners say and what was delivered; its words reach sharing as consent events and pauses alone."""
    read = (topics.DISCLOSURES, topics.CONTRACT_SETS, *(topics.returns(partner) for partner in partners))
    kept = (topics.ACCEPTED_RETURNS, topics.PAUSES)  # what it wrote is read back
    for topic in (*read, *kept):
        yield Right("returns", Operation.READ, Resource.TOPIC, topic)
    for topic in (topics.CONSENT_EVENTS, topics.REFUSED_RETURNS, *kept):
        yield Right("returns", Operation.WRITE, Resource.TOPIC, topic)
    for topic in (*read, *kept, topics.CONSENT_EVENTS, topics.REFUSED_RETURNS):
        yield Right("returns", Operation.DESCRIBE, Resource.TOPIC, topic)
    yield Right("returns", Operation.READ, Resource.GROUP, group)


def _providers_rights(asked: Iterable[PartnerId], answering: Iterable[PartnerId], group: str) -> Iterable[Right]:
    """Asks, and takes in what comes back; of customers it knows what was delivered, and no value but those appended."""
    written = (topics.ENRICHMENTS, *(topics.requests(provider) for provider in asked))  # and read back
    for topic in (topics.DISCLOSURES, topics.CONTRACT_SETS, *(topics.replies(p) for p in answering)):
        yield from _read_rights("providers", topic)
    for topic in written:
        yield Right("providers", Operation.READ, Resource.TOPIC, topic)
    for topic in (*written, topics.REFUSED_REPLIES, *(topics.control(p) for p in answering)):
        yield from _write_rights("providers", topic)
    yield Right("providers", Operation.READ, Resource.GROUP, group)
    yield Right("providers", Operation.WRITE, Resource.TRANSACTIONAL_ID, group)
    yield Right("providers", Operation.DESCRIBE, Resource.TRANSACTIONAL_ID, group)


def _read_rights(user: str, topic: str) -> Iterable[Right]:
    yield Right(user, Operation.READ, Resource.TOPIC, topic)
    yield Right(user, Operation.DESCRIBE, Resource.TOPIC, topic)


def _write_rights(user: str, topic: str) -> Iterable[Right]:
    yield Right(user, Operation.WRITE, Resource.TOPIC, topic)
    yield Right(user, Operation.DESCRIBE, Resource.TOPIC, topic)


def _partner_rights(partner: PartnerId) -> Iterable[Right]:
    """Reads its own topics with groups of its own, writes its returns, and sees nothing else."""
    yield from _write_rights(partner, topics.returns(partner))
    for topic in (topics.customers(partner), topics.control(partner)):
        yield from _read_rights(partner, topic)
    yield Right(partner, Operation.READ, Resource.GROUP, topics.partner_group(partner, ""), prefixed=True)
