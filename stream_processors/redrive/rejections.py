"""The pointers in `sluice.rejected`: read, selected and counted. They hold nothing of what they point to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

import msgspec

from sluice import topics
from sluice.avro import Decode, Undecodable
from sluice.errors import SluiceError
from sluice.kafka.clients import ClientConfig
from sluice.kafka.tailing import Tail
from sluice.log import Record
from sluice.model import Millis, Pointer
from stream_processors.sharing import folding

_PLACE = re.compile(r"([A-Za-z0-9._-]+)/([0-9]+)@([0-9]+)")


class Rejection(msgspec.Struct, frozen=True):
    """One pointer, as schemas/rejected has it."""

    topic: str
    partition: int
    offset: int
    cause: str
    """A sluice.model.Cause, or one of a later version."""
    schema_id: int | None
    partner: str | None
    """Whose record could not be made; None: the input was refused as a whole."""
    detected_at: Millis

    @property
    def where(self) -> Pointer:
        return Pointer(self.topic, self.partition, self.offset)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which pointers are meant; what is empty or None selects all."""

    causes: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    partners: frozenset[str] = frozenset()
    since: Millis | None = None
    places: frozenset[Pointer] = frozenset()

    def holds(self, one: Rejection) -> bool:
        pairs = (
            (self.causes, one.cause),
            (self.topics, one.topic),
            (self.partners, one.partner),
            (self.places, one.where),
        )
        recent = self.since is None or one.detected_at >= self.since
        return recent and all(not wanted or found in wanted for wanted, found in pairs)


@dataclass(slots=True)
class Group:
    """Pointers that are alike."""

    cause: str
    topic: str
    partner: str | None
    first: Millis
    last: Millis
    count: int = 0

    def add(self, one: Rejection) -> None:
        self.count += 1
        self.first, self.last = min(self.first, one.detected_at), max(self.last, one.detected_at)


def grouped(found: Iterable[Rejection]) -> list[Group]:
    """By cause, topic and partner; the largest first."""
    groups: dict[tuple[str, str, str | None], Group] = {}
    for one in found:
        key = (one.cause, one.topic, one.partner)
        groups.setdefault(key, Group(*key, first=one.detected_at, last=one.detected_at)).add(one)
    return sorted(groups.values(), key=lambda group: (-group.count, group.cause, group.topic, group.partner or ""))


class Newest:
    """Remembers the newest of what goes by, at most so many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[tuple[Millis, int, Rejection]] = []

    def remembering(self, found: Iterable[Rejection]) -> Iterator[Rejection]:
        for number, one in enumerate(found):
            heappush(self._kept, (one.detected_at, number, one))
            if len(self._kept) > self._most:
                heappop(self._kept)
            yield one

    def listed(self) -> list[Rejection]:
        """In the order of their times."""
        return [one for _, _, one in sorted(self._kept, key=lambda kept: kept[:2])]


def place(written: str) -> Pointer:
    """`topic/partition@offset`. Raises SluiceError."""
    match = _PLACE.fullmatch(written)
    if match is None:
        raise SluiceError(f"--pointer {written} is no place such as {topics.CUSTOMER_UPDATES}/0@17.")
    return Pointer(match[1], int(match[2]), int(match[3]))


def recorded(
    client: ClientConfig, group: str, decode: Decode, on_records: Callable[[int, int], None]
) -> Iterator[Rejection]:
    """All that are there now, partition by partition in order. Raises SluiceError.

    `group` is never joined: see sluice.kafka.clients.reader.
    """
    with Tail(client, (topics.REJECTED,), group, from_beginning=True) as tail:
        span = tail.span
        for read, record in enumerate(tail.to_the_end()):
            on_records(read, span)
            yield _rejection(record, decode)


def _rejection(record: Record, decode: Decode) -> Rejection:
    try:
        return msgspec.convert(decode(record.value), Rejection)
    except (Undecodable, msgspec.ValidationError):
        raise SluiceError(f"{folding.pointer(record)} is no pointer to a rejected record.") from None
