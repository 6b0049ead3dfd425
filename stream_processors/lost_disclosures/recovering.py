"""One partition whose disclosures were lost: what was lost, what is held instead, and the evidence written anew.

1. Only while nobody is a member of the group, and no transaction of it is open.
2. The partner topics are folded by key: there the newest record of each key survives.
3. Each key is matched with the pseudonyms of everybody whom an input or a disclosure that is left names.
4. Written anew: a disclosure for who was matched; a recall for a key that is nobody's.
5. The offsets are committed as they were, in the transaction of the last piece, with where the evidence begins now.
   Until then a processor still refuses to start, and running this again begins anew behind what was written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from sluice import topics
from sluice.avro import Undecodable
from sluice.errors import SluiceError
from sluice.log import Bounds, Log, Positions, Record
from sluice.model import CustomerId, Held, Millis, PartnerId
from sluice.store import Row
from stream_processors.lost_disclosures.evidence import Scribe
from stream_processors.lost_disclosures.identification import Holdings, Recipient
from stream_processors.sharing import checkpoint, folding
from stream_processors.sharing.checkpoint import Checkpoint, Identity
from stream_processors.sharing.output import Output
from stream_processors.sharing.view import View

_INPUTS = (topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS)
PIECE = 10_000
"""Records in one transaction: it has to end before the broker gives it up."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A partition that no processor goes on with."""

    partition: int
    why: str
    bounds: Mapping[str, Bounds]
    positions: Positions
    previous: Checkpoint


@dataclass(slots=True)
class Finding:
    """What was found, and written if it was."""

    partition: int
    why: str
    customers: int = 0
    """Whom the inputs, or disclosures that are left, name."""
    held: Counter[PartnerId] = field(default_factory=Counter)
    orphans: Counter[PartnerId] = field(default_factory=Counter)
    recalled: int = 0
    """What disclosures that are left tell and partners no longer hold."""


@dataclass(frozen=True, slots=True)
class Recoverer:
    log: Log
    view: View
    recipients: Mapping[PartnerId, Recipient]
    identity: Identity
    on_records: Callable[[int], None]

    def loss(self, number: int) -> Loss | None:
        """None: the evidence is whole. Raises SluiceError when it cannot be made whole from here."""
        watched = (*_INPUTS, topics.DISCLOSURES, *(topics.customers(partner) for partner in self.recipients))
        bounds = self.log.bounds(watched, number)
        committed = self.log.committed(frozenset({number}))[number]
        low, high = bounds[topics.DISCLOSURES]
        if committed.positions is None:
            first = Checkpoint(self.identity, self.view.contract_set, False, high, Millis(0))
            positions = Positions(bounds[topics.CUSTOMER_UPDATES].low, 0)
            shared = any(bounds[topics.customers(partner)].high for partner in self.recipients)
            why = "it is empty, and partners were given records" if shared and high == 0 else _gap(low, high, first)
            loss = Loss(number, why, bounds, positions, first)
        else:
            previous = checkpoint.decode(committed.metadata)
            checkpoint.check(previous.identity, self.identity)
            loss = Loss(number, _gap(low, high, previous), bounds, committed.positions, previous)
        if loss.why and bounds[topics.CONSENT_EVENTS].low > 0:
            raise SluiceError(
                f"{topics.CONSENT_EVENTS}/{number} begins at offset {bounds[topics.CONSENT_EVENTS].low}: what "
                "customers said was deleted too, and that is nowhere else. Restore that topic first."
            )
        return loss if loss.why else None

    def find(self, loss: Loss) -> Finding:
        """What would be written, counted."""
        finding, scribe = Finding(loss.partition, loss.why), Scribe(self.view.writers, loss.partition, Millis(0))
        for _ in self._outputs(loss, scribe, finding):
            pass
        return finding

    def recover(self, loss: Loss, now: Millis) -> Finding:
        """Written and committed. Raises Aborted, SluiceError; whatever was written then is written over next time."""
        finding, number = Finding(loss.partition, loss.why), loss.partition
        begins = loss.bounds[topics.DISCLOSURES].high
        now = max(now, loss.previous.now)
        written = msgspec.structs.replace(
            loss.previous, identity=self.identity, settled=False, disclosures=begins, now=now, evidence_from=begins
        )
        outputs = self._outputs(loss, Scribe(self.view.writers, number, now), finding)
        chunk, rest = list(islice(outputs, PIECE)), list(islice(outputs, PIECE))
        while rest:
            written = self._write(number, chunk, written)
            self.log.commit({}, {})
            chunk, rest = rest, list(islice(outputs, PIECE))
        written = self._write(number, chunk, written)
        self.log.commit({number: loss.positions}, {number: written.encode()})
        return finding

    def _write(self, number: int, chunk: Iterable[Output], written: Checkpoint) -> Checkpoint:
        self.log.begin()
        for topic, key, value in chunk:
            self.log.produce(topic, number, key, value, written.now)
        end = self.log.flush().get(number, written.disclosures)
        return msgspec.structs.replace(written, disclosures=max(end, written.disclosures))

    def _outputs(self, loss: Loss, scribe: Scribe, finding: Finding) -> Iterator[Output]:
        told = self._told(loss)
        customers = self._customers(loss) | told.keys()
        holdings = self._holdings(loss)
        finding.customers = len(customers)
        for customer in sorted(customers):
            held, before = holdings.identify(customer), told.get(customer, {})
            finding.held.update(held.keys())
            finding.recalled += len(before.keys() - held.keys())
            yield from scribe.disclosure(customer, held, before)
        for recipient, name, standing in holdings.orphans():
            finding.orphans[recipient.partner] += 1
            yield from scribe.recall(recipient, name, standing)

    def _customers(self, loss: Loss) -> set[CustomerId]:
        """Everybody whom an input names."""
        found = set()
        for topic in _INPUTS:
            for record in self._read(loss, topic):
                customer = folding.named(record, self.view.partitions)
                if isinstance(customer, str):
                    found.add(customer)
        return found

    def _told(self, loss: Loss) -> dict[CustomerId, Mapping[PartnerId, Held]]:
        """What disclosures that are left say, each customer whom they name."""
        held: dict[CustomerId, Mapping[PartnerId, Held]] = {}
        for record in self._read(loss, topics.DISCLOSURES):
            customer = folding.named(record, self.view.partitions)
            if isinstance(customer, str):
                row = Row(held=dict(held.get(customer, {})))
                try:
                    held[customer] = folding.with_disclosure(row, self.view.decode(record.value)).held
                except Undecodable:
                    continue  # the partner topics say what is held
        return held

    def _holdings(self, loss: Loss) -> Holdings:
        holdings = Holdings(self.recipients, self.view.decode)
        for partner in self.recipients:
            for record in self._read(loss, topics.customers(partner)):
                holdings.see(partner, record.key or b"", record.offset, record.value)
        return holdings

    def _read(self, loss: Loss, topic: str) -> Iterator[Record]:
        low, high = loss.bounds[topic]
        for count, record in enumerate(self.log.read(topic, loss.partition, low, high)):
            self.on_records(count)
            if record is not None:
                yield record


def _gap(low: int, high: int, previous: Checkpoint) -> str:
    """What is missing; empty: nothing."""
    if low > previous.evidence_from:
        return f"it begins at offset {low}, and {previous.evidence_from} was its first"
    if high < previous.disclosures:
        return f"it ends at offset {high}, and {previous.disclosures} was committed"
    return ""
