"""When updates are taken for stuck: only where the log has some, gives none, and nobody holds them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from sluice.log import Ends, Positions, Record, Stalled
from stream_processors.sharing.inputs import Reading
from tests.unit.test_clock import Hands

PATIENCE_MS = 30_000
UPDATE = Record("crm.customer-updates", 0, 5, b"crm:1", b"", 0)


class Stuck:
    """As much of a log as reading asks for: it has ten updates and gives those up to `reached`."""

    def __init__(self) -> None:
        self.reached, self.stable, self.unread_consents = 5, 10, 0

    def start(self, positions: Mapping[int, Positions]) -> None: ...

    def hold(self, partitions: Collection[int]) -> None: ...

    def driving_reached(self, _partition: int) -> int:
        return self.reached

    def joined_reached(self, _partition: int) -> int:
        return 0

    def fetch_joined(self, _wait_seconds: float) -> list[Record]:
        return [Record("crm.consent-events", 0, 0, b"crm:1", b"", 0)]

    def ends(self) -> dict[int, Ends]:
        return {0: Ends(self.unread_consents, self.unread_consents, 10, self.stable)}


class Bench:
    def __init__(self) -> None:
        self.log, self.clock = Stuck(), Hands()
        self.reading = Reading(self.log, self.clock)  # type: ignore[arg-type]
        self.reading.start({0: Positions(5, 0)})

    def batches(self, updates: list[Record], braked: Collection[int] = ()) -> None:
        """For longer than anybody waits."""
        for _ in range(4):
            self.clock.later(0, PATIENCE_MS // 3)
            self.reading.completed(list(updates), braked, 1)


def test_a_client_that_gives_nothing_of_what_there_is_is_stalled() -> None:
    with pytest.raises(Stalled):
        Bench().batches([])


def test_who_reads_is_not_stalled() -> None:
    Bench().batches([UPDATE])


def test_where_everything_is_read_nobody_is_stalled() -> None:
    bench = Bench()
    bench.log.reached = 10
    bench.batches([])


def test_what_an_open_transaction_hides_is_not_there_to_be_read() -> None:
    bench = Bench()
    bench.log.stable = 5
    bench.batches([])


def test_what_the_brake_holds_is_not_stalled() -> None:
    Bench().batches([], braked=[0])


def test_what_waits_for_consents_is_not_stalled() -> None:
    bench = Bench()
    bench.log.unread_consents = 100
    bench.batches([])


def test_a_new_start_is_given_time_again() -> None:
    bench = Bench()
    for _ in range(4):
        bench.clock.later(0, PATIENCE_MS * 2 // 3)
        bench.reading.completed([], [], 1)
        bench.reading.rewind()
