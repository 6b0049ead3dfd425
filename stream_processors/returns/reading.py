"""Bringing a book up to date: the logs that it is the fold of, read without a group; the edge of `book`."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sluice import pauses, recorded_set, topics
from sluice.avro import Decode, Undecodable
from sluice.errors import SluiceError
from sluice.kafka.clients import ClientConfig
from sluice.log import Record
from sluice.model import CustomerId
from sluice.recorded_set import RecordedSet
from stream_processors.following import Following, nothing
from stream_processors.returns.book import AcceptedReturn, Agreements, Book, Conditions

LOGS = (topics.CONTRACT_SETS, topics.DISCLOSURES, topics.ACCEPTED_RETURNS, topics.PAUSES)

USER = "returns"


class Reading(Following):
    """A book, and the logs that it is the fold of."""

    def __init__(self, client: ClientConfig, group: str, decode: Decode, heard: Callable[[], None] = nothing) -> None:
        self.book = Book()
        super().__init__(client, LOGS, group, lambda record: fold(self.book, record, decode), heard)


def fold(book: Book, record: Record, decode: Decode) -> None:
    """Raises RegistryUnavailable, and SluiceError for a record of ours that cannot be read."""
    key = (record.key or b"").decode()
    try:
        match record.topic:
            case topics.DISCLOSURES:
                book.disclose(CustomerId(key), decode(record.value))
            case topics.ACCEPTED_RETURNS:
                book.accept(msgspec.convert(decode(record.value), AcceptedReturn))
            case topics.CONTRACT_SETS:
                book.agree(agreements(recorded_set.decode(record.key, record.value)))
            case topics.PAUSES:
                pauses.fold(book.paused, record)
    except (Undecodable, msgspec.MsgspecError, pauses.Unreadable):
        place = f"{record.topic}/{record.partition}@{record.offset}"
        raise SluiceError(f"{place} cannot be read: nobody but Sluice may write to this topic; restore it.") from None


def agreements(recorded: RecordedSet) -> Agreements:
    conditions = {
        contract.partner: Conditions(contract.kind, contract.purpose, contract.limits.pause_when_overdue)
        for contract in recorded_set.contracts(recorded)
    }
    return Agreements(
        recorded.digest, {one.partner: one.acknowledge_within_ms for one in recorded.partners}, conditions
    )
