"""How much is done between two polls: enough to get on, little enough that a withdrawal is not kept waiting."""

from __future__ import annotations

_TARGET_MS = 20.0
"""Time to decide a batch in, as far as it can be chosen: customers that inputs name come first, others fill it up."""
_NAMED_TO_OTHERS = 4
"""What live traffic is slowed down by at the most: one other customer for so many that inputs name."""
_LONGEST_MS = 1_000.0
"""Time to decide inputs in. A longer batch gains nothing, keeps withdrawals waiting, and may outlast the session."""
_FIRST_BATCH = 1_000
_OPENING_MS, _OPENING_SERVING_MS = 500.0, 15.0
_FEWEST, _MOST = 8, 2_000
_AT_FIRST = 64.0


class Pace:
    """Adapts itself to how long the last batches took."""

    def __init__(self, batch: int) -> None:
        self._most = batch
        self.batch = min(batch, _FIRST_BATCH)
        self._fitting = _AT_FIRST
        self._was_half_full = False

    def allowance(self, partitions: int, named: int) -> int:
        """Customers that no input names, in one partition of so many, beside those that inputs name in all of them."""
        room = max(int(self._fitting) - named, named // _NAMED_TO_OTHERS)
        return max(room // max(partitions, 1), 1)

    def took(self, elapsed_ms: float, customers: int, records: int) -> None:
        """A batch of so many records took so long to decide, for all its customers, those that inputs named included.

        What turns out to be too much is not tried again; that more is possible has to show twice.
        """
        self._was_half_full = 2 * records >= self.batch
        if customers and elapsed_ms > 0:
            fitting = customers * _TARGET_MS / elapsed_ms
            self._fitting = min(max(min(fitting, (self._fitting + fitting) / 2), _FEWEST), _MOST)
        if records and elapsed_ms > _LONGEST_MS:
            self.batch = max(int(min(self.batch, records) * _LONGEST_MS / elapsed_ms), 1)

    def begin_anew(self) -> None:
        """What customers take is not known any more: under other contracts nothing is decided yet."""
        self._fitting = min(self._fitting, _AT_FIRST)
        self.batch = min(self.batch, _FIRST_BATCH)

    def opening_ms(self, *, serving: bool) -> float:
        """How long to bring up partitions before the next poll."""
        return _OPENING_SERVING_MS if serving else _OPENING_MS

    def shorten(self) -> None:
        """A batch took longer than the group waits for us."""
        self.batch = max(self.batch // 2, 1)

    def recover(self) -> None:
        """A batch was committed. Of one that was not half full nobody knows what a larger one would take."""
        if self._was_half_full:
            self.batch = min(self.batch + max(self.batch // 2, 1), self._most)
