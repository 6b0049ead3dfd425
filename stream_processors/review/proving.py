"""One partition proved on a running installation: cuts taken, logs read up to them, customers looked at again.

The order in which the logs are read makes a cut consistent while the processor goes on (numbered in `_gather`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from sluice import topics
from sluice.errors import SluiceError
from sluice.kafka import admin
from sluice.kafka.clients import Broker, KafkaUnavailable, admin_client
from sluice.kafka.group_offsets import committed
from sluice.kafka.spans import Spans
from sluice.keys import load_master_key
from sluice.registry import Registry
from sluice.settings import Settings
from stream_processors.review import verification
from stream_processors.review.books import Books, Tools
from stream_processors.review.evidence import Cut
from stream_processors.review.findings import Figures
from stream_processors.review.gathering import Gathered
from stream_processors.review.recomputing import Book
from stream_processors.sharing import checkpoint
from stream_processors.sharing.checkpoint import Identity, topics_hash

USER = "admin"
"""The client that may read everything."""

_OWN_TOPICS = (topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS, topics.DISCLOSURES, topics.REJECTED)
_LOOKS = 3
"""How often a customer is looked at, at least, before it is told what could not be settled."""
_PAUSE_SECONDS = 0.5
_EVERY = 200
_PATIENCE_SECONDS = 60.0
"""For a broker that is away: it is restarted, say, while a proof runs."""

_T = TypeVar("_T")
_Ends = Callable[[Broker, Collection[admin.Partition]], dict[admin.Partition, int]]
Tell = Callable[[int, int], None]
"""How much is done, out of how much."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked of every partition. Travels to the processes that prove."""

    settings: Settings
    folder: Path
    """For the gathered records; readable by nobody else."""
    wait_seconds: float


class Proof(msgspec.Struct):
    """What came of one partition."""

    partition: int
    decided_at: int = 0
    """The processor's time at the newest cut, milliseconds since the epoch."""
    contract_set: str = ""
    settled: bool = False
    updates: int = 0
    """Offsets at the newest cut."""
    consents: int = 0
    disclosures: int = 0
    looks: int = 0
    """How many cuts were taken."""
    customers: int = 0
    figures: Figures = msgspec.field(default_factory=Figures)


class Prover:
    """One process's connection to an installation."""

    def __init__(self, task: Task) -> None:
        """Raises SluiceError."""
        settings = task.settings
        client = settings.client(USER)
        master = load_master_key(settings.master_key)
        self._task = task
        self._tools = Tools(settings, client, admin_client(client), Registry(settings.registry()), master)
        self._books = Books(self._tools)

    def prove(self, number: int, tell: Tell) -> Proof:
        """Raises SluiceError."""
        settings = self._task.settings
        admin.cluster_id(self._tools.broker)  # a broker that was never there is told at once
        deadline = time.monotonic() + self._task.wait_seconds
        with (
            Spans(self._tools.client, settings.sharing.group) as spans,
            closing(Gathered(number, settings.partitions, file_of(self._task.folder, number))) as gathered,
        ):
            look = _Look(self._tools, self._books, spans, gathered, number)
            return look.until(deadline, tell)

    def close(self) -> None:
        self._tools.registry.close()


def file_of(folder: Path, number: int) -> Path:
    """Where a partition's records are gathered."""
    return folder / f"{number}.sqlite"


def answered(ask: Callable[[], _T], renew: Callable[[], object]) -> _T:
    """What the broker says; asked again, after `renew`, while it is away. Raises KafkaUnavailable when it stays so."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except KafkaUnavailable:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
            renew()


class _Look:
    """One partition, looked at again and again."""

    def __init__(self, tools: Tools, books: Books, spans: Spans, gathered: Gathered, number: int) -> None:
        self._tools = tools
        self._books = books
        self._spans = spans
        self._gathered = gathered
        self._number = number
        self._reached: dict[str, int] = {}

    def until(self, deadline: float, tell: Tell) -> Proof:
        """At least some looks, then until nobody is left or the time is up; who is left is told as it stands."""
        proof = Proof(self._number)
        while True:
            cut = self._taken(deadline)
            book = self._answered(partial(self._books.of, cut.checkpoint.contract_set))
            self._gathered.follow(book.agreements)
            self._gather(cut, [topics.customers(partner) for partner in book.agreements], tell)
            self._gathered.move(cut)
            left = self._examined(book, proof, tell)
            proof.looks += 1
            ended = proof.looks >= _LOOKS and time.monotonic() >= deadline
            if ended or not self._gathered.count():
                proof.figures.add(left)
                self._ended(cut, proof)
                return proof
            time.sleep(_PAUSE_SECONDS)

    def _taken(self, deadline: float) -> Cut:
        """Raises SluiceError when nothing was committed in time, or not by this installation's processor."""
        settings = self._tools.settings
        names = topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS
        while True:
            at = self._answered(lambda: committed(self._tools.client, settings.sharing.group, *names, (self._number,)))
            found = at[self._number]
            if found.positions is not None:
                cut = Cut(self._number, found.positions, checkpoint.decode(found.metadata))
                checkpoint.check(cut.checkpoint.identity, self._identity())
                return cut
            if time.monotonic() >= deadline:
                raise SluiceError(
                    f"The group {settings.sharing.group} has committed nothing for partition {self._number}, so there "
                    "is nothing to prove: has `sluice run sharing` ever run here?"
                )
            time.sleep(_PAUSE_SECONDS)

    def _identity(self) -> Identity:
        tools = self._tools
        cluster = self._answered(lambda: admin.cluster_id(tools.broker))
        own = self._answered(lambda: admin.topic_identities(tools.broker, _OWN_TOPICS))
        return Identity(cluster, topics_hash(own))

    def _gather(self, cut: Cut, delivered: list[str], tell: Tell) -> None:
        """1. The three logs up to the cut.

        2. The partners' topics, to their ends after the cut was taken: the commit's own records are below them.
        3. The disclosures to their end after that: everything that was read in 2 beyond the cut is disclosed in them.
        4. The updates to their end after that: whatever compaction removed below the cut has a newer one in them.
        """
        to_the_cut = {
            topics.CUSTOMER_UPDATES: cut.positions.driving,
            topics.CONSENT_EVENTS: cut.positions.joined,
            topics.DISCLOSURES: cut.checkpoint.disclosures,
        }
        self._begin(cut, [*to_the_cut, *delivered])
        self._read(to_the_cut, tell)  # 1
        self._read(self._ends(admin.high_watermarks, delivered), tell)  # 2
        self._read(self._ends(admin.high_watermarks, [topics.DISCLOSURES]), tell)  # 3
        self._read(self._ends(admin.stable_ends, [topics.CUSTOMER_UPDATES]), tell)  # 4

    def _answered(self, ask: Callable[[], _T]) -> _T:
        return answered(ask, self._tools.renew)

    def _ends(self, asked: _Ends, names: Collection[str]) -> dict[str, int]:
        """By topic, of our partition."""
        places = [(topic, self._number) for topic in names]
        found = self._answered(lambda: asked(self._tools.broker, places))
        return {topic: end for (topic, _), end in found.items()}

    def _begin(self, cut: Cut, names: Iterable[str]) -> None:
        """Raises SluiceError when evidence was deleted."""
        firsts = {topics.CONSENT_EVENTS: 0, topics.DISCLOSURES: cut.checkpoint.evidence_from}
        new = [(topic, self._number) for topic in names if topic not in self._reached]
        lows = self._answered(lambda: admin.beginnings(self._tools.broker, new))
        for (topic, number), low in lows.items():
            if low > firsts.get(topic, low):
                raise SluiceError(
                    f"{topic}/{number} begins at offset {low}: older records were deleted, so nothing can be proved. "
                    "Restore the topic; it must keep its records for ever."
                )
            self._reached[topic] = low
        self._spans.open(lows)

    def _read(self, stops: dict[str, int], tell: Tell) -> None:
        further = {topic: stop for topic, stop in stops.items() if stop > self._reached[topic]}
        span = sum(stop - self._reached[topic] for topic, stop in further.items())
        tell(0, span)
        records = self._spans.read({(topic, self._number): stop for topic, stop in further.items()})
        self._gathered.add(records, lambda done: tell(done, span))
        self._reached |= further

    def _examined(self, book: Book, proof: Proof, tell: Tell) -> Figures:
        """Everybody who is not resolved; the figures of those who are not now either."""
        left, total = Figures(), self._gathered.count()
        for done, customer in enumerate(self._gathered.customers()):
            examined = verification.examine(customer, self._gathered, book)
            examined.count(proof.figures if examined.is_resolved else left)
            if examined.is_resolved:
                self._gathered.resolve(customer)
            if done % _EVERY == 0:
                tell(done, total)
        return left

    def _ended(self, cut: Cut, proof: Proof) -> None:
        for difference in (*verification.strangers(self._gathered), *verification.misplaced(self._gathered)):
            proof.figures.differ(difference)
        proof.decided_at, proof.contract_set, proof.settled = cut.now, cut.checkpoint.contract_set, cut.settled
        proof.updates, proof.consents = cut.positions
        proof.disclosures = cut.checkpoint.disclosures
        proof.customers = self._gathered.everybody()
