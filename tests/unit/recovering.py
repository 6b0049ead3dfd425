"""A process that ends and another one that begins, for the tests of recovery."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, cast

import msgspec

from sluice.log import Committed, Log, Positions
from sluice.model import CustomerId, Millis
from sluice.store import Row
from stream_processors.sharing.checkpoint import Checkpoint
from stream_processors.sharing.recovery import Opened, Opening, Recovery, open_partition
from tests.unit.lane import Lane

WEEK_MS = 7 * 24 * 3_600_000


def recovery(lane: Lane, **view: Any) -> Recovery:  # noqa: ANN401 - of the installation's view
    return Recovery(
        log=cast("Log", lane),
        stores=lane.stores,
        view=lane.installation.view(**view),
        identity=lane.installation.identity,
        tombstones_kept_ms=WEEK_MS,
        now=Millis(lane.now),
    )


def opening(lane: Lane, committed: Committed | None = None, **view: Any) -> Opening:  # noqa: ANN401 - the same
    """The process has ended; another one begins to open the partition."""
    lane.close()
    return open_partition(recovery(lane, **view), 0, committed or lane.committed())


def finished(begun: Opening) -> Opened:
    """Driven to its end."""

    def driven() -> Generator[int, None, None]:
        ended.append((yield from begun))

    ended: list[Opened] = []
    for _ in driven():
        pass
    return ended[0]


def recover(lane: Lane, committed: Committed | None = None, **view: Any) -> tuple[Positions, Checkpoint]:  # noqa: ANN401
    """The process ends and another one begins. After a refusal the store is there to be looked at."""
    begun = opening(lane, committed, **view)
    try:
        lane.partition, lane.positions, previous = finished(begun)
    except Exception:
        lane.partition.store = lane.stores.open(0)
        raise
    return lane.positions, previous


def rows(lane: Lane) -> dict[CustomerId, Row]:
    """What the logs say of everybody; not what is made of it anew: until when it holds, and who has to wait (LOOP 22).

    That a customer is deleted is only known while something else is.
    """
    return {
        customer: msgspec.structs.replace(row, deleted=False, due_at=None, widen_at=None)
        for customer, row in lane.partition.store
    }


def lose_store(lane: Lane) -> None:
    lane.close()
    lane.stores.discard(0)
    lane.partition.store = lane.stores.open(0)
