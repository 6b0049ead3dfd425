"""Recording the contracts as the set in force; the edge of `sluice.recorded_set`."""

from __future__ import annotations

from collections.abc import Mapping

from sluice import topics
from sluice.contract import ContractSet
from sluice.errors import SluiceError
from sluice.kafka.admin import topic_identities, topic_names
from sluice.kafka.clients import Broker, ClientConfig
from sluice.kafka.publishing import write_record
from sluice.kafka.tailing import Tail
from sluice.keys import load_master_key
from sluice.recorded_set import RecordedSet, decode, partners, texts
from sluice.settings import Settings


def record_set(settings: Settings, contracts: ContractSet, source: str, client: Broker) -> tuple[str, bool]:
    """Record the contracts as the set in force, unless they are; its digest, and whether it was another one.

    Raises SluiceError for topics that were re-created.
    """
    administrator = settings.client("admin")
    before = newest_set(administrator)
    there = topic_names(client)
    former = (partner for partner in (before.names() if before else ()) if topics.customers(partner) in there)
    known = {contract.partner for contract in contracts.contracts} | {*former}  # without topics nobody can be told
    names = [name for partner in sorted(known) for name in (topics.customers(partner), topics.control(partner))]
    ids = {topic.name: topic.topic_id for topic in topic_identities(client, [*topics.OWN, *names])}
    _refuse_re_created(before, ids)
    of_partners = {partner: (ids[topics.customers(partner)], ids[topics.control(partner)]) for partner in known}
    with settings.law_folder() as laws:
        recorded = RecordedSet(
            contracts=texts(settings.contracts, ("*.yaml", "*.yml", "tokens/*.csv")),
            laws=texts(laws, ("*.yaml", "*.yml")),
            source_schema=source,
            source_priority=tuple(settings.law.source_priority),
            facts=settings.facts.model_dump(),
            partners=partners(contracts, of_partners, before),
            master_key=load_master_key(settings.master_key).fingerprint,
            topics={name: ids[name] for name in topics.OWN},
        )
    if before is not None and before.digest == recorded.digest:
        return recorded.digest, False
    write_record(administrator, topics.CONTRACT_SETS, recorded.digest.encode(), recorded.encode())
    return recorded.digest, True


def newest_set(client: ClientConfig) -> RecordedSet | None:
    """The contract set in force; None: none was recorded yet. Raises SluiceError."""
    newest = None
    with Tail(client, (topics.CONTRACT_SETS,), "sluice.provision", from_beginning=True) as tail:
        for record in tail.to_the_end():
            newest = record
    return None if newest is None else decode(newest.key, newest.value)


def _refuse_re_created(before: RecordedSet | None, ids: Mapping[str, str]) -> None:
    """What the topic said before is lost: a withdrawal, or what partners hold."""
    for name, topic_id in before.topics.items() if before else ():
        if ids[name] != topic_id:
            raise SluiceError(
                f"The topic {name} was re-created, so what it said before is lost: restore it. To begin again "
                f"with nothing, delete {topics.CONTRACT_SETS}, {topics.DISCLOSURES} and the partners' topics too, name "
                "another `sharing.group`, and provision."
            )
