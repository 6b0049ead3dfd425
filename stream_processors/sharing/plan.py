"""What a processor was set up to do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from sluice.store import Stores
from stream_processors.sharing.checkpoint import Identity
from stream_processors.sharing.contract_sets import ContractSets
from stream_processors.sharing.redrives import Redrives
from stream_processors.sharing.view import View


@dataclass(frozen=True, slots=True)
class Plan:
    sets: ContractSets
    stores: Stores
    identity: Identity
    identity_now: Callable[[View], Identity]
    """The identity as the broker tells it now. Raises SluiceError when a partner's topic was re-created."""
    batch: int
    """Updates in one transaction, at the most."""
    lease_ms: float
    """Nothing is produced so long after the group last heard of us: somebody else may own the partitions (LOOP 2)."""
    tombstones_kept_ms: int
    redrives: Redrives
    snapshot_every_ms: float = math.inf
    standby: bool = False
    """Keep copies of the partitions that others serve."""
