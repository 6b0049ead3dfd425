"""The log in memory behaves as a broker does: as far as the sharing loop can tell, and the suite asks."""

from __future__ import annotations

from typing import cast

import pytest

from sluice.log import Log, Positions
from tests.contract.log_port import BehavesAsALog, Bench
from tests.simulation.installation import TOPICS
from tests.simulation.memory_cluster import Cluster, Transaction
from tests.simulation.memory_log import MemoryLog, Surroundings

_PARTITIONS = 4
_INSTANCES = ("sharing.0", "sharing.1")


class _Upstream:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._transaction: Transaction = cluster.begin("upstream", cluster.initialise("upstream"))

    def write(self, topic: str, partition: int, value: bytes) -> None:
        self._cluster.write(self._transaction, (topic, partition), b"crm:1", value, 1)

    def commit(self) -> None:
        self._cluster.commit(self._transaction)

    def abort(self) -> None:
        self._cluster.abort(self._transaction)


class _MemoryBench:
    """Markers are late: they are written while somebody waits."""

    partitions = _PARTITIONS

    def __init__(self) -> None:
        self.now = 0.0
        self.cluster = Cluster(TOPICS, _PARTITIONS, lambda: self.now)
        self.cluster.marks_at_once = False

    def log(self, instance: str) -> Log:
        def before(call: str) -> None:
            if call in ("read", "fetch_joined"):
                self.wait()

        return MemoryLog(self.cluster, f"sharing.{instance}", Surroundings(before, others=_INSTANCES))

    def observer(self) -> Log:
        return self.log("observer")

    def write(self, topic: str, partition: int, key: bytes, value: bytes | None) -> None:
        self.cluster.append((topic, partition), key, value)

    def upstream(self) -> _Upstream:
        return _Upstream(self.cluster)

    def wait(self) -> None:
        for transaction in self.cluster.unmarked[:1]:
            self.cluster.mark(transaction, 1)

    def outlive(self, log: Log) -> None:
        """Nobody else is heard of meanwhile, either."""
        assert cast("MemoryLog", log).member in self.cluster.group.members
        self.now += self.cluster.group.session_timeout_ms + 1
        self.cluster.group.expire()

    def leave_offsets_open(self, instance: str, partition: int) -> None:
        name = f"sharing.{instance}"
        transaction = self.cluster.begin(name, self.cluster.initialise(name))
        transaction.positions, transaction.metadata = {partition: Positions(0, 0)}, {partition: ""}
        transaction.holds_offsets = True


class TestMemoryLog(BehavesAsALog):
    @pytest.fixture
    def bench(self) -> Bench:
        return _MemoryBench()
