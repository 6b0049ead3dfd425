"""What to recompute by: the contract sets as they are recorded, made ready to be carried out a second time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sluice import pauses, recorded_set, topics
from sluice.contract import CheckedContract, partner_schema
from sluice.customer_keys import issued_key
from sluice.errors import SluiceError
from sluice.kafka import admin
from sluice.kafka.clients import Broker, ClientConfig, admin_client
from sluice.kafka.tailing import Tail
from sluice.keys import CustomerKey, MasterKey, NoKey
from sluice.log import Record
from sluice.model import CustomerId, Millis, PartnerId
from sluice.recorded_set import RecordedSet
from sluice.registry import Registry
from sluice.settings import Settings
from stream_processors.review.apache_avro import Codec
from stream_processors.review.recomputing import Agreement, Book


@dataclass(slots=True)
class Tools:
    """What an installation is looked at with."""

    settings: Settings
    client: ClientConfig
    broker: Broker
    registry: Registry
    master: MasterKey

    def renew(self) -> None:
        """What a client knows of leaders stays stale for minutes after the broker was away (FENCED_LEADER_EPOCH)."""
        self.broker = admin_client(self.client)


class Books:
    """The book of each contract set, made once."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._codec = Codec(tools.registry.text)
        self._recorded: dict[str, Record] = {}
        self._newest: Record | None = None
        self._books: dict[str, Book] = {}
        self._unanswered: dict[PartnerId, Millis] = {}

    def of(self, digest: str) -> Book:
        """The set with this digest; partners that a newer one has, or any before, may hold nothing under it.

        Raises SluiceError when it is not recorded, or a partner's topic is not the one that it names.
        """
        if digest not in self._books:
            self._read()
            record = self._recorded.get(digest)
            if record is None or self._newest is None:
                raise SluiceError(
                    f"The contract set {digest} that the processor decided by is not in {topics.CONTRACT_SETS}: "
                    "restore it."
                )
            newest = recorded_set.decode(self._newest.key, self._newest.value)
            self._books[digest] = self._book(recorded_set.decode(record.key, record.value), newest)
        return self._books[digest]

    def _read(self) -> None:
        """Only what is asked for is decoded: other versions may have written the others."""
        group = self._tools.settings.sharing.group  # never joined: see sluice.kafka.clients.reader
        with Tail(self._tools.client, (topics.CONTRACT_SETS, topics.PAUSES), group, from_beginning=True) as tail:
            for record in tail.to_the_end():
                if record.topic == topics.PAUSES:
                    pauses.fold(self._unanswered, record)
                    continue
                self._newest = record
                self._recorded[(record.key or b"").decode(errors="replace")] = record

    def _book(self, recorded: RecordedSet, newest: RecordedSet) -> Book:
        tools = self._tools
        loaded = recorded_set.load(recorded, tools.master)
        everybody = {one.partner: one for one in (*newest.partners, *recorded.partners)}
        there = admin.topic_names(tools.broker)
        wanted = {  # of a former partner the topics may be gone
            partner: one.customers
            for partner, one in everybody.items()
            if not one.ended or topics.customers(partner) in there
        }
        self._check_topics(wanted)
        limits = admin.topic_settings(tools.broker, [topics.customers(partner) for partner in wanted])
        agreements: dict[PartnerId, Agreement | None] = dict.fromkeys(wanted)
        for contract in loaded.contracts.contracts:
            largest = int(limits[topics.customers(contract.partner)]["max.message.bytes"])
            agreements[contract.partner] = self._agreement(contract, largest)
        acknowledged = frozenset(tools.settings.sharing.acknowledged)
        return Book(agreements, loaded.law, acknowledged, self._customer_key, self._codec)

    def _agreement(self, contract: CheckedContract, max_bytes: int) -> Agreement:
        subject = topics.subject(topics.customers(contract.partner))
        schema_id = self._tools.registry.id_of(subject, partner_schema(contract))
        unanswered = contract.partner in self._unanswered
        return Agreement.of(contract, self._tools.master, schema_id, max_bytes, unanswered=unanswered)

    def _customer_key(self, customer: CustomerId) -> CustomerKey:
        path = self._tools.settings.customer_keys
        return NoKey.NOT_ISSUED if path is None else issued_key(path, self._tools.master, customer)

    def _check_topics(self, wanted: Mapping[PartnerId, str]) -> None:
        ids = {topics.customers(partner): topic_id for partner, topic_id in wanted.items()}
        for topic in admin.topic_identities(self._tools.broker, list(ids)):
            if topic.topic_id != ids[topic.name]:
                raise SluiceError(
                    f"The topic {topic.name} was re-created since its contract was applied, so what the partner "
                    "holds is not known: `sluice plan` says what to do."
                )
