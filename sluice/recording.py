"""The contracts as the set in force; the edge of `sluice.recorded_set`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sluice import topics
from sluice.contract import ContractSet
from sluice.kafka.clients import ClientConfig
from sluice.kafka.publishing import write_record
from sluice.kafka.tailing import Tail
from sluice.key_sources import is_to_be_made
from sluice.keys import load_master_key
from sluice.model import PartnerId
from sluice.recorded_set import RecordedSet, ReCreated, decode, partners, texts
from sluice.settings import Settings

NO_ID = ""
"""Of a topic that is not there yet."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a set is made of, beside the topics' ids."""

    contracts: ContractSet
    source: str
    """The source schema that the contracts were checked against."""
    before: RecordedSet | None
    """The set in force."""
    removed: frozenset[PartnerId] = frozenset()
    """Partners without a contract that are not kept in the set either."""

    def ended(self) -> dict[PartnerId, int]:
        """Partners whose contract is gone, with the milliseconds that they have to act on a recall."""
        named = {contract.partner for contract in self.contracts.contracts} | self.removed
        known = self.before.names() if self.before else {}
        return {name: one.acknowledge_within_ms for name, one in known.items() if name not in named}

    def as_recorded(self, settings: Settings, ids: Mapping[str, str]) -> RecordedSet:
        """The set, if these are the topics that there are, by name. Raises ReCreated, SluiceError."""
        known = sorted({contract.partner for contract in self.contracts.contracts} | self.ended().keys())
        of_partners = {
            one: (ids.get(topics.customers(one), NO_ID), ids.get(topics.control(one), NO_ID)) for one in known
        }
        _refuse_re_created(self.before, ids)
        with settings.law_folder() as laws:
            return RecordedSet(
                contracts=texts(settings.contracts, ("*.yaml", "*.yml", "tokens/*.csv")),
                laws=texts(laws, ("*.yaml", "*.yml")),
                source_schema=self.source,
                source_priority=tuple(settings.law.source_priority),
                facts=settings.facts.model_dump(),
                partners=partners(self.contracts, of_partners, self.before),
                master_key=self._fingerprint(settings),
                topics={name: ids.get(name, NO_ID) for name in topics.OWN},
            )

    def _fingerprint(self, settings: Settings) -> str:
        """Empty before there is a key: it is made with the first set. Raises SluiceError for one that was lost."""
        if self.before is None and is_to_be_made(settings.master_key):
            return ""
        return load_master_key(settings.master_key).fingerprint


def record(client: ClientConfig, recorded: RecordedSet) -> None:
    """The set is in force from now on. Raises KafkaTrouble."""
    write_record(client, topics.CONTRACT_SETS, recorded.digest.encode(), recorded.encode())


def newest_set(client: ClientConfig) -> RecordedSet | None:
    """The contract set in force; None: none was recorded yet. Raises SluiceError."""
    newest = None
    with Tail(client, (topics.CONTRACT_SETS,), "sluice.apply", from_beginning=True) as tail:
        for found in tail.to_the_end():
            newest = found
    return None if newest is None else decode(newest.key, newest.value)


def _refuse_re_created(before: RecordedSet | None, ids: Mapping[str, str]) -> None:
    """What the topic said before is lost: a withdrawal, or what partners hold."""
    for name, topic_id in before.topics.items() if before else ():
        if ids.get(name, NO_ID) != topic_id:
            lost = "was re-created" if name in ids else "is gone"
            raise ReCreated(
                f"The topic {name} {lost}, so what it said before is lost: restore it. To begin again "
                f"with nothing, delete {topics.CONTRACT_SETS}, {topics.DISCLOSURES} and the partners' topics too, name "
                "another `sharing.group`, and apply."
            )
