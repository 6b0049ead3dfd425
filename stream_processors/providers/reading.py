"""Records of the logs that a book is the fold of."""

from __future__ import annotations

import msgspec

from sluice import recorded_set, topics
from sluice.avro import Decode, Undecodable
from sluice.errors import SluiceError
from sluice.log import Record
from sluice.model import CustomerId
from sluice.recorded_set import RecordedSet
from stream_processors.providers.book import Agreements, Appended, Book, Request, Work

LOGS = (topics.CONTRACT_SETS, topics.DISCLOSURES, topics.ENRICHMENTS)
"""And the requests of each provider."""


def fold(book: Book, record: Record, decode: Decode) -> None:
    """Raises RegistryUnavailable, and SluiceError for a record of ours that cannot be read."""
    key = (record.key or b"").decode()
    try:
        match record.topic:
            case topics.CONTRACT_SETS:
                book.agree(agreements(recorded_set.decode(record.key, record.value)))
            case topics.DISCLOSURES:
                book.disclose(CustomerId(key), decode(record.value))
            case topics.ENRICHMENTS:
                found = [] if record.value is None else decode(record.value)["appended"]
                book.enrich(CustomerId(key), msgspec.convert(found, list[Appended]))
            case _:
                said = decode(record.value)
                if said["customer"] is not None:  # else a campaign, which nobody answers
                    book.ask(msgspec.convert(said, Request))
    except (Undecodable, msgspec.MsgspecError):
        place = f"{record.topic}/{record.partition}@{record.offset}"
        raise SluiceError(f"{place} cannot be read: nobody but Sluice may write to this topic; restore it.") from None


def agreements(recorded: RecordedSet) -> Agreements:
    work = {one.partner: Work(one.purpose, one.task) for one in recorded_set.contracts(recorded) if one.task}
    return Agreements({one.partner: one.acknowledge_within_ms for one in recorded.partners}, work)
