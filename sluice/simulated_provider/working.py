"""The provider at work, with its own credentials: it holds its customer topic, and answers requests once each."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sluice import topics
from sluice.avro import Writer
from sluice.kafka import group_offsets
from sluice.kafka.admin import topic_identities
from sluice.kafka.clients import ClientConfig, admin_client
from sluice.kafka.publishing import write_records
from sluice.kafka.tailing import Tail
from sluice.log import Record
from sluice.model import PartnerId
from sluice.partitioning import partition_of
from sluice.registry import Registry
from sluice.simulated_provider import email_house, hygiene

Said = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Manners:
    """How well it works."""

    latency_s: float = 0
    """Between looking into what it holds and answering."""
    garbage: float = 0
    """Share of its replies that are wrong, each in another way."""
    silence: float = 0
    """Share of the requests that it never answers."""
    seed: int = 0


@dataclass(slots=True)
class Provider:
    """What was answered is remembered as a group's offsets; after a crash it is answered again, to no effect."""

    client: ClientConfig
    name: PartnerId
    registry: Registry
    tail: Tail
    """Of its customers and its requests."""
    writer: Writer
    manners: Manners
    say: Callable[[str], None]
    held: dict[str, Said] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    """What it did, by name."""

    @property
    def group(self) -> str:
        return topics.partner_group(self.name, "simulator")

    def turn(self, wait_seconds: float, answer: Callable[[Provider, Said], Iterable[Said | bytes]], topic: str) -> None:
        """Everything that has come is answered into `topic`. Raises KafkaTrouble."""
        requests = self._read(self.tail.poll(wait_seconds))
        if not requests:
            return
        self.tail.extend()  # what a request is about, and recalls, are there by now
        requests += self._read(list(self.tail.to_the_end()))
        asked = topics.requests(self.name)
        reached = group_offsets.reached(self.client, self.group, asked, {one.partition for one in requests})
        fresh = [one for one in requests if one.offset >= reached[one.partition]]
        answers = [said for one in fresh for said in answer(self, self.registry.decode(one.value))]
        if fresh:
            if self.manners.latency_s:
                self.say(f"{len(answers)} answers, to be given in {self.manners.latency_s:g} seconds")
                time.sleep(self.manners.latency_s)
            self._write(topic, answers)
            group_offsets.reach(self.client, self.group, asked, {one.partition: one.offset + 1 for one in fresh})

    def _read(self, records: Iterable[Record]) -> list[Record]:
        """Those that are requests; what it holds is folded."""
        requests = []
        for record in records:
            if record.topic == topics.requests(self.name):
                requests.append(record)
            elif record.value is None:
                self.held.pop((record.key or b"").decode(), None)
            else:
                self.held[(record.key or b"").decode()] = self.registry.decode(record.value)
        return requests

    def _write(self, topic: str, answers: Iterable[Said | bytes]) -> None:
        (identity,) = topic_identities(admin_client(self.client), (topic,))
        records = []
        for said in answers:
            key = b"garbage" if isinstance(said, bytes) else str(said["customer"]).encode()
            value = said if isinstance(said, bytes) else self.writer.write(dict(said))
            records.append((Record(topic, 0, 0, key, value, 0), partition_of(key, identity.partitions)))
        write_records(self.client, records)


def reply(house: Provider, request: Said) -> Iterator[Said | bytes]:
    """To a request about one customer whom the provider holds, at most one reply."""
    record = house.held.get(request["customer"])
    chance = random.Random(f"{house.manners.seed}/{request['request_id']}")  # noqa: S311 - a simulator's dice
    if record is None:
        house.done["not held any more"] += 1
    elif chance.random() < house.manners.silence:
        house.done["left unanswered"] += 1
    else:
        said = {
            "reply_id": f"reply-{request['request_id']}",
            "request_id": request["request_id"],
            "customer": request["customer"],
            "values": hygiene.standardised(record),
        }
        wrong = chance.random() < house.manners.garbage
        house.done["wrong" if wrong else "answered"] += 1
        yield chance.choice(_GARBAGE)(said) if wrong else said


def send(house: Provider, request: Said) -> Iterator[Said]:
    """The returns that come of a campaign that may still be sent."""
    if request["expires_at"] <= _now_ms():
        house.done["too late"] += 1
        return
    for name in [*email_house.chosen(house.held, request["segment"])]:
        house.done["sent"] += 1
        kind = email_house.came_of(request["campaign"], name)
        if kind is not None:
            house.done[kind.lower()] += 1
            return_id = f"{request['request_id']}/{name}"
            yield {"return_id": return_id, "type": kind, "customer": name, "channel": "email", "at": _now_ms()}


_GARBAGE: tuple[Callable[[dict[str, Any]], Said | bytes], ...] = (
    lambda said: {**said, "values": [*said["values"], {"field": "religion", "value": "Shinto"}]},
    lambda said: {**said, "values": [{"field": "deliverability", "value": "perhaps"}]},
    lambda said: {**said, "values": [{"field": "moved_on", "value": "last summer"}]},
    lambda said: {**said, "request_id": "made up"},
    lambda said: {**said, "customer": "nobody"},
    lambda _said: b"no record at all",
)
"""Ways to be wrong."""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
