"""What is known, as the fold of logs that are read from their beginning, without a group, and go on being read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable

from sluice.kafka.clients import ClientConfig
from sluice.kafka.tailing import Tail
from sluice.log import Record


class Interrupted(Exception):
    """Somebody wants the process to end, which had not read everything yet."""


def nothing() -> None: ...


def never() -> bool:
    return False


class Following:
    """Not for use by several threads at once."""

    def __init__(
        self,
        client: ClientConfig,
        logs: Collection[str],
        group: str,
        fold: Callable[[Record], None],
        heard: Callable[[], None] = nothing,
    ) -> None:
        """`group` is never joined: see `sluice.kafka.clients.reader`. Raises KafkaTrouble.

        `heard` is called whenever something was read and folded: the broker answers.
        """
        self._fold_one = fold
        self._heard = heard
        self._tail = Tail(client, logs, group, from_beginning=True)
        self._unfolded: deque[Record] = deque()
        self.folded = 0
        """Grows while it reads: for the watchdog, for a first read may take long."""

    def catch_up(self, stopped: Callable[[], bool] = never) -> None:
        """Everything is folded that was written before now.

        Raises KafkaTrouble, RegistryUnavailable; Interrupted, soon after it was `stopped`.
        """
        if stopped():
            raise Interrupted
        self._tail.extend_to_the_last()
        for records in self._tail.polls_to_the_end():
            self._fold(records)
            if stopped():
                raise Interrupted
        self._fold(())

    def look(self) -> None:
        """What has come is folded. Raises KafkaTrouble, RegistryUnavailable."""
        self._fold(self._tail.poll(0))

    def close(self) -> None:
        self._tail.close()

    def _fold(self, records: Iterable[Record]) -> None:
        """What cannot be folded yet, because the registry is away, waits its turn."""
        self._unfolded.extend(records)
        before = self.folded
        while self._unfolded:
            self._fold_one(self._unfolded[0])
            self._unfolded.popleft()
            self.folded += 1
        if self.folded > before:
            self._heard()
