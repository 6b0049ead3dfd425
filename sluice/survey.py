"""A look at what there is beside what is desired: the plan that follows, and nothing done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from sluice import topics
from sluice.contract import LoadedContracts, check
from sluice.kafka import certificate_names, inventory, quotas
from sluice.kafka.clients import Broker, ClientConfig
from sluice.model import PartnerId
from sluice.planning import Actual, Finding, Plan, Subject, difference, ownership
from sluice.provisioning import Desired, RegisteredSchema, called, desired, our_source_schema
from sluice.recorded_set import ReCreated
from sluice.recording import Draft, newest_set
from sluice.registry import Registry, SchemaNotFound
from sluice.settings import Settings
from sluice.source_schema import leaves, record_name
from sluice.user_files import ConnectionFiles

_AT_ONCE = 8
"""Questions to the registry."""


@dataclass(frozen=True, slots=True)
class Place:
    """An installation, as its administrator reaches it."""

    settings: Settings
    registry: Registry
    administrator: ClientConfig
    broker: Broker


@dataclass(frozen=True, slots=True)
class Survey:
    plan: Plan
    draft: Draft


def survey(place: Place, loaded: LoadedContracts, removed: Iterable[PartnerId] = ()) -> Survey:
    """What has to be done; `removed` are partners without a contract of which nothing is to be kept.

    Raises SluiceError: DocumentError for contracts that cannot be, and what broker and registry refuse.
    """
    settings = place.settings
    inventory.refuse_who_may_not_look(place.broker)
    source, ours = source_schema(place.registry)
    contracts = check(loaded, leaves(source), settings.load_law())
    is_there = topics.CONTRACT_SETS in inventory.topics(place.broker, lambda name: name == topics.CONTRACT_SETS)
    before = newest_set(place.administrator) if is_there else None
    draft = Draft(contracts, source, before, frozenset(removed))
    wanted = desired(contracts, settings.groups, draft.ended(), settings.certificates)
    wanted = replace(wanted, schemas=(*ours, *wanted.schemas))
    wanted = called(wanted, certificate_names.names(place.broker, settings.certificates))
    actual = _actual(place, wanted, draft)
    try:
        proposed = draft.as_recorded(settings, actual.topic_ids())
    except ReCreated as error:
        return Survey(Plan((), (), (Finding("contract-set", str(error), stops=True),), ""), draft)
    return Survey(difference(wanted, proposed, actual, settings.partitions), draft)


def source_schema(registry: Registry) -> tuple[str, tuple[RegisteredSchema, ...]]:
    """What contracts are checked against, and ours if it has to be registered: unless the source has its own."""
    ours = our_source_schema()
    try:
        _, found = registry.latest(ours.subject)
    except SchemaNotFound:
        return ours.text, (ours,)
    if record_name(found) != record_name(ours.text):
        return found, ()
    return (found if registry.has(ours.subject, ours.text) else ours.text), (ours,)


def _actual(place: Place, wanted: Desired, draft: Draft) -> Actual:
    names = {topic.name for topic in wanted.topics}
    return Actual(
        topics=inventory.topics(place.broker, lambda name: ownership.is_ours(name, names)),
        users=inventory.users(place.broker),
        files=ConnectionFiles(place.settings.clients).mechanisms(wanted.users),
        rights=inventory.rights(place.broker),
        quotas=quotas.read_rates(place.administrator),
        subjects=_subjects(place.registry, wanted.schemas),
        recorded=draft.before,
    )


def _subjects(registry: Registry, wanted: Sequence[RegisteredSchema]) -> dict[str, Subject]:
    there = set(registry.subjects())
    names = {schema.subject for schema in wanted}
    asked = [schema for schema in wanted if schema.subject in there]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda schema: _subject(registry, schema), asked)
        known = {schema.subject: subject for schema, subject in zip(asked, found, strict=True)}
    beside = (name for name in there - names if ownership.is_ours(name, ()))
    return known | {name: Subject("", is_registered=True) for name in beside}


def _subject(registry: Registry, wanted: RegisteredSchema) -> Subject:
    has = registry.has(wanted.subject, wanted.text)
    versions = () if has else registry.versions(wanted.subject)
    return Subject(registry.compatibility(wanted.subject), has, versions)
