"""Bringing a book up to date: the logs that it is the fold of, read without a group; the edge of `book`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from sluice import pauses, recorded_set, topics
from sluice.avro import Undecodable
from sluice.errors import SluiceError
from sluice.kafka.clients import ClientConfig
from sluice.kafka.tailing import Tail
from sluice.log import Record
from sluice.model import CustomerId
from sluice.recorded_set import RecordedSet
from stream_processors.returns.book import AcceptedReturn, Agreements, Book, Conditions
from stream_processors.returns.partner_return import Decode

LOGS = (topics.CONTRACT_SETS, topics.DISCLOSURES, topics.ACCEPTED_RETURNS, topics.PAUSES)

USER = "returns"
_POLL_SECONDS = 0.2


class Reading:
    """A book, and the logs that it is read from, from their beginning. Not for use by several threads at once."""

    def __init__(self, client: ClientConfig, group: str, decode: Decode) -> None:
        """`group` is never joined: see `sluice.kafka.clients.reader`. Raises KafkaTrouble."""
        self.book = Book()
        self._decode = decode
        self._tail = Tail(client, LOGS, group, from_beginning=True)
        self._unfolded: deque[Record] = deque()

    def catch_up(self) -> None:
        """The book knows everything that was written before now. Raises KafkaTrouble, RegistryUnavailable."""
        self._tail.extend_to_the_last()
        while not self._tail.is_at_the_end:
            self._fold(self._tail.poll(_POLL_SECONDS))
        self._fold(())

    def look(self) -> None:
        """The book knows what has come. Raises KafkaTrouble, RegistryUnavailable."""
        self._fold(self._tail.poll(0))

    def close(self) -> None:
        self._tail.close()

    def _fold(self, records: Iterable[Record]) -> None:
        """What cannot be folded yet, because the registry is away, waits its turn."""
        self._unfolded.extend(records)
        while self._unfolded:
            fold(self.book, self._unfolded[0], self._decode)
            self._unfolded.popleft()


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
