"""One partition that is driven by hand: its logs, its store, and what partners see of it. Every step is audited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from sluice import topics
from sluice.avro import Record
from sluice.keys import PartnerKeys, keyed_digest
from sluice.log import Bounds, Committed, Ends, Positions
from sluice.log import Record as LogRecord
from sluice.model import CustomerId, Held, Millis, Outcome, PartnerId, Reason, Withheld, label
from sluice.rocks import RocksStores
from sluice.store import Meta, Row, Store, Stores
from stream_processors.sharing import folding, recovery
from stream_processors.sharing.batch import Batch, Moment, Situation
from stream_processors.sharing.checkpoint import Checkpoint
from stream_processors.sharing.partition import Partition
from tests.simulation.memory_store import MemoryStores
from tests.unit.installation import NOW, Installation

A, B, C = "dell-crm:1", "dell-crm:2", "dell-crm:3"
DAMAGED = b"\x00\x00\x00\x00\x01\xff"


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

    def __init__(
        self,
        installation: Installation,
        folder: Path | None = None,
        *,
        allowance: int = 100,
        **view: Any,  # noqa: ANN401 - of `view`
    ) -> None:
        """`folder`: the store is kept there, otherwise in memory.

        `allowance`: how many customers that no input names may be reconciled in a batch.
        """
        self.installation = installation
        self.stores: Stores = MemoryStores({}) if folder is None else RocksStores(folder)
        self.allowance = allowance
        self.updates, self.consents = Log(topics.CUSTOMER_UPDATES), Log(topics.CONSENT_EVENTS)
        self.disclosures = Log(topics.DISCLOSURES)
        self.positions = Positions(0, 0)
        self.settled = False
        """What the last batch said of itself."""
        self.seen: dict[str, dict[bytes, bytes]] = {}
        """What partners hold who read their topics: by topic, by key."""
        self.messages: list[tuple[str, Record]] = []
        self.rejected: list[Record] = []
        self.republished: list[tuple[LogRecord, int]] = []
        self.reads: Counter[tuple[str, int]] = Counter()
        """How often a recovery has read each record: by topic and offset."""
        self.now: int = NOW
        self.monotonic = 0.0
        self.open(self.stores.open(0), **view)

    def open(self, store: Store, *, mark: int = 0, meta: Mapping[str, Any] | None = None, **view: Any) -> None:  # noqa: ANN401
        """Begin to serve the partition, with what the store has."""
        seen = self.installation.view(**view)
        name = recovery._name(self.installation.identity, 0)
        found = store.meta() or Meta(name, *self.positions, self.disclosures.high, self.now, rules=seen.rules)
        found = msgspec.structs.replace(found, **(meta or {}))
        self.partition = Partition(0, store, found, mark, seen)

    def adopt(self, installation: Installation, **view: Any) -> None:  # noqa: ANN401
        """Another contract set is in force."""
        self.installation = installation
        self.partition.adopt(installation.view(**view))

    def update(self, customer: str, value: bytes | None) -> LogRecord:
        return self.updates.append(customer.encode(), value)

    def consent(self, customer: str, partner: str, state: str = "GIVEN", **changes: Any) -> LogRecord:  # noqa: ANN401
        """An answer, later than all before it."""
        value = self.installation.answer(customer, partner, self.consents.high, state, **changes)
        return self.consents.append(customer.encode(), value)

    def share(self, customer: str = A, **changes: Any) -> Held:  # noqa: ANN401 - any field of the profile
        """The customer stands in the partner's topic."""
        self.update(customer, self.installation.profile(**changes))
        self.consent(customer, "hoshi-card")
        self.step()
        held = self.held(customer)
        assert held is not None
        return held

    def share_without_looking(self, customer: str) -> None:
        """As `share`, while something may stand in the way."""
        self.update(customer, self.installation.profile())
        self.consent(customer, "hoshi-card")
        self.step()

    @property
    def moment(self) -> Moment:
        return Moment(Millis(self.now), self.monotonic)

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
        situation = Situation(ends, stop.driving, complete, self.moment, self.allowance)
        fetched = self.updates.between(self.positions.driving, stop.driving)
        drained = self.consents.between(self.positions.joined, stop.joined)
        return self.partition.step(fetched, drained, situation), stop

    def situation(self, *, requested: Sequence[CustomerId] = ()) -> Situation:
        """As it is without any new input; `requested`: customers that an operator wants reconciled."""
        ends = Ends(self.positions.joined, self.positions.joined, self.positions.driving)
        return Situation(ends, self.positions.driving, True, self.moment, self.allowance, requested)

    def step(
        self, updates: int | None = None, consents: int | None = None, *, complete: bool = True, **barrier: int
    ) -> Batch:
        """A batch, committed."""
        batch, self.positions = self.peek(updates, consents, complete=complete, **barrier)
        self.settled = batch.settled
        self.republished += batch.misplaced
        self._publish(batch)
        self.partition.apply(batch, self.positions, self.disclosures.high, self.moment)
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
        for party in self.installation.parties:
            held = [row[party.partner] for row in kept.values() if party.partner in row]
            seen = self.seen.get(topics.customers(party.partner), {})
            assert {one.pseudonym.encode() for one in held} == seen.keys()
            for one in held:
                key = PartnerKeys.of(self.installation.master, party.partner, one.key_epoch).digest
                assert keyed_digest(key, seen[one.pseudonym.encode()]) == one.digest

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

    def waiting(self) -> list[CustomerId]:
        return self.partition.store.waiting(1 << 62, 1_000)[0]

    def due(self) -> list[CustomerId]:
        """Everybody for whom some time to come changes something."""
        return self.partition.store.due(Millis(1 << 62), 10_000)

    def close(self) -> None:
        self.partition.store.close()

    # --- as the log that a recovery reads

    def committed(self) -> Committed:
        checkpoint = Checkpoint(
            self.installation.identity,
            self.partition.view.contract_set,
            self.settled,
            self.disclosures.high,
            Millis(self.now),
        )
        return Committed(self.positions, checkpoint.encode())

    def _log(self, topic: str) -> Log:
        return next(log for log in (self.updates, self.consents, self.disclosures) if log.topic == topic)

    def bounds(self, names: Collection[str], _partition: int) -> dict[str, Bounds]:
        return {name: Bounds(self._log(name).low, self._log(name).high) for name in names}

    def read(self, topic: str, _partition: int, start: int, stop: int) -> Iterator[LogRecord]:
        assert self._log(topic).low <= start <= stop <= self._log(topic).high, "this would be an error on a broker"
        for record in self._log(topic).between(start, stop):
            self.reads[topic, record.offset] += 1
            yield record

    def driving_reached(self, _partition: int) -> int:
        return self.updates.high


def hoshi(batch: Batch) -> list[Outcome]:
    asked: list[Outcome] = [outcome for party, outcome in batch.outcomes if party.partner == "hoshi-card"]
    for (partner, outcome, reason), count in batch.came.items():
        if (partner, outcome) == ("hoshi-card", "withheld"):
            asked += [Withheld(Reason(reason))] * count
    return asked


def came(batch: Batch) -> Counter[tuple[PartnerId, str, str]]:
    """How many outcomes of each kind there were at each partner, those of answers that stood included."""
    return batch.came + Counter((party.partner, *label(outcome)) for party, outcome in batch.outcomes)


def written(batch: Batch) -> Sequence[str]:
    return [output.topic for output in batch.outputs]
