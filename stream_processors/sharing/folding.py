"""What a record of each log does to a customer's row. Pure: the live loop, a gap and a rebuild fold alike."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from sluice.avro import Decode, Undecodable
from sluice.avro import Record as AvroRecord
from sluice.consent import ConsentRecord, Contradiction, UnreadEvent, parse_event
from sluice.log import Record
from sluice.model import RESTRICTED, Cause, CustomerId, Held, Millis, PartnerId, Pointer, Pseudonym
from sluice.partitioning import partition_of
from sluice.store import Row


class Misplaced(NamedTuple):
    """The record's key belongs into another partition: its writer partitions by another rule than murmur2."""

    rightful: int


def named(record: Record, partitions: int) -> CustomerId | Misplaced | None:
    """The customer that a record's key names; None if it names nobody."""
    if not record.key:
        return None
    try:
        customer = CustomerId(record.key.decode())
    except UnicodeDecodeError:
        return None
    rightful = partition_of(record.key, partitions)
    return customer if rightful == record.partition else Misplaced(rightful)


def pointer(record: Record) -> Pointer:
    return Pointer(record.topic, record.partition, record.offset)


def with_update(row: Row, record: Record) -> Row:
    """The newest update replaces what was there; a null deletes."""
    gone = record.value is None
    return Row(record.value, gone, row.consents, row.widen_at, row.held, row.due_at)


def with_consent(row: Row, customer: CustomerId, event: UnreadEvent, decode: Decode) -> tuple[Row, Cause | None]:
    """The row with the event, or with the place where one stands that cannot be read, and why.

    Raises RegistryUnavailable.
    """
    try:
        read = parse_event(decode(event.value), customer, event.logged_at)
    except (Undecodable, Contradiction) as error:
        return with_consents(row, row.consents.with_unreadable(event.place)), error.cause
    return with_consents(row, row.consents.with_event(read, event.place)), None


def with_unread_consent(row: Row, event: UnreadEvent) -> Row:
    return with_consents(row, row.consents.with_unread(event))


def with_consents(row: Row, consents: ConsentRecord) -> Row:
    return row if consents == row.consents else msgspec.structs.replace(row, consents=consents)


def consent_in(record: Record) -> UnreadEvent:
    return UnreadEvent(str(pointer(record)), record.value or b"", Millis(record.timestamp))


def record_of(event: UnreadEvent, customer: CustomerId) -> Record:
    """The record that `consent_in` was made of."""
    place, _, offset = event.place.rpartition("@")
    topic, _, partition = place.rpartition("/")
    return Record(topic, int(partition), int(offset), customer.encode(), event.value, event.logged_at)


def with_disclosure(row: Row, disclosure: AvroRecord) -> Row:
    """`held` is the fold of disclosures and nothing else (LOOP 16)."""
    held = dict(row.held)
    for entry in disclosure["entries"]:
        partner = PartnerId(entry["partner"])
        if entry["action"] == "RECALLED":
            held.pop(partner, None)
        else:
            held[partner] = _held(entry)
    ends = [one.expires_at for one in held.values() if one.expires_at is not None]
    return msgspec.structs.replace(row, held=held, due_at=min(ends, default=None))


def _held(entry: dict[str, Any]) -> Held:
    return Held(
        pseudonym=Pseudonym(entry["pseudonym"]),
        key_epoch=entry["key_epoch"],
        contract=entry["contract"],
        fields=tuple(entry["fields"]),
        digest=entry["digest"],
        consents=tuple(entry["consents"]),
        rules=tuple(entry["rules"]),
        expires_at=entry["expires_at"],
        rectified_at=entry.get("rectified_at"),  # not in the first version of the schema
        restricted=entry["reason"] in RESTRICTED,
    )
