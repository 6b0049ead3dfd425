"""What is written: requests, enrichments, erasures, pointers to what was not taken in. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from sluice import topics
from sluice.avro import Writer
from sluice.log import Written
from sluice.model import CustomerId, Millis, PartnerId
from sluice.partitioning import partition_of
from stream_processors.providers.asking import Asked, TakenBack
from stream_processors.providers.book import Appended
from stream_processors.providers.deciding import Discarded, Outcome, Refused, TakenIn
from stream_processors.providers.reply import Arrival, RefusedFor

_ERASE = (
    "You have replied about a customer who was recalled: erase all that you have of it and all that you made of it."
)


@dataclass(frozen=True, slots=True)
class Writers:
    requests: Mapping[PartnerId, Writer]
    control: Mapping[PartnerId, Writer]
    enrichment: Writer
    refused: Writer
    partitions: int

    def outcome(self, arrival: Arrival, outcome: Outcome, within_ms: int) -> Iterator[Written]:
        """`within_ms`: how long the provider has to carry out an erasure."""
        match outcome:
            case TakenIn():
                yield self._enrichment(outcome.customer, outcome.appended)
            case Discarded():
                yield self._erasure(arrival, outcome, Millis(arrival.logged_at + within_ms))
                yield self._pointer(arrival, RefusedFor.WITHDRAWN)
            case Refused(cause=cause):
                yield self._pointer(arrival, cause)

    def change(self, change: Asked | TakenBack) -> Written:
        match change:
            case TakenBack():
                return self._enrichment(change.customer, change.left)
            case Asked(request=request, holding=holding):
                value = self.requests[holding.partner].write({**msgspec.structs.asdict(request), **_NO_CAMPAIGN})
                topic = topics.requests(holding.partner)
                return Written(topic, self._place(change.customer), request.customer.encode(), value)

    def _enrichment(self, customer: CustomerId, appended: tuple[Appended, ...]) -> Written:
        record = {"appended": [msgspec.structs.asdict(one) for one in appended]}
        value = self.enrichment.write(record) if appended else None
        return Written(topics.ENRICHMENTS, self._place(customer), customer.encode(), value)

    def _erasure(self, arrival: Arrival, outcome: Discarded, deadline: Millis) -> Written:
        """Of the recall itself, so that whoever acknowledges either has acknowledged it."""
        message = {
            "decision_id": outcome.recall,
            "type": "ERASE",
            "customer": (arrival.key or b"").decode(),
            "action": _ERASE,
            "deadline": deadline,
            "issued_at": arrival.logged_at,
        }
        topic, value = topics.control(arrival.provider), self.control[arrival.provider].write(message)
        return Written(topic, self._place(outcome.customer), arrival.key or b"", value)

    def _pointer(self, arrival: Arrival, cause: RefusedFor) -> Written:
        record = {
            **arrival.where._asdict(),
            "cause": cause.value,
            "schema_id": None,
            "partner": arrival.provider,
            "detected_at": arrival.logged_at,
        }
        key = str(arrival.where).encode()
        return Written(topics.REFUSED_REPLIES, arrival.where.partition, key, self.refused.write(record))

    def _place(self, customer: CustomerId) -> int:
        return partition_of(customer.encode(), self.partitions)


_NO_CAMPAIGN = {"campaign": None, "segment": None}
