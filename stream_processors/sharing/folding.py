"""What a record of each log does to a customer's row. Pure: the live loop, a gap and a rebuild fold alike."""

from __future__ import annotations

from typing import Any

import msgspec

from sluice.avro import Record as AvroRecord
from sluice.consent import ConsentEvent
from sluice.errors import SluiceError
from sluice.kafka.clients import Record
from sluice.model import CustomerId, Held, Millis, PartnerId, Pointer, Pseudonym
from sluice.partitioning import partition_of
from sluice.store import Row


class Misplaced(SluiceError):
    """The record's key belongs into another partition: its writer partitions by another rule than murmur2."""

    def __init__(self, where: Pointer, rightful: int) -> None:
        super().__init__(
            f"The record {where} belongs into partition {rightful}: its producer does not partition by murmur2 "
            "(librdkafka: partitioner=murmur2_random). Correct the producer, publish the customer again, and delete "
            "the misplaced record; nothing can be shared before."
        )


def customer_of(record: Record, partitions: int) -> CustomerId | None:
    """The customer that a record's key names; None if it names nobody. Raises Misplaced."""
    if not record.key:
        return None
    try:
        customer = CustomerId(record.key.decode())
    except UnicodeDecodeError:
        return None
    rightful = partition_of(record.key, partitions)
    if rightful != record.partition:
        raise Misplaced(pointer(record), rightful)
    return customer


def pointer(record: Record) -> Pointer:
    return Pointer(record.topic, record.partition, record.offset)


def with_update(row: Row, record: Record) -> Row:
    """The newest update replaces what was there; a null deletes."""
    return msgspec.structs.replace(row, profile=record.value, deleted=record.value is None)


def with_consent(row: Row, event: ConsentEvent) -> Row:
    return msgspec.structs.replace(row, consents=row.consents.with_event(event))


def with_unreadable_consent(row: Row, where: Pointer) -> Row:
    return msgspec.structs.replace(row, consents=row.consents.with_unreadable(str(where)))


def with_disclosure(row: Row, disclosure: AvroRecord) -> Row:
    """`held` is the fold of disclosures and nothing else (LOOP 16)."""
    held = dict(row.held)
    for entry in disclosure["entries"]:
        partner = PartnerId(entry["partner"])
        if entry["action"] == "RECALLED":
            held.pop(partner, None)
        else:
            held[partner] = _held(entry)
    return msgspec.structs.replace(row, held=held)


def _held(entry: dict[str, Any]) -> Held:
    return Held(
        pseudonym=Pseudonym(entry["pseudonym"]),
        key_epoch=entry["key_epoch"],
        contract=entry["contract"],
        fields=tuple(entry["fields"]),
        digest=entry["digest"],
        consents=tuple(entry["consents"]),
        expires_at=None if entry["expires_at"] is None else Millis(entry["expires_at"]),
    )
