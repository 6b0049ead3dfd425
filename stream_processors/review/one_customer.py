"""One customer out of recorded inputs: everything that was said of and by them, and what partners hold."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from msgspec.structs import replace

from sluice import topics
from sluice.kafka.tailing import Tail
from sluice.model import CustomerId
from sluice.partitioning import partition_of
from sluice.registry import Registry
from sluice.settings import Settings
from sluice.store import Row
from stream_processors.review import shards
from stream_processors.review.recorded_files import Files, deal_files
from stream_processors.review.recorded_topics import USER, Entry, subject_of
from stream_processors.review.simulation import scratch
from stream_processors.review.subject import Problem, Subject
from stream_processors.sharing import folding

Found = tuple[Subject | None, list[Problem]]
"""The customer, if the inputs know them, and what of theirs could not be read."""


def in_files(files: Files, customer: CustomerId, on_bytes: Callable[[int], None]) -> Found:
    """Raises SluiceError when a file cannot be read at all."""
    with scratch() as folder:
        dealt = deal_files(files, folder, on_bytes)
        found = list(dealt.inputs.subjects(shards.shard_of(customer, dealt.shards)))
    return next((one for one in found if isinstance(one, Subject) and one.customer == customer), None), []


def in_topics(settings: Settings, customer: CustomerId, on_records: Callable[[int, int], None]) -> Found:
    """From the customer's partition of both inputs and of the disclosures, as committed now. Raises SluiceError."""
    key = customer.encode()
    wanted = (topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS, topics.DISCLOSURES)
    records: dict[str, list[Entry]] = {topic: [] for topic in wanted}
    number = partition_of(key, settings.partitions)
    with Tail(settings.client(USER), wanted, settings.sharing.group, from_beginning=True, partition=number) as tail:
        span = tail.span
        for read, record in enumerate(tail.to_the_end()):
            on_records(read, span)
            if record.key == key:
                records[record.topic].append(Entry(*record, customer))
    updates, answers = records[topics.CUSTOMER_UPDATES], records[topics.CONSENT_EVENTS]
    with closing(Registry(settings.registry())) as registry:
        told = list(subject_of(0, customer, updates, answers, registry.decode)) if updates or answers else []
        held = Row()
        for entry in records[topics.DISCLOSURES]:
            held = folding.with_disclosure(held, registry.decode(entry.value))
    subject = next((one for one in told if isinstance(one, Subject)), None)
    if subject is not None:
        subject = Subject(0, customer, replace(subject.row, held=held.held), subject.profile)
    return subject, [one for one in told if isinstance(one, Problem)]
