"""Copies of the stores from time to time, so that a lost one is not rebuilt from the logs' beginning (LOOP 21)."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from sluice.store import Stores, StoreTrouble
from stream_processors.sharing.batch import Moment
from stream_processors.sharing.partition import Partition

_log = structlog.get_logger(__name__)


class Snapshots:
    """One partition after the other, each about once in `every_ms`."""

    def __init__(self, stores: Stores, every_ms: float) -> None:
        self._stores = stores
        self._every_ms = every_ms
        self._taken: dict[int, tuple[float, tuple[int, int, int]]] = {}

    def take_turns(self, partitions: Mapping[int, Partition], moment: Moment) -> None:
        """A copy of one whose turn it is, if anything was written since. A copy that fails is no reason to stop."""
        for number, partition in partitions.items():
            meta = partition.meta
            folds = (meta.updates, meta.consents, meta.disclosures)
            at_ms, before = self._taken.setdefault(number, (moment.monotonic_ms, (-1, -1, -1)))
            if moment.monotonic_ms - at_ms >= self._every_ms and not meta.catching_up:
                self._taken[number] = moment.monotonic_ms, folds
                if before != folds:
                    self._take(number, partition)
                return

    def _take(self, number: int, partition: Partition) -> None:
        try:
            self._stores.snapshot(number, partition.store)
        except StoreTrouble as error:
            _log.warning("snapshot_failed", partition=number, why=str(error))
        else:
            _log.info("snapshot_taken", partition=number, disclosures=partition.meta.disclosures)
