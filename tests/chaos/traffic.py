"""A CRM that sends in the background, as fast as it is asked to and the processors keep up."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from tests.chaos.crm import Crm, Mix
from tests.chaos.field import Field

_PIECE = 50
_FLUSH_SECONDS = 60.0
_MOST_WAITING = 4_000


class Traffic:
    """While the context is open; when it ends, everything that was sent has been acknowledged."""

    def __init__(
        self, field: Field, seed: int, *, customers: int = 200, per_second: int = 400, mix: Mix | None = None
    ) -> None:
        self.crm = Crm(field.installation, seed, customers, mix)
        self._field = field
        self._pause_seconds = _PIECE / per_second
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._send, name="crm")

    def __enter__(self) -> Self:
        self.crm.introduce()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        self._thread.join()
        assert self.crm.settle(_FLUSH_SECONDS)
        assert self.crm.failed == 0

    def _send(self) -> None:
        pieces = 0
        while not self._ends.wait(self._pause_seconds):
            pieces += 1
            if pieces % 20 == 0 and (standing := self._field.group.standing()) and standing.backlog > _MOST_WAITING:
                continue
            self.crm.send(_PIECE)
