"""The time of decisions: the wall clock, never going back, and not believed when it jumps (LOOP 11)."""

from __future__ import annotations

import time

from sluice.errors import SluiceError
from sluice.model import Millis
from stream_processors.sharing.batch import Moment

JUMP_MS = 10 * 60 * 1000


class Clock:
    """`wall_ms`, `monotonic_ms` and `sleep` are the machine's; the simulation has others."""

    def __init__(self) -> None:
        self._offset: float | None = None

    def wall_ms(self) -> Millis:
        return Millis(time.time_ns() // 1_000_000)

    def monotonic_ms(self) -> float:
        return time.monotonic() * 1000

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def read(self, before: Millis) -> Moment:
        """Now, and later than `before`: partners tell by the time which of two messages came first.

        Raises SluiceError when the wall clock jumped since the last call.
        """
        wall, monotonic = self.wall_ms(), self.monotonic_ms()
        offset = wall - monotonic
        if self._offset is not None and abs(offset - self._offset) > JUMP_MS:
            raise SluiceError(
                f"The machine's clock jumped by {(offset - self._offset) / 60_000:.0f} minutes: nothing was committed "
                "at the new time. Set the clock right and start again."
            )
        self._offset = offset
        return Moment(Millis(max(wall, before + 1)), monotonic)
