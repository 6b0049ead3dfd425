"""One configured instance: the real Processor in a greenlet, which stops before every effect and lets others act."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from greenlet import GreenletExit, getcurrent, greenlet
from prometheus_client import CollectorRegistry

from sluice.errors import SluiceError
from sluice.log import LogUnavailable
from sluice.model import Millis
from stream_processors.sharing.checkpoint import Identity
from stream_processors.sharing.clock import Clock
from stream_processors.sharing.metrics import Metrics
from stream_processors.sharing.plan import Plan
from stream_processors.sharing.processor import Processor
from stream_processors.sharing.redrives import Redrive
from stream_processors.sharing.view import View
from tests.simulation.memory_cluster import Cluster
from tests.simulation.memory_log import MemoryLog, Surroundings
from tests.simulation.memory_store import Contents, MemoryStores

TOMBSTONES_KEPT_MS = 60 * 60_000
GROUP_INSTANCES = ("0", "1", "2")
_IDENTITY = Identity("cluster", "topics")


class Crash(BaseException):
    """The process is killed where it stands: nothing of it runs any more, no `finally` has an effect."""


class Outside(Protocol):
    """What a process sees of the world."""

    now: float
    cluster: Cluster

    def in_force(self) -> str:
        """Name of the newest contract set."""

    redrives: list[Redrive]
    snapshots: dict[int, Contents]

    def view(self, name: str) -> View: ...

    def hears(self) -> bool:
        """Whether news has come through by now."""

    def troubles(self, process: Process, call: str) -> None:
        """Raises what goes wrong at this call, if something does."""

    def take(self, available: int) -> int: ...

    def wrote(self, process: Process, number: int) -> None:
        """A store was written."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done at a time: small, so that a few records are many pieces."""

    batch: int
    background: float
    snapshot_every_ms: float
    standby: bool


class SimulatedClock(Clock):
    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process

    def wall_ms(self) -> Millis:
        return Millis(int(self._process.outside.now + self._process.skew_ms))

    def monotonic_ms(self) -> float:
        return self._process.outside.now

    def sleep(self, seconds: float) -> None:
        self._process.wakes_at = self._process.outside.now + seconds * 1000
        self._process.before("sleep")


class SimulatedSets:
    """See stream_processors.sharing.contract_sets.ContractSets."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._name = process.outside.in_force()
        self.view = process.outside.view(self._name)

    def newest(self) -> View:
        self._process.before("newest_set")
        if self._process.outside.hears():
            self._see()
        return self.view

    def refresh(self) -> None:
        self._process.before("refresh_sets")
        self._see()

    def _see(self) -> None:
        if self._process.outside.in_force() != self._name:
            self._name = self._process.outside.in_force()
            self.view = self._process.outside.view(self._name)


class SimulatedRedrives:
    """See stream_processors.sharing.redrives.Redrives: the requests from now on."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._seen = len(process.outside.redrives)

    def poll(self) -> list[Redrive]:
        self._process.before("redrives")
        found = self._process.outside.redrives[self._seen :]
        self._seen += len(found)
        return found


class Process:
    def __init__(self, instance: str, outside: Outside, sizes: Sizes) -> None:
        self.instance = instance
        self.outside = outside
        self.sizes = sizes
        self.stores = MemoryStores(outside.snapshots)
        self.stores.before = self.before
        self.stores.written = lambda number: outside.wrote(self, number)
        self.skew_ms = 0.0
        self.believed_skew_ms = 0.0
        """Without a jump that it must not believe."""
        self.wakes_at = 0.0
        self.is_stopped = False
        self.at = "down"
        self.fetches = 0
        """Calls for updates since something was committed, or reading began anew."""
        self.fetched_at = 0.0
        self.late = 0
        """Records produced after the lease has ended, since the last call for updates."""
        self.failure: BaseException | None = None
        """What no process may end with; a log that is away is waited for."""
        self.last_words: SluiceError | None = None
        self.log: MemoryLog | None = None
        self.sets: SimulatedSets | None = None
        self.processor: Processor | None = None
        self._greenlet: greenlet | None = None
        self._hub: greenlet | None = None
        self._is_killed = False

    @property
    def is_running(self) -> bool:
        return self._greenlet is not None

    @property
    def knows_the_time(self) -> bool:
        """Whether it has looked at its clock since it was started: only then can it notice a jump."""
        return self.processor is not None and self.processor._clock._offset is not None

    @property
    def is_ready(self) -> bool:
        return self.is_running and not self.is_stopped and self.outside.now >= self.wakes_at

    def start(self) -> None:
        self._is_killed = self.is_stopped = False
        self.wakes_at, self.fetches, self.believed_skew_ms = 0.0, 0, self.skew_ms
        self._greenlet = greenlet(self._run)
        self.at = "start"

    def step(self) -> None:
        """On to the next point to stop at."""
        assert self._greenlet is not None
        self._hub = getcurrent()
        self._greenlet.switch()
        self._reap()

    def crash(self) -> None:
        if self._greenlet is None:
            return
        self._is_killed = True
        self._hub = getcurrent()
        with suppress(Crash):  # one that has not begun yet has nobody who would catch it
            self._greenlet.throw(Crash())
        self._reap()

    def before(self, call: str) -> None:
        """A point to stop at."""
        if self._is_killed:
            raise Crash
        self.at = call
        if call == "leave":
            self._notice(sys.exc_info()[1])
        if call == "start":
            self.fetches = 0
        if call == "fetch":
            self.fetches += 1
            self.fetched_at, self.late = self.outside.now, 0
        assert self._hub is not None
        self._hub.switch()
        self.outside.troubles(self, call)

    def _notice(self, ending: BaseException | None) -> None:
        """What ends the process; it may be killed on its way out, and what it would have said is lost."""
        is_allowed = isinstance(ending, (Crash, GreenletExit, SluiceError)) and not isinstance(ending, LogUnavailable)
        if ending is not None and not is_allowed:
            self.failure = self.failure or ending

    def _reap(self) -> None:
        if self._greenlet is not None and self._greenlet.dead:
            self._greenlet = self.log = self.sets = self.processor = None
            self.at = "down"

    def _run(self) -> None:
        try:
            self._serve()
        except (Crash, GreenletExit):
            pass
        except LogUnavailable as error:
            if self.processor is not None:  # before there is one, others wait for the log (stream_processors.serving)
                self._notice(error)
            self.last_words = error
        except SluiceError as error:
            self.last_words = error
        except BaseException as error:  # noqa: BLE001 - anything else is a fault in the product
            self._notice(error)

    def _serve(self) -> None:
        clock = SimulatedClock(self)
        others = tuple(f"sharing.{instance}" for instance in GROUP_INSTANCES)
        around = Surroundings(self.before, self.outside.take, others)
        self.log = MemoryLog(self.outside.cluster, f"sharing.{self.instance}", around)
        self.sets = SimulatedSets(self)
        plan = Plan(
            sets=self.sets,
            stores=self.stores,
            identity=_IDENTITY,
            identity_now=self._identity,
            batch=self.sizes.batch,
            lease_ms=self.outside.cluster.group.session_timeout_ms,
            tombstones_kept_ms=TOMBSTONES_KEPT_MS,
            redrives=SimulatedRedrives(self),
            snapshot_every_ms=self.sizes.snapshot_every_ms,
            standby=self.sizes.standby,
        )
        self.processor = Processor(self.log, plan, Metrics(CollectorRegistry()), clock)
        self.processor._pace._fitting = self.sizes.background
        self.processor.run()

    def _identity(self, _view: View) -> Identity:
        self.before("identity")
        return _IDENTITY
