"""Customers and consents from the topics, as far as they are committed now; nothing is written, no group is joined."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from sluice import topics
from sluice.avro import Decode, Undecodable
from sluice.connection_files import Connection
from sluice.errors import SluiceError
from sluice.kafka.tailing import Tail
from sluice.log import Record
from sluice.model import CustomerId
from sluice.projection import Snapshot
from sluice.registry import Registry, RegistryUnavailable
from sluice.settings import Settings
from sluice.store import Row
from stream_processors.review import shards
from stream_processors.review.shards import Dealer
from stream_processors.review.subject import Dealt, Problem, Subject
from stream_processors.sharing import folding
from stream_processors.sharing.pipeline import DELETED, NO_PROFILE, UNREADABLE, Profile

USER: Final = "sharing"
"""The client that may read both inputs."""

_NAMES = {topics.CUSTOMER_UPDATES: "updates", topics.CONSENT_EVENTS: "consents"}
_AFTER_ALL_CUSTOMERS = 1 << 60
_PARTITION_BITS = 44
_RECORDS_BETWEEN_UPDATES = 2_000
_TYPICAL_BYTES = 512
"""Of a record, to choose the number of shards by."""


class Entry(msgspec.Struct, array_like=True, gc=False):
    """A record on its way to its shard."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    customer: str

    @property
    def record(self) -> Record:
        return Record(self.topic, self.partition, self.offset, self.key, self.value, self.timestamp)

    @property
    def order(self) -> int:
        return self.partition << _PARTITION_BITS | self.offset


@dataclass(frozen=True, slots=True)
class TopicInputs:
    """Both topics, dealt out to shards in a folder."""

    registry: Connection
    folder: Path

    def subjects(self, shard: int) -> Iterator[Subject | Problem]:
        with closing(Registry(self.registry)) as registry:
            yield from folded(self.folder, shard, registry.decode)


def folded(folder: Path, shard: int, decode: Decode) -> Iterator[Subject | Problem]:
    """The shard's customers in their order. Raises SluiceError when the registry does not answer."""
    updates = _entries(folder, topics.CUSTOMER_UPDATES, shard)
    answers = _entries(folder, topics.CONSENT_EVENTS, shard)
    for customer, entries in sorted(updates.items(), key=_order):
        yield from subject_of(entries[0].order, customer, entries, answers.pop(customer, []), decode)
    for customer, entries in sorted(answers.items(), key=_order):
        yield from subject_of(_AFTER_ALL_CUSTOMERS + entries[0].order, customer, [], entries, decode)


def _entries(folder: Path, topic: str, shard: int) -> dict[str, list[Entry]]:
    file = shards.path(folder, _NAMES[topic], shard)
    return shards.grouped((entry.customer, entry) for entry in shards.dealt(file, Entry))


def deal_topics(settings: Settings, folder: Path, on_records: Callable[[int, int], None]) -> Dealt:
    """Both topics dealt out, to the ends that stand when it begins. `on_records` is told how many of how many.

    Raises SluiceError.
    """
    group = settings.sharing.group  # never joined: see sluice.kafka.clients.reader
    with Tail(settings.client(USER), list(_NAMES), group, from_beginning=True) as tail:
        span = tail.span
        count = shards.count(span * _TYPICAL_BYTES)
        problems = deal_records(_followed(tail, span, on_records), count, folder, settings)
    return Dealt(TopicInputs(settings.registry(), folder), count, tuple(problems))


def deal_records(records: Iterable[Record], count: int, folder: Path, settings: Settings) -> list[Problem]:
    """Each record to the shard of its customer; the problems are of those that name nobody."""
    problems: list[Problem] = []
    with ExitStack() as stack:
        dealers = {topic: stack.enter_context(Dealer(folder, name, count)) for topic, name in _NAMES.items()}
        for record in records:
            found = _named(record, settings)
            if isinstance(found, Problem):
                problems.append(found)
            elif found is not None:
                dealers[record.topic].deal(found, Entry(*record, found))
    return problems


def _followed(tail: Tail, span: int, on_records: Callable[[int, int], None]) -> Iterator[Record]:
    for read, record in enumerate(tail.to_the_end()):
        if read % _RECORDS_BETWEEN_UPDATES == 0:
            on_records(read, span)
        yield record


def _named(record: Record, settings: Settings) -> str | Problem | None:
    """Whom a record is about; None: nobody, and an operator knows it."""
    customer = folding.named(record, settings.partitions)
    if isinstance(customer, folding.Misplaced):
        return _problem(record, "The record lies in the wrong partition.", nameless=True)
    if customer is not None or str(folding.pointer(record)) in settings.sharing.acknowledged:
        return customer
    return _problem(record, "The record's key names nobody.", nameless=True)


def _order(item: tuple[str, list[Entry]]) -> int:
    return item[1][0].order


def subject_of(
    order: int, name: str, updates: list[Entry], answers: list[Entry], decode: Decode
) -> Iterator[Subject | Problem]:
    customer = CustomerId(name)
    row = Row()
    for entry in answers:
        row, cause = folding.with_consent(row, customer, folding.consent_in(entry.record), decode)
        if cause is not None:
            yield _problem(entry.record, f"The consent event cannot be used: {cause}.")
    for entry in updates:
        row = folding.with_update(row, entry.record)
    profile = _profile(row, decode)
    if profile is UNREADABLE:
        yield _problem(updates[-1].record, "The update cannot be decoded.")
    yield Subject(order, customer, row, profile)


def _profile(row: Row, decode: Decode) -> Profile:
    if row.profile is None:
        return DELETED if row.deleted else NO_PROFILE
    try:
        return Snapshot(decode(row.profile))
    except Undecodable:
        return UNREADABLE
    except RegistryUnavailable:
        raise SluiceError("The schema registry does not answer, so profiles cannot be read: is it running?") from None


def _problem(record: Record, sentence: str, *, nameless: bool = False) -> Problem:
    return Problem(f"{record.topic}/{record.partition}", record.offset, sentence, nameless)
