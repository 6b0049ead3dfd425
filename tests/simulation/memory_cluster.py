"""A cluster in memory: partitions with offsets, transactions and compaction, as far as the sharing loop can tell.

The whole history is kept, also what compaction took, for whoever checks what was done with it. As on Apache Kafka, a
transaction's end is decided first and marked in each partition afterwards; a marker takes an offset, and until it is
there the stable end stays below the transaction, although its commit has returned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from sluice.log import Committed, Positions
from tests.simulation.memory_group import Group

Place = tuple[str, int]
"""A topic and a partition number."""


class State(Enum):
    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass(eq=False, slots=True)
class Transaction:
    """What one transactional id writes between a begin and an end. The end counts from when it is decided."""

    name: str
    epoch: int
    begun_at: float
    state: State = State.OPEN
    places: dict[Place, int] = field(default_factory=dict)
    """Partitions that do not have its marker yet, with its first offset there."""
    entries: list[tuple[Place, Entry]] = field(default_factory=list)
    positions: dict[int, Positions] = field(default_factory=dict)
    metadata: dict[int, str] = field(default_factory=dict)
    member: str = ""
    holds_offsets: bool = False
    """Its offsets are pending: nobody can read the group's until the marker."""

    @property
    def is_marked(self) -> bool:
        return self.state is not State.OPEN and not self.places and not self.holds_offsets


@dataclass(frozen=True, eq=False, slots=True)
class Entry:
    """One offset of a partition. A marker has neither key nor value."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    sequence: int
    """The order of all appends in the cluster."""
    transaction: Transaction | None = None
    is_marker: bool = False

    @property
    def is_committed(self) -> bool:
        return not self.is_marker and (self.transaction is None or self.transaction.state is State.COMMITTED)


class PartitionLog:
    def __init__(self) -> None:
        self.history: list[Entry] = []
        """By offset."""
        self.compacted: set[int] = set()
        self.open: dict[Transaction, int] = {}
        """Transactions without a marker here, with their first offsets."""

    @property
    def high(self) -> int:
        return len(self.history)

    @property
    def stable(self) -> int:
        return min(self.open.values(), default=self.high)

    def visible(self, start: int, stop: int) -> Iterator[Entry]:
        """What a reader of committed records gets."""
        for offset in range(start, min(stop, self.stable)):
            entry = self.history[offset]
            if entry.is_committed and offset not in self.compacted:
                yield entry

    def compact(self, stop: int, tombstones_before: float) -> None:
        """Of the records below `stop` only the newest of each key survives; a tombstone only for its time."""
        stop = min(stop, self.stable)
        newest = {entry.key: entry.offset for entry in self.history[:stop] if entry.is_committed}
        for entry in self.history[:stop]:
            forgotten = entry.value is None and entry.timestamp < tombstones_before
            if not entry.is_committed or newest[entry.key] != entry.offset or forgotten:
                self.compacted.add(entry.offset)


@dataclass(slots=True)
class TransactionalId:
    epoch: int = 0
    current: Transaction | None = None


class EpochFenced(Exception):
    """The transactional id has a newer epoch: whoever writes under the old one is refused."""


class UnknownMembership(Exception):
    """Offsets were sent by somebody who is not, or no longer, a member of this generation of the group."""


class Cluster:
    """One cluster with one consumer group. Time is told by `clock`, in milliseconds."""

    transaction_timeout_ms = 10_000.0

    def __init__(self, topics: Collection[str], partitions: int, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.partitions = partitions
        self.clock = clock
        self.logs = {(topic, number): PartitionLog() for topic in topics for number in range(partitions)}
        self.group = Group(partitions, clock)
        self.ids: dict[str, TransactionalId] = {}
        self.offsets: dict[int, Committed] = {}
        self.unmarked: list[Transaction] = []
        """Transactions whose end is decided, and not yet marked everywhere."""
        self.marks_at_once = True
        self.appended: Callable[[Place, Entry], None] = lambda _place, _entry: None
        self.decided: Callable[[Transaction], None] = lambda _transaction: None
        self._sequence = 0

    # --- records

    def append(
        self,
        place: Place,
        key: bytes | None,
        value: bytes | None,
        timestamp: int | None = None,
        transaction: Transaction | None = None,
    ) -> Entry:
        at = int(self.clock()) if timestamp is None else timestamp
        entry = self._place(place, key, value, at, transaction)
        if transaction is not None:
            transaction.entries.append((place, entry))
        self.appended(place, entry)
        return entry

    def _place(
        self, place: Place, key: bytes | None, value: bytes | None, at: int, transaction: Transaction | None
    ) -> Entry:
        log = self.logs[place]
        self._sequence += 1
        entry = Entry(log.high, key, value, at, self._sequence, transaction)
        log.history.append(entry)
        if transaction is not None and place not in transaction.places:
            transaction.places[place] = log.open[transaction] = entry.offset
        return entry

    # --- transactions

    def initialise(self, name: str) -> int:
        """A new epoch for the transactional id; what the old one left open is aborted."""
        one = self.ids.setdefault(name, TransactionalId())
        if one.current is not None and one.current.state is State.OPEN:
            self._decide(one.current, State.ABORTED)
        self.finish(name)
        one.epoch += 1
        return one.epoch

    def begin(self, name: str, epoch: int) -> Transaction:
        """Waits for the markers of the one before, as a coordinator makes its client do."""
        self._check(name, epoch)
        self.finish(name)
        self.ids[name].current = transaction = Transaction(name, epoch, self.clock())
        return transaction

    def write(
        self, transaction: Transaction, place: Place, key: bytes | None, value: bytes | None, timestamp: int
    ) -> Entry:
        self._check(transaction.name, transaction.epoch)
        return self.append(place, key, value, timestamp, transaction)

    def send_offsets(
        self, transaction: Transaction, positions: Mapping[int, Positions], metadata: Mapping[int, str], member: str
    ) -> None:
        """`member` and its generation are those of when the partitions were assigned."""
        self._check(transaction.name, transaction.epoch)
        if not self.group.knows(member):
            raise UnknownMembership
        transaction.positions, transaction.metadata = dict(positions), dict(metadata)
        transaction.member = member
        transaction.holds_offsets = True

    def commit(self, transaction: Transaction) -> None:
        self._check(transaction.name, transaction.epoch)
        self._decide(transaction, State.COMMITTED)

    def abort(self, transaction: Transaction) -> None:
        self._check(transaction.name, transaction.epoch)
        if transaction.state is State.OPEN:
            self._decide(transaction, State.ABORTED)

    def expire(self) -> None:
        """The coordinator aborts what has been open for too long, and fences its owner."""
        for name, one in self.ids.items():
            current = one.current
            if current is not None and current.state is State.OPEN and self._is_stale(current):
                self.initialise(name)

    def _is_stale(self, transaction: Transaction) -> bool:
        return self.clock() - transaction.begun_at > self.transaction_timeout_ms

    def _check(self, name: str, epoch: int) -> None:
        if self.ids[name].epoch != epoch:
            raise EpochFenced(name)

    def _decide(self, transaction: Transaction, state: State) -> None:
        transaction.state = state
        if not transaction.is_marked:
            self.unmarked.append(transaction)
        self.decided(transaction)
        if self.marks_at_once:
            self.finish(transaction.name)

    def finish(self, name: str) -> None:
        """Write every marker of this transactional id that is still to be written."""
        for transaction in [one for one in self.unmarked if one.name == name]:
            while not transaction.is_marked:
                self.mark(transaction, 0)

    def mark(self, transaction: Transaction, which: int) -> None:
        """One marker: in a partition, or on the group's offsets."""
        waiting: list[Place | None] = [*transaction.places]
        if transaction.holds_offsets:
            waiting.append(None)
        place = waiting[which % len(waiting)] if waiting else None
        if place is None:
            self._mark_offsets(transaction)
        else:
            log = self.logs[place]
            del transaction.places[place], log.open[transaction]
            self._sequence += 1
            at = int(self.clock())
            log.history.append(Entry(log.high, None, None, at, self._sequence, transaction, is_marker=True))
        if transaction.is_marked:
            self.unmarked.remove(transaction)

    def _mark_offsets(self, transaction: Transaction) -> None:
        transaction.holds_offsets = False
        if transaction.state is State.COMMITTED:
            for number, positions in transaction.positions.items():
                self.offsets[number] = Committed(positions, transaction.metadata[number])

    # --- the group's offsets

    def unstable(self, partitions: Collection[int]) -> bool:
        """Whether a transaction that is open, or not marked yet, holds offsets of these partitions back."""
        current = (one.current for one in self.ids.values())
        return any(
            number in transaction.positions
            for transaction in current
            if transaction is not None and transaction.holds_offsets
            for number in partitions
        )
