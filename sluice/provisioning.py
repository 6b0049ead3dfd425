"""What has to exist for a set of contracts, and the rights of everybody: as few as their work needs. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
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
    """The broker's own words. We grant four of them; others are there to be recognised."""

    READ = "READ"
    WRITE = "WRITE"
    DESCRIBE = "DESCRIBE"
    DESCRIBE_CONFIGS = "DESCRIBE_CONFIGS"
    ALL = "ALL"
    ALTER = "ALTER"
    ALTER_CONFIGS = "ALTER_CONFIGS"
    CLUSTER_ACTION = "CLUSTER_ACTION"
    CREATE = "CREATE"
    DELETE = "DELETE"
    IDEMPOTENT_WRITE = "IDEMPOTENT_WRITE"
    UNKNOWN = "UNKNOWN"


class Resource(StrEnum):
    TOPIC = "TOPIC"
    GROUP = "GROUP"
    TRANSACTIONAL_ID = "TRANSACTIONAL_ID"
    CLUSTER = "CLUSTER"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    settings: Mapping[str, str]
    partitions: int | None = None
    """None: as many as every topic of customers has."""


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """`user` may do `operation` on the resource of this name, or on all whose names begin with it."""

    user: str
    """As the broker calls it: who logs in with a certificate may have another name there (`called`)."""
    operation: Operation
    resource: Resource
    name: str
    prefixed: bool = False
    host: str = "*"
    allowed: bool = True
    """False: a rule that forbids. We make none."""

    def covers_topic(self, topic: str) -> bool:
        if self.resource is not Resource.TOPIC:
            return False
        return topic.startswith(self.name) if self.prefixed else self.name in ("*", topic)


@dataclass(frozen=True, slots=True)
class Quota:
    """How fast the user may read from each broker."""

    user: str
    """As the broker calls it."""
    bytes_per_second: int


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
    quotas: tuple[Quota, ...]
    certified: frozenset[str] = frozenset()
    """Users who log in with a certificate, and need no password."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The consumer groups of our processors, by the user that each runs as."""

    sharing: str
    returns: str
    providers: str


def our_source_schema() -> RegisteredSchema:
    """Of the customer updates, unless the source has one of its own; contracts are checked against it."""
    return _own(topics.CUSTOMER_UPDATES)


def desired(
    contracts: ContractSet,
    groups: Groups,
    ended: Mapping[PartnerId, int] | None = None,
    certified: Collection[str] = (),
) -> Desired:
    """What an installation with these contracts and consumer groups needs, beside the source's schema.

    `ended`: partners whose contract is gone, with the milliseconds that they have to act on a recall. They keep their
    topics and rights, to be told of the recall and to acknowledge it.
    """
    within = {c.partner: int(c.contract.limits.acknowledge_within.total_seconds() * 1000) for c in contracts.contracts}
    within = {**(ended or {}), **within}
    partners = sorted(within)
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
            *_sharing_rights(partners, groups.sharing),
            *_returns_rights(partners, groups.returns),
            *_providers_rights(asked, answering, groups.providers),
            *(right for partner in partners for right in _partner_rights(partner)),
            *(_read(provider, topics.requests(provider)) for provider in asked),
            *(_write(provider, topics.replies(provider)) for provider in answering),
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
        quotas=tuple(
            Quota(c.partner, c.contract.limits.rate) for c in contracts.contracts if c.contract.limits.rate is not None
        ),
        certified=frozenset(certified),
    )


def called(wanted: Desired, names: Mapping[str, str]) -> Desired:
    """Rights and quotas under the broker's `names` of users; who is not among them is called there as here."""
    return replace(
        wanted,
        rights=tuple(replace(right, user=names.get(right.user, right.user)) for right in wanted.rights),
        quotas=tuple(replace(quota, user=names.get(quota.user, quota.user)) for quota in wanted.quotas),
    )


def _own(topic: str) -> RegisteredSchema:
    return _registered(topic, topics.OWN_SCHEMAS[topic])


def _registered(topic: str, name: str) -> RegisteredSchema:
    return RegisteredSchema(topics.subject(topic), catalogue.text(name), catalogue.compatibility(name))


def _crm_rights() -> Iterable[Right]:
    """Writes inputs, reads what was found out for it, and may not begin transactions.

    An open one would hide withdrawals (LOOP 14). Who may read or write may also describe; nobody is given that by
    itself.
    """
    for topic in (topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS):
        yield _write("crm", topic)
    yield _read("crm", topics.ENRICHMENTS)
    yield Right("crm", Operation.READ, Resource.GROUP, "crm.", prefixed=True)


def _sharing_rights(partners: Iterable[PartnerId], group: str) -> Iterable[Right]:
    """None could be left out.

    It reads the inputs; the disclosures, of which it makes a lost store anew; the sets, the pauses and the redrives,
    which it follows. It writes what it makes, and the inputs for what came into the wrong partition (LOOP 15). It looks
    up how large a record may be of all that it writes, and of updates how long their tombstones are kept. By its
    transactional ids it ends what a dead instance left open. Rejects are read, and redrives written, by operators under
    the same name (`sluice redrive`). It may not read what partners read, nor write the set that it follows.
    """
    inputs = (topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS)
    made = [topics.DISCLOSURES, topics.REJECTED]
    made += [name for partner in partners for name in (topics.customers(partner), topics.control(partner))]
    for topic in (*inputs, topics.DISCLOSURES, topics.CONTRACT_SETS, topics.PAUSES, topics.REDRIVES, topics.REJECTED):
        yield _read("sharing", topic)
    for topic in (*inputs, topics.REDRIVES, *made):
        yield _write("sharing", topic)
    for topic in (topics.CUSTOMER_UPDATES, *made):
        yield Right("sharing", Operation.DESCRIBE_CONFIGS, Resource.TOPIC, topic)
    yield Right("sharing", Operation.READ, Resource.GROUP, group)
    yield Right("sharing", Operation.WRITE, Resource.TRANSACTIONAL_ID, f"{group}.", prefixed=True)


def _returns_rights(partners: Collection[PartnerId], group: str) -> Iterable[Right]:
    """Reads what partners say and what was delivered; its words reach sharing as consent events and pauses alone.

    How far partners have read it may know, and not what.
    """
    read = (topics.DISCLOSURES, topics.CONTRACT_SETS, *(topics.returns(partner) for partner in partners))
    kept = (topics.ACCEPTED_RETURNS, topics.PAUSES)  # what it wrote is read back
    for topic in (*read, *kept):
        yield _read("returns", topic)
    for topic in (topics.CONSENT_EVENTS, topics.REFUSED_RETURNS, *kept):
        yield _write("returns", topic)
    yield Right("returns", Operation.READ, Resource.GROUP, group)
    for partner in partners:
        for topic in (topics.customers(partner), topics.control(partner)):
            yield Right("returns", Operation.DESCRIBE, Resource.TOPIC, topic)
        yield Right("returns", Operation.DESCRIBE, Resource.GROUP, topics.partner_group(partner, ""), prefixed=True)


def _providers_rights(asked: Iterable[PartnerId], answering: Iterable[PartnerId], group: str) -> Iterable[Right]:
    """Asks, and takes in what comes back; of customers it knows what was delivered, and no value but those appended."""
    written = (topics.ENRICHMENTS, *(topics.requests(provider) for provider in asked))  # and read back
    for topic in (topics.DISCLOSURES, topics.CONTRACT_SETS, *(topics.replies(p) for p in answering)):
        yield _read("providers", topic)
    for topic in written:
        yield _read("providers", topic)
    for topic in (*written, topics.REFUSED_REPLIES, *(topics.control(p) for p in answering)):
        yield _write("providers", topic)
    yield Right("providers", Operation.READ, Resource.GROUP, group)
    yield Right("providers", Operation.WRITE, Resource.TRANSACTIONAL_ID, group)


def _read(user: str, topic: str) -> Right:
    return Right(user, Operation.READ, Resource.TOPIC, topic)


def _write(user: str, topic: str) -> Right:
    return Right(user, Operation.WRITE, Resource.TOPIC, topic)


def _partner_rights(partner: PartnerId) -> Iterable[Right]:
    """Reads its own topics with groups of its own, writes its returns, and sees nothing else."""
    yield _write(partner, topics.returns(partner))
    for topic in (topics.customers(partner), topics.control(partner)):
        yield _read(partner, topic)
    yield Right(partner, Operation.READ, Resource.GROUP, topics.partner_group(partner, ""), prefixed=True)
