"""What the sharing loop needs of a transactional log, and nothing more: a port, so that the loop can be run on any.

Two implement it: `sluice.kafka.transactions` on Apache Kafka, and an in-memory log on which every interleaving can be
tried. One behaviour suite passes on both. Rules of LOOP are named where they are kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sluice.errors import SluiceError


class Record(NamedTuple):
    """One record of a topic. `timestamp` is its producer's clock, milliseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int


class Written(NamedTuple):
    """One record to be written."""

    topic: str
    partition: int
    key: bytes
    value: bytes | None


class Positions(NamedTuple):
    """The next offsets of one partition number in both inputs."""

    driving: int
    joined: int


@dataclass(frozen=True, slots=True)
class Ends:
    """One partition number's ends: the stable ones were read before the high watermarks."""

    joined_stable: int
    joined_high: int
    driving_high: int
    driving_stable: int = 0
    confirmed_stable: int = 0
    confirmed_high: int = 0


class Bounds(NamedTuple):
    """The first offset that a partition still has, and one past its last."""

    low: int
    high: int


class Committed(NamedTuple):
    """What the group last committed for one partition number; None: nothing."""

    positions: Positions | None
    metadata: str


class LogUnavailable(SluiceError):
    """The log does not answer, or not yet; asking again may help without anybody doing something."""


class Stalled(LogUnavailable):
    """The log answers, and gives us nothing of what it has: its client does not fetch any more."""


class OffsetsUnstable(LogUnavailable):
    """A transaction that is still open holds committed offsets back."""


class Fenced(SluiceError):
    """Another process has taken this one's place; it must end."""


class Aborted(Exception):
    """The transaction was aborted. `retriable`: trying again may help without anybody doing something."""

    def __init__(self, why: str, *, retriable: bool) -> None:
        super().__init__(why)
        self.retriable = retriable


class Log(Protocol):
    """One process's connection to two inputs and to what it writes. Not for use by several threads.

    The *driving* topic's partitions come from the group; the *joined* topic is read by hand beside it, at the same
    partition numbers; the *confirmed* topic is the written one whose ends the caller needs before it commits.
    Every method may raise LogUnavailable, and SluiceError when somebody has to do something first.
    """

    # membership

    @property
    def new_assignment(self) -> frozenset[int] | None:
        """Partition numbers given to us and not started yet, another object each time; None: nothing changed."""

    def claim(self) -> None:
        """Fence who held our transactional id before, and end the transaction that it left open."""

    def join(self) -> None:
        """Join the group; `fetch` then notices what is assigned."""

    def rejoin(self) -> None:
        """The same with a new client, which is given an assignment of its own; nothing is ours until then."""

    def take(self) -> None:
        """The new assignment is known: until `start`, nothing is read."""

    def start(self, positions: Mapping[int, Positions]) -> None:
        """Read these partitions of both inputs from these positions on, and no others; nothing is held."""

    def hold(self, partitions: Collection[int]) -> None:
        """Of these partitions, and no others, `fetch` returns nothing."""

    def reconnect(self) -> None:
        """New clients after the log was away; whatever our transactional id left open is aborted."""

    def close(self) -> None:
        """Leave the group at once, so that a successor need not wait for the session to end."""

    # reading

    def fetch(self, limit: int, wait_seconds: float) -> list[Record]:
        """Records of the driving topic. After a change of assignment: none, and `new_assignment` is set."""

    def fetch_joined(self, wait_seconds: float) -> list[Record]:
        """Records of the joined topic."""

    def driving_reached(self, partition: int) -> int:
        """The offset that the driving topic has been read to; what ends with control records is read to its end too."""

    def joined_reached(self, partition: int) -> int:
        """The same for the joined topic."""

    def ends(self) -> dict[int, Ends]:
        """Of the started partitions (LOOP 7b): the joined topic's stable end, then the high watermarks."""

    def committed(self, partitions: frozenset[int]) -> dict[int, Committed]:
        """What the group has committed. Raises OffsetsUnstable after about a second of waiting."""

    def bounds(self, topics: Collection[str], partition: int) -> dict[str, Bounds]:
        """By topic."""

    def read(self, topic: str, partition: int, start: int, stop: int) -> Iterator[Record | None]:
        """Every committed record of one partition from `start` to below `stop`; waits until `stop` is stable.

        None whenever nothing has come for a while, so that the caller can do something else.
        """

    # writing

    def begin(self) -> None: ...

    def produce(self, topic: str, partition: int, key: bytes | None, value: bytes | None, timestamp: int) -> None:
        """Queue one record; its partition is always explicit (LOOP 4) and it has no headers. Raises Aborted."""

    def flush(self) -> Mapping[int, int]:
        """Wait until everything is written; the confirmed topic's new end by partition. Raises Aborted."""

    def commit(self, positions: Mapping[int, Positions], metadata: Mapping[int, str]) -> None:
        """Commit what was produced with both inputs' positions; under the membership of when it was assigned (LOOP 2).

        Returns only when that is certain. Raises Aborted, or LogUnavailable, when nothing of it will ever be visible. A
        commit that timed out is only ever committed again (LOOP 6).
        """

    def abort(self) -> None:
        """Make sure that nothing of the transaction is ever visible. LogUnavailable: then `reconnect` does."""

    def republish(self, records: Iterable[tuple[Record, int]]) -> None:
        """Write records again to the partition named with each, outside of any transaction.

        Returns when all are acknowledged (LOOP 15).
        """

    # others

    def fence_the_dead(self) -> list[str]:
        """End the transactions of configured instances without a live member (LOOP 5); who was fenced."""
