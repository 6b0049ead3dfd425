"""The disclosures that are written anew, and what recalls an orphan. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from sluice import keys, topics
from sluice.model import CustomerId, Held, Millis, PartnerId, Pointer, Pseudonym, Reason, Recalled
from stream_processors.lost_disclosures.identification import Recipient, Standing
from stream_processors.sharing import output
from stream_processors.sharing.output import Decided, Output
from stream_processors.sharing.parties import FormerPartnership
from stream_processors.sharing.view import Writers


@dataclass(frozen=True, slots=True)
class Scribe:
    """Writes evidence for one partition at one time."""

    writers: Writers
    partition: int
    now: Millis

    def disclosure(
        self, customer: CustomerId, held: Mapping[PartnerId, Held], told: Mapping[PartnerId, Held]
    ) -> Iterator[Output]:
        """That this is held, and nothing else of what a disclosure that is still there has `told`.

        So the log says the same from wherever it is folded. Why that was recalled is not known: the reason is null.
        """
        entries = [self._held(customer, partner, one) for partner, one in held.items()]
        entries += [self._recalled(customer, partner, one) for partner, one in told.items() if partner not in held]
        if entries:
            value = self.writers.disclosure.write((), self.now, self.writers.contract_set, len(entries), entries)
            yield Output(topics.DISCLOSURES, customer.encode(), value)

    def recall(self, recipient: Recipient, name: Pseudonym, standing: Standing) -> Iterable[Output]:
        """A tombstone, and what the partner has to do; no disclosure, for it is not known about whom."""
        held = Held(name, 0, recipient.contract, (), b"", (), (), None)
        party = FormerPartnership(recipient.partner, recipient.acknowledge_within_ms)
        where = Pointer(topics.customers(recipient.partner), self.partition, standing.offset)
        decided = Decided(CustomerId(name), ((party, Recalled(held, Reason.NO_PROFILE)),), (where,), self.now)
        return (one for one in output.outputs(decided, self.writers) if one.topic != topics.DISCLOSURES)

    def _held(self, customer: CustomerId, partner: PartnerId, held: Held) -> bytes:
        known = msgspec.structs.replace(held, consents=(), rules=(), expires_at=None)
        return self.writers.disclosure.entry(partner, "SHARED", known, self._decision(customer, partner, "SHARED"))

    def _recalled(self, customer: CustomerId, partner: PartnerId, held: Held) -> bytes:
        decision = self._decision(customer, partner, "RECALLED")
        return self.writers.disclosure.recalled(partner, None, held, decision)

    def _decision(self, customer: CustomerId, partner: PartnerId, action: str) -> str:
        return keys.decision_id(self.writers.decision_key, customer, partner, action, str(self.now))
