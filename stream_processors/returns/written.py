"""What outcomes become on the way out: consent events, accepted returns, pointers to refused ones. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

import msgspec

from sluice import pauses, topics
from sluice.avro import Writer
from sluice.log import Written
from sluice.model import Millis, PartnerId
from sluice.partitioning import partition_of
from stream_processors.returns.deciding import Accepted, Acknowledged, Noted, Outcome, Refused, Settled, Unsubscribed
from stream_processors.returns.partner_return import Arrival, RefusedFor


@dataclass(frozen=True, slots=True)
class Writers:
    consent: Writer
    accepted: Writer
    refused: Writer
    partitions: int

    def consents(self, outcome: Outcome) -> Iterator[Written]:
        """To be there before `records`: what is accepted once is not decided again."""
        if isinstance(outcome, Unsubscribed):
            key = outcome.customer.encode()
            value = self.consent.write(outcome.event)
            yield Written(topics.CONSENT_EVENTS, partition_of(key, self.partitions), key, value)

    def records(self, arrival: Arrival, outcome: Outcome) -> Iterator[Written]:
        match outcome:
            case Acknowledged() | Unsubscribed() | Noted():
                yield self._accepted(outcome)
            case Refused(cause=cause):
                yield self._refused(arrival, cause)
            case Settled():
                return
            case _:
                assert_never(outcome)

    def _accepted(self, outcome: Accepted) -> Written:
        key = outcome.customer.encode()
        value = self.accepted.write(msgspec.structs.asdict(outcome.accepted))
        return Written(topics.ACCEPTED_RETURNS, partition_of(key, self.partitions), key, value)

    def _refused(self, arrival: Arrival, cause: RefusedFor) -> Written:
        """A pointer; the same one whenever the return is read."""
        record = {
            **arrival.where._asdict(),
            "cause": cause.value,
            "schema_id": None,
            "partner": arrival.partner,
            "detected_at": arrival.logged_at,
        }
        key, value = str(arrival.where).encode(), self.refused.write(record)
        return Written(topics.REFUSED_RETURNS, arrival.where.partition, key, value)


def pause(partner: PartnerId, since: Millis | None) -> Written:
    """None: it is over."""
    return Written(topics.PAUSES, 0, partner.encode(), pauses.encode(since))
