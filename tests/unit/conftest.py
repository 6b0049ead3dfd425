"""A small installation for the tests of the sharing path, and one partition of it that can be driven by hand."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings

from schemas import catalogue
from sluice import topics
from sluice.avro import Reader, Record, Undecodable, Writer, unframe
from sluice.contract import CheckedContract, Contract, ContractSet, partner_schema
from sluice.kafka.clients import Record as LogRecord
from sluice.kafka.transactions import Bounds, Committed, Ends, Positions
from sluice.keys import CustomerKeys, MasterKey, PartnerKeys, keyed_digest
from sluice.law.loading import shipped_law
from sluice.law.pack import Law
from sluice.model import Cause, CustomerId, Held, Millis, Outcome, PartnerId
from sluice.projection import Projector, SourceReader
from sluice.registry import RegistryUnavailable
from sluice.ruling import Policy
from sluice.source_schema import Leaf, leaves
from sluice.store import Meta, Row, Store
from stream_processors.sharing import folding, recovery
from stream_processors.sharing.checkpoint import Checkpoint, Identity
from stream_processors.sharing.output import Writers
from stream_processors.sharing.partition import Batch, Moment, Partition, Situation, View
from stream_processors.sharing.pipeline import Partnership

# nothing is timed here: machines are shared
settings.register_profile(
    "untimed", parent=settings.get_profile("ci" if "CI" in os.environ else "default"), deadline=None
)
settings.load_profile("untimed")

NOW = Millis(1_780_000_000_000)
HOSHI: Mapping[str, Any] = {
    "partner": "hoshi-card",
    "name": "Hoshi Card",
    "recipient": "corporate_partner",
    "purpose": "marketing.communications.email",
    "country": "JP",
    "valid": {"from": date(2026, 1, 1)},
    "fields": {"given_name": "keep", "family_name": "keep", "email": "keep"},
    "where": {"address.country": ["JP", "AU"]},
}
ADRESSO: Mapping[str, Any] = {
    "partner": "adresso",
    "name": "Adresso",
    "recipient": "corporate_partner",
    "purpose": "operations.address_hygiene",
    "country": "AU",
    "valid": {"from": date(2026, 1, 1)},
    "fields": {"address.street": "keep", "address.postal_code": {"keep": {"required": True}}},
}
PURPOSES = {"hoshi-card": HOSHI["purpose"], "adresso": ADRESSO["purpose"]}
PROFILE, CONSENT, DISCLOSURE, REJECTED, CONTROL, FIRST_PARTNER = range(1, 7)
OWN = {
    PROFILE: "customer_profile",
    CONSENT: "consent_event",
    DISCLOSURE: "disclosure",
    REJECTED: "rejected",
    CONTROL: "control",
}


@cache
def source_leaves() -> Mapping[str, Leaf]:
    return leaves(catalogue.text("customer_profile"))


@cache
def law() -> Law:
    return shipped_law()


def checked(written: Mapping[str, Any]) -> CheckedContract:
    contract = Contract.model_validate(written)
    return CheckedContract(
        contract,
        {path: source_leaves()[path] for path in contract.shared_fields},
        evidence=frozenset(contract.evidence),
    )


class Installation:
    """Contracts, keys and schemas, the bytes that producers write, and a registry that can be switched off."""

    def __init__(self, *contracts: Mapping[str, Any], max_bytes: int = 1_000_000) -> None:
        self.master = MasterKey(bytes(range(32)))
        self.contracts = ContractSet(tuple(checked(written) for written in contracts or (HOSHI, ADRESSO)))
        texts = {number: catalogue.text(name) for number, name in OWN.items()}
        ids = {contract.partner: FIRST_PARTNER + n for n, contract in enumerate(self.contracts.contracts)}
        texts |= {ids[contract.partner]: partner_schema(contract) for contract in self.contracts.contracts}
        self.readers = {number: Reader(text) for number, text in texts.items()}
        self.registered = {number: Writer(text, number) for number, text in texts.items()}
        self.unreachable: set[int] = set()
        self.partnerships = tuple(self._partnership(c, ids[c.partner], max_bytes) for c in self.contracts.contracts)
        self.writers = Writers(
            disclosure=self.registered[DISCLOSURE],
            rejected=self.registered[REJECTED],
            control={contract.partner: self.registered[CONTROL] for contract in self.contracts.contracts},
            source_key=self.master.derive("rejected"),
            decision_key=self.master.derive("decision"),
            contract_set=self.contracts.digest(self.master),
        )
        self.identity = Identity("cluster", "topics", self.writers.contract_set)

    def _partnership(self, contract: CheckedContract, schema_id: int, max_bytes: int) -> Partnership:
        keys = PartnerKeys.of(self.master, contract.partner, contract.contract.pseudonym_epoch)
        return Partnership(
            partner=contract.partner,
            terms=contract.terms(),
            contract=contract.digest(self.master),
            keys=keys,
            projector=Projector(contract, keys, schema_id, max_bytes),
            acknowledge_within_ms=int(contract.contract.limits.acknowledge_within.total_seconds() * 1000),
        )

    def decode(self, value: bytes | None) -> Record:
        """As the registry does, for the schemas that this installation has."""
        number, payload = unframe(value)
        if number in self.unreachable:
            raise RegistryUnavailable("The registry does not answer.")
        if number not in self.readers:
            raise Undecodable(Cause.SCHEMA_UNKNOWN)
        return self.readers[number].read(payload)

    def view(
        self,
        *,
        acknowledged: Collection[str] = (),
        partitions: int = 1,
        chunk: int = 100,
        customer_keys: CustomerKeys | None = None,
    ) -> View:
        return View(
            partnerships=self.partnerships,
            writers=self.writers,
            decode=self.decode,
            source=SourceReader(self.decode),
            policy=self.policy(acknowledged),
            acknowledged=frozenset(acknowledged),
            partitions=partitions,
            chunk=chunk,
            customer_keys=customer_keys,
        )

    def policy(self, acknowledged: Collection[str] = ()) -> Policy:
        return Policy({one.partner: one.terms for one in self.partnerships}, law(), acknowledged)

    def profile(self, **changes: Any) -> bytes:  # noqa: ANN401 - any field of the profile
        """A customer's update: with name, e-mail address and street, living where no law of its own is loaded."""
        address = {"street": "Chiyoda 1-1", "postal_code": "100-0001", "country": "JP"}
        base = {"customer_id": "c", "given_name": "Hanako", "family_name": "Sato", "email": "hanako@example.com"}
        where = {"residence": "AU", "address": address, "updated_at": 0}
        return self.registered[PROFILE].write(base | where | changes)

    def answer(self, customer: str, partner: str, at: int, state: str = "GIVEN", **changes: Any) -> bytes:  # noqa: ANN401
        """A consent event: explicitly, by the customer, to this partner, for everything."""
        base = {
            "record_id": f"{customer} {partner} {state} {at}",
            "subject_id": customer,
            "purpose": PURPOSES[partner],
            "recipient_scope": {"category": "partner", "partner_ids": [partner]},
            "data_scope": ["*"],
            "state": state,
            "expression": "explicit",
            "actor": "subject",
            "event_time": NOW - 1_000_000 + at,
            "recorded_at": NOW - 1_000_000 + at,
        }
        return self.registered[CONSENT].write(base | changes)

    def partner(self, name: str) -> Partnership:
        return next(partnership for partnership in self.partnerships if partnership.partner == name)


@dataclass
class Log:
    """One partition of one topic. Records may be compacted away; offsets are never given twice."""

    topic: str
    partition: int = 0
    records: list[LogRecord] = field(default_factory=list)
    low: int = 0
    high: int = 0

    def append(self, key: bytes | None, value: bytes | None) -> LogRecord:
        record = LogRecord(self.topic, self.partition, self.high, key, value, NOW)
        self.records.append(record)
        self.high += 1
        return record

    def compact(self) -> None:
        """Only the newest record of each key survives, and no tombstone."""
        newest = {record.key: record for record in self.records}
        self.records = [record for record in self.records if newest[record.key] is record and record.value is not None]

    def between(self, start: int, stop: int) -> list[LogRecord]:
        return [record for record in self.records if start <= record.offset < stop]


class Lane:
    """One partition: its logs, its store, and what partners can see of it. Every step is audited."""

    def __init__(self, installation: Installation, folder: Path, **view: Any) -> None:  # noqa: ANN401 - of `view`
        self.installation = installation
        self.folder = folder
        self.updates, self.consents = Log(topics.CUSTOMER_UPDATES), Log(topics.CONSENT_EVENTS)
        self.disclosures = Log(topics.DISCLOSURES)
        self.positions = Positions(0, 0)
        self.seen: dict[str, dict[bytes, bytes]] = {}
        """What partners hold who read their topics: by topic, by key."""
        self.messages: list[tuple[str, Record]] = []
        self.rejected: list[Record] = []
        self.now: int = NOW
        self.monotonic = 0.0
        self.open(Store(folder), **view)

    def open(self, store: Store, *, mark: int = 0, meta: Mapping[str, Any] | None = None, **view: Any) -> None:  # noqa: ANN401
        """Begin to serve the partition, with what the store has."""
        name = recovery._name(self.installation.identity)
        found = store.meta() or Meta(name, *self.positions, self.disclosures.high, self.now)
        found = msgspec.structs.replace(found, **(meta or {}))
        self.partition = Partition(store, found, mark, self.installation.view(**view))

    def update(self, customer: str, value: bytes | None) -> LogRecord:
        return self.updates.append(customer.encode(), value)

    def consent(self, customer: str, partner: str, state: str = "GIVEN", **changes: Any) -> LogRecord:  # noqa: ANN401
        """An answer, later than all before it."""
        value = self.installation.answer(customer, partner, self.consents.high, state, **changes)
        return self.consents.append(customer.encode(), value)

    def peek(
        self, updates: int | None = None, consents: int | None = None, *, complete: bool = True, **barrier: int
    ) -> tuple[Batch, Positions]:
        """What a batch of the next records would do; all of them unless numbers say otherwise."""
        stop = Positions(
            self.updates.high if updates is None else self.positions.driving + updates,
            self.consents.high if consents is None else self.positions.joined + consents,
        )
        ends = Ends(
            stop.joined, barrier.get("joined_high", stop.joined), barrier.get("driving_high", self.updates.high)
        )
        situation = Situation(ends, stop.driving, complete, Moment(Millis(self.now), self.monotonic))
        fetched = self.updates.between(self.positions.driving, stop.driving)
        drained = self.consents.between(self.positions.joined, stop.joined)
        return self.partition.step(fetched, drained, situation), stop

    def step(
        self, updates: int | None = None, consents: int | None = None, *, complete: bool = True, **barrier: int
    ) -> Batch:
        """A batch, committed."""
        batch, self.positions = self.peek(updates, consents, complete=complete, **barrier)
        self._publish(batch)
        meta = msgspec.structs.replace(
            self.partition.meta,
            updates=self.positions.driving,
            consents=self.positions.joined,
            disclosures=self.disclosures.high,
            written_at=self.now,
        )
        self.partition.apply(batch, meta, Moment(Millis(self.now), self.monotonic))
        self.audit()
        return batch

    def _publish(self, batch: Batch) -> None:
        keys = [(output.topic, output.key) for output in batch.outputs if output.topic.endswith("customers")]
        assert len(keys) == len(set(keys)), "one outcome for each customer and partner in a batch"
        for output in batch.outputs:
            if output.topic == topics.DISCLOSURES:
                self.disclosures.append(output.key, output.value)
            elif output.topic == topics.REJECTED:
                self.rejected.append(self.installation.decode(output.value))
            elif output.topic.endswith("control"):
                self.messages.append((output.topic, self.installation.decode(output.value)))
            else:
                assert output.key is not None
                seen = self.seen.setdefault(output.topic, {})
                if output.value is None:
                    del seen[output.key]  # a tombstone only ever for what was held
                else:
                    seen[output.key] = output.value

    def audit(self) -> None:
        """The store says what the disclosures say, and the partners hold exactly that."""
        folded: dict[str, Row] = {}
        for record in self.disclosures.records:
            assert record.key is not None
            customer = record.key.decode()
            disclosure = self.installation.decode(record.value)
            folded[customer] = folding.with_disclosure(folded.get(customer, Row()), disclosure)
        kept = {customer: row.held for customer, row in self.partition.store if row.held}
        assert kept == {CustomerId(customer): row.held for customer, row in folded.items() if row.held}
        for partnership in self.installation.partnerships:
            held = [row[partnership.partner] for row in kept.values() if partnership.partner in row]
            seen = self.seen.get(topics.customers(partnership.partner), {})
            digests = {key.decode(): keyed_digest(partnership.keys.digest, value) for key, value in seen.items()}
            assert digests == {one.pseudonym: one.digest for one in held}

    def row(self, customer: str) -> Row:
        return self.partition.store.get([CustomerId(customer)])[CustomerId(customer)]

    def held(self, customer: str, partner: str = "hoshi-card") -> Held | None:
        return self.row(customer).held.get(PartnerId(partner))

    def record(self, customer: str, partner: str = "hoshi-card") -> Record | None:
        """What the partner reads about the customer."""
        held = self.held(customer, partner)
        if held is None:
            return None
        return self.installation.decode(self.seen[topics.customers(PartnerId(partner))][held.pseudonym.encode()])

    def everything_held(self) -> dict[CustomerId, Mapping[PartnerId, Held]]:
        return {customer: row.held for customer, row in self.partition.store if row.held}

    def close(self) -> None:
        self.partition.store.close()

    # --- as the log that a recovery reads

    def committed(self) -> Committed:
        checkpoint = Checkpoint(self.installation.identity, self.disclosures.high, Millis(self.now))
        return Committed(self.positions, checkpoint.encode())

    def _log(self, topic: str) -> Log:
        return next(log for log in (self.updates, self.consents, self.disclosures) if log.topic == topic)

    def bounds(self, names: Collection[str], _partition: int) -> dict[str, Bounds]:
        return {name: Bounds(self._log(name).low, self._log(name).high) for name in names}

    def read(self, topic: str, _partition: int, start: int, stop: int) -> Iterator[LogRecord]:
        assert self._log(topic).low <= start <= stop <= self._log(topic).high, "this would be an error on a broker"
        yield from self._log(topic).between(start, stop)


def outcomes(batch: Batch) -> Sequence[tuple[str, Outcome]]:
    return [(partnership.partner, outcome) for partnership, outcome in batch.outcomes]


@pytest.fixture(scope="session")
def new_installation() -> type[Installation]:
    return Installation


@pytest.fixture(scope="session")
def new_lane() -> type[Lane]:
    return Lane


@pytest.fixture(scope="session", name="law")
def shipped() -> Law:
    return law()


@pytest.fixture
def lane(tmp_path: Path) -> Iterator[Lane]:
    """A partition of the ordinary installation, at its first start."""
    one = Lane(Installation(), tmp_path / "store")
    yield one
    one.close()
