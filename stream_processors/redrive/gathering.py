"""What rejected records are, and all that the topics say of their customers; nothing of anybody else is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from sluice import topics
from sluice.avro import Decode, Undecodable
from sluice.avro import Record as AvroRecord
from sluice.errors import SluiceError
from sluice.kafka.ranges import Ranges
from sluice.log import Record
from sluice.model import CustomerId, Pointer
from sluice.store import Row
from stream_processors.redrive.deciding import Source
from stream_processors.sharing import folding

INPUTS = (topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS)
_TO_THE_END = 1 << 62


@dataclass(slots=True)
class Known:
    """Some customers, as the logs of their partitions have them."""

    rows: dict[CustomerId, Row] = field(default_factory=dict)
    newest: dict[CustomerId, int] = field(default_factory=dict)
    """Offset of the newest update."""

    def fold(self, record: Record, decode: Decode) -> None:
        """Raises RegistryUnavailable, and SluiceError for a disclosure that cannot be read."""
        customer = CustomerId((record.key or b"").decode())
        row = self.rows[customer]
        if record.topic == topics.CUSTOMER_UPDATES:
            self.newest[customer] = record.offset
            self.rows[customer] = folding.with_update(row, record)
        elif record.topic == topics.CONSENT_EVENTS:
            self.rows[customer], _ = folding.with_consent(row, customer, folding.consent_in(record), decode)
        else:
            self.rows[customer] = folding.with_disclosure(row, _disclosure(record, decode))


def gather(
    places: Iterable[Pointer], ranges: Ranges, decode: Decode, partitions: int, on_records: Callable[[int], None]
) -> Mapping[Pointer, Source]:
    """Each rejected record and its customer, as committed now. Raises SluiceError.

    First the records are read, for nobody but they say whom they are about; then those customers' partitions from
    their beginning, for what a customer said is the set of all answers.
    """
    wanted = {place for place in places if place.topic in INPUTS}
    found = {folding.pointer(record): record for record in _records(wanted, ranges)}
    named = {place: folding.named(record, partitions) for place, record in found.items()}
    known = Known({customer: Row() for customer in named.values() if isinstance(customer, str)})
    read = 0
    keys = {customer.encode() for customer in known.rows}
    for number in sorted({place.partition for place, customer in named.items() if isinstance(customer, str)}):
        for topic in (*INPUTS, topics.DISCLOSURES):
            for record in ranges.read(topic, number, 0, _TO_THE_END):
                read += 1
                on_records(read)
                if record.key in keys:
                    known.fold(record, decode)
    return {place: _source(found.get(place), named.get(place), known) for place in places}


def _records(places: Iterable[Pointer], ranges: Ranges) -> Iterable[Record]:
    """Of each partition in one go, from the first of its places to the last."""
    by_partition: dict[tuple[str, int], set[int]] = {}
    for place in places:
        by_partition.setdefault((place.topic, place.partition), set()).add(place.offset)
    for (topic, number), offsets in sorted(by_partition.items()):
        for record in ranges.read(topic, number, min(offsets), max(offsets) + 1):
            if record.offset in offsets:
                yield record


def _source(record: Record | None, named: object, known: Known) -> Source:
    if not isinstance(named, str):
        return Source(record)
    customer = CustomerId(named)
    return Source(record, known.rows[customer], known.newest.get(customer))


def _disclosure(record: Record, decode: Decode) -> AvroRecord:
    try:
        return decode(record.value)
    except Undecodable:
        raise SluiceError(f"The disclosure {folding.pointer(record)} cannot be read: restore it.") from None
