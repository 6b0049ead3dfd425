"""One process's connection to the cluster in memory: `sluice.log.Log`, with a point to stop at before every effect."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sluice import topics
from sluice.log import Aborted, Bounds, Committed, Ends, Fenced, LogUnavailable, OffsetsUnstable, Positions, Record
from tests.simulation.memory_cluster import (
    Cluster,
    Entry,
    EpochFenced,
    Place,
    State,
    Transaction,
    UnknownMembership,
)

DRIVING, JOINED, CONFIRMED = topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS, topics.DISCLOSURES
_READ_AT_ONCE = 4
_WAITS = 300
_FENCED = "Another process runs under this transactional id: this one ends."


@dataclass(slots=True)
class Surroundings:
    """What may happen to a process between two of its calls."""

    before: Callable[[str], None] = lambda _call: None
    """Called before each effect: others may act, and it may raise what a cluster in trouble would."""
    take: Callable[[int], int] = lambda available: available
    """How many of so many available records a fetch returns."""
    others: Collection[str] = ()
    """Every configured instance of the group."""


@dataclass(slots=True)
class Given:
    """What the log has given its process since it was started: for whoever audits what became of it."""

    start: int
    offsets: list[int] = field(default_factory=list)


class MemoryLog:
    """See sluice.log.Log."""

    def __init__(self, cluster: Cluster, instance: str, around: Surroundings | None = None) -> None:
        self._cluster = cluster
        self.name = instance
        self._around = around or Surroundings()
        self._before = self._around.before
        self._epoch = 0
        self.member: str | None = None
        self.membership = ""
        self._transaction: Transaction | None = None
        self._flushed = False
        self._new_assignment: frozenset[int] | None = None
        self.assigned: dict[int, Positions] = {}
        self._next: dict[Place, int] = {}
        self._reached: dict[Place, int] = {}
        self._held: frozenset[int] = frozenset()
        self.given: dict[Place, Given] = {}
        self.barrier: dict[int, Ends] = {}
        """What `ends` said last."""
        self.stuck: set[str] = set()
        """Topics of which its client fetches nothing any more, until it is another one."""
        self.stable_at_fetch: dict[int, int] = {}
        """The joined topic's stable ends when updates were fetched last."""

    # --- membership

    @property
    def new_assignment(self) -> frozenset[int] | None:
        return self._new_assignment

    def claim(self) -> None:
        self._before("claim")
        self._epoch = self._cluster.initialise(self.name)

    def join(self) -> None:
        self._before("join")
        self.member = self._cluster.group.join(self.name)

    def rejoin(self) -> None:
        self._before("rejoin")
        if self.member is not None:
            self._cluster.group.leave(self.member)
        self.stuck.discard(DRIVING)
        self._lose()
        self.join()

    def _poll(self) -> None:
        """What a call for records tells of the group: that the assignment is lost, or another one is given."""
        group = self._cluster.group
        if self.member is None:
            return
        if self.member not in group.members:
            self._lose()
            self.member = group.join(self.name)
        elif group.must_rejoin(self.member):
            self._lose()
            group.rejoin(self.member)
        else:
            group.heartbeat(self.member)
        assignment = group.assignment(self.member)
        if assignment is not None:
            self.membership = group.membership(self.member)  # LOOP 2: captured here and never refreshed
            self._lose()
            self._new_assignment = frozenset(list(assignment))

    def _lose(self) -> None:
        self.assigned, self._next = {}, {}
        self._new_assignment = frozenset([])

    def take(self) -> None:
        self._new_assignment = None

    def start(self, positions: Mapping[int, Positions]) -> None:
        self._before("start")
        if self._new_assignment is not None:
            return
        self.assigned = dict(positions)
        self._held, self._reached = frozenset(), {}
        self._next = {(DRIVING, number): at.driving for number, at in positions.items()}
        self._next |= {(JOINED, number): at.joined for number, at in positions.items()}
        self.given = {place: Given(start) for place, start in self._next.items()}

    def hold(self, partitions: Collection[int]) -> None:
        self._before("hold")
        self._held = frozenset(partitions) & self.assigned.keys()

    def reconnect(self) -> None:
        self._before("reconnect")
        self._epoch = self._cluster.initialise(self.name)
        self._transaction = None
        self.stuck.discard(JOINED)

    def close(self) -> None:
        self._before("leave")
        if self.member is not None:
            self._cluster.group.leave(self.member)
            self.member = None

    # --- reading

    def fetch(self, limit: int, wait_seconds: float) -> list[Record]:  # noqa: ARG002 - nothing is worth waiting for
        self._before("fetch")
        self._poll()
        if self._new_assignment is not None:
            return []
        records: list[Record] = []
        self.stable_at_fetch = {number: self._cluster.logs[JOINED, number].stable for number in self.assigned}
        for number in self.assigned:
            if number not in self._held:
                records += self._fetched((DRIVING, number), limit - len(records))
        return records

    def fetch_joined(self, wait_seconds: float) -> list[Record]:  # noqa: ARG002
        self._before("fetch_joined")
        return [record for number in self.assigned for record in self._fetched((JOINED, number), 1 << 30)]

    def _fetched(self, place: Place, limit: int) -> list[Record]:
        """The next records; their end is reported only by a fetch that finds nothing more."""
        if place[0] in self.stuck:
            return []
        log, start = self._cluster.logs[place], self._next[place]
        entries = list(log.visible(start, log.stable))
        taken = entries[: min(self._around.take(len(entries)), limit)]
        if taken:
            self._next[place] = self._reached[place] = taken[-1].offset + 1
        elif not entries:
            self._next[place] = max(start, log.stable)
            self._reached[place] = max(self._reached.get(place, 0), log.stable)
        self.given[place].offsets += [entry.offset for entry in taken]
        return [_record(place, entry) for entry in taken]

    def driving_reached(self, partition: int) -> int:
        return max(self.assigned[partition].driving, self._reached.get((DRIVING, partition), 0))

    def joined_reached(self, partition: int) -> int:
        return max(self.assigned[partition].joined, self._reached.get((JOINED, partition), 0))

    def ends(self) -> dict[int, Ends]:
        self._before("stable_ends")
        logs = self._cluster.logs
        stable = {
            n: (logs[JOINED, n].stable, logs[CONFIRMED, n].stable, logs[DRIVING, n].stable) for n in self.assigned
        }
        self._before("high_watermarks")
        self.barrier = {
            number: Ends(
                joined_stable=joined,
                joined_high=logs[JOINED, number].high,
                driving_high=logs[DRIVING, number].high,
                driving_stable=stable[number][2],
                confirmed_stable=confirmed,
                confirmed_high=logs[CONFIRMED, number].high,
            )
            for number, (joined, confirmed, _) in stable.items()
        }
        return self.barrier

    def committed(self, partitions: frozenset[int]) -> dict[int, Committed]:
        self._before("committed")
        if self._cluster.unstable(partitions):
            self._before("committed_unstable")  # about a second of waiting
            if self._cluster.unstable(partitions):
                raise OffsetsUnstable("The committed offsets are held back by an open transaction.")
        return {number: self._cluster.offsets.get(number, Committed(None, "")) for number in partitions}

    def bounds(self, topics: Collection[str], partition: int) -> dict[str, Bounds]:
        self._before("bounds")
        return {topic: Bounds(0, self._cluster.logs[topic, partition].high) for topic in topics}

    def read(self, topic: str, partition: int, start: int, stop: int) -> Iterator[Record | None]:
        place, log = (topic, partition), self._cluster.logs[topic, partition]
        reached, waits = start, 0
        while reached < stop:
            self._before("read")
            end = min(reached + _READ_AT_ONCE, log.stable, stop)
            if end > reached:
                yield from [_record(place, entry) for entry in log.visible(reached, end)]
                reached, waits = end, 0
                continue
            waits += 1
            if waits > _WAITS:
                raise LogUnavailable(f"Cannot read {topic}/{partition} to {stop}: it ends at {reached}.")
            yield None

    # --- writing

    def begin(self) -> None:
        self._before("begin")
        try:
            self._transaction = self._cluster.begin(self.name, self._epoch)
        except EpochFenced:
            raise Fenced(_FENCED) from None

    def produce(self, topic: str, partition: int, key: bytes | None, value: bytes | None, timestamp: int) -> None:
        self._before(f"produce {topic}")
        try:
            self._cluster.write(self._open(), (topic, partition), key, value, timestamp)
        except EpochFenced:
            raise Fenced(_FENCED) from None

    def flush(self) -> Mapping[int, int]:
        self._before("flush")
        confirmed = [(place[1], entry.offset) for place, entry in self._open().entries if place[0] == CONFIRMED]
        return {number: offset + 1 for number, offset in confirmed}

    def commit(self, positions: Mapping[int, Positions], metadata: Mapping[int, str]) -> None:
        transaction = self._open()
        try:
            self._before("send_offsets")
            self._cluster.send_offsets(transaction, positions, metadata, self.membership)
            self._before("commit")
            self._cluster.commit(transaction)
        except EpochFenced:
            raise Fenced(_FENCED) from None
        except UnknownMembership:
            raise Aborted("Cannot commit offsets: the group has another generation", retriable=True) from None
        self._transaction = None
        self._before("committed_now")

    def abort(self) -> None:
        self._before("abort")
        try:
            if self._transaction is not None:
                self._cluster.abort(self._transaction)
        except EpochFenced:
            raise Fenced(_FENCED) from None
        self._transaction = None
        for given in self.given.values():
            given.offsets.clear()  # what was given has come to nothing, and has to be asked for again

    def republish(self, records: Iterable[tuple[Record, int]]) -> None:
        for record, partition in records:
            self._before("republish")
            self._cluster.append((record.topic, partition), record.key, record.value)

    def fence_the_dead(self) -> list[str]:
        self._before("fence_the_dead")
        alive = {member.client_id for member in self._cluster.group.members.values()}
        dead = [name for name in self._around.others if name != self.name and name not in alive]
        for name in dead:
            self._before(f"fence {name}")
            self._cluster.initialise(name)
        return dead

    def _open(self) -> Transaction:
        if self._transaction is None or self._transaction.state is not State.OPEN:
            if self._transaction is not None and self._cluster.ids[self.name].epoch != self._epoch:
                raise Fenced(_FENCED)
            raise AssertionError("there is no open transaction: the caller forgot to begin one")
        return self._transaction


def _record(place: Place, entry: Entry) -> Record:
    return Record(*place, entry.offset, entry.key, entry.value, entry.timestamp)
