"""How far partners have read what is theirs, by what their consumer groups have committed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from sluice import topics
from sluice.kafka import admin
from sluice.kafka.admin import Partition
from sluice.kafka.clients import ClientConfig, admin_client
from sluice.kafka.group_offsets import committed_by
from sluice.model import PartnerId

Offsets = Mapping[Partition, int]
_MOST_GROUPS = 20
"""Of one partner: who takes a new name for every start leaves hundreds behind, and they have no members."""
_MARKER = 1
"""A transaction ends with a record that no consumer is given, and none commits past it: it waits for nobody."""


@dataclass(frozen=True, slots=True)
class Reader:
    """One partner, by that group of it which is farthest in each partition: it may read its topics with several."""

    unread: int
    """Records, about: what compaction has removed, and what other transactions have ended with, counts too."""
    stalled_seconds: Mapping[str, float]
    """By topic, for how long nothing was read although records wait: recalls may wait behind none but themselves."""


class Readership:
    def __init__(self, client: ClientConfig, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._monotonic = monotonic
        self._moved: dict[str, tuple[int, float]] = {}
        """By topic: what was read altogether, and when that last became more, or nothing waited."""

    def look(self, partners: Collection[PartnerId]) -> dict[PartnerId, Reader]:
        """Of those whose topics this user may look at. Raises KafkaTrouble."""
        broker = admin_client(self._client)
        there = admin.topic_names(broker)
        partners = [partner for partner in partners if there.issuperset(_theirs(partner))]
        found = admin.topic_identities(broker, [topic for partner in partners for topic in _theirs(partner)])
        ends = admin.stable_ends(broker, [(topic.name, n) for topic in found for n in range(topic.partitions)])
        groups = admin.groups(broker)
        readers = {}
        for partner in partners:
            own = {place: end for place, end in ends.items() if place[0] in _theirs(partner)}
            reached = [committed_by(self._client, name, own) for name in most_telling(partner, groups)]
            readers[partner] = self.reader(own, reached)
        self._moved = {topic: self._moved[topic] for partner in readers for topic in _theirs(partner)}
        return readers

    def forget(self) -> None:
        """Since when nobody read on: while nobody could be asked, nobody could read either."""
        self._moved.clear()

    def reader(self, ends: Offsets, reached: Collection[Offsets]) -> Reader:
        """`ends` of one partner's topics; `reached`: what each of its groups has committed."""
        farthest = {place: max((one.get(place, 0) for one in reached), default=0) for place in ends}
        unread: Counter[str] = Counter()
        read: Counter[str] = Counter()
        for (topic, number), end in ends.items():
            unread[topic] += max(end - farthest[topic, number] - _MARKER, 0)
            read[topic] += farthest[topic, number]
        return Reader(unread.total(), {topic: self._stalled(topic, read[topic], unread[topic]) for topic in read})

    def _stalled(self, topic: str, read: int, unread: int) -> float:
        now = self._monotonic()
        before, since = self._moved.get(topic, (read, now))
        if read > before or not unread:
            since = now
        self._moved[topic] = read, since
        return now - since


def most_telling(partner: PartnerId, groups: Mapping[str, bool]) -> list[str]:
    """Those of the partner's groups that are asked. `groups`: whether each has members; those that have come first.

    Of the others the last by name do, for many a name ends with a time.
    """
    own = sorted((name for name in groups if name.startswith(topics.partner_group(partner, ""))), reverse=True)
    return sorted(own, key=lambda name: not groups[name])[:_MOST_GROUPS]


def _theirs(partner: PartnerId) -> tuple[str, str]:
    return topics.customers(partner), topics.control(partner)
