"""Which contract set is in force, and how this process carries it out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from sluice import recorded_set, topics
from sluice.errors import SluiceError
from sluice.kafka.clients import ClientConfig
from sluice.kafka.tailing import Tail
from sluice.log import Record
from sluice.recorded_set import RecordedSet
from stream_processors.sharing.clock import Clock
from stream_processors.sharing.view import View

_ASK_AGAIN_MS = 500


class ContractSets(Protocol):
    def newest(self) -> View:
        """Of the set in force, as known; the same object while it is the same. May raise LogUnavailable."""

    def refresh(self) -> None:
        """Learn of every set that was recorded before now."""


class RecordedSets:
    """The sets in `sluice.contract-sets`. `build` makes of one what the processor decides by."""

    def __init__(self, client: ClientConfig, group: str, clock: Clock, build: Callable[[RecordedSet], View]) -> None:
        """Raises SluiceError when there is none, or the newest cannot be carried out."""
        self._clock = clock
        self._build = build
        self._tail = Tail(client, (topics.CONTRACT_SETS,), group, from_beginning=True)
        self._recorded: RecordedSet | None = None
        self._see(self._tail.to_the_end())
        self._view = self._carried_out()
        self._built: RecordedSet | None = self._recorded
        self._asked_at = clock.monotonic_ms()

    def newest(self) -> View:
        if self._clock.monotonic_ms() - self._asked_at >= _ASK_AGAIN_MS:
            self._asked_at = self._clock.monotonic_ms()
            self._see(self._tail.poll(0))
        if self._recorded != self._built:
            self._view = self._carried_out()
            self._built = self._recorded
        return self._view

    def refresh(self) -> None:
        self._tail.extend()
        self._see(self._tail.to_the_end())

    def _see(self, records: Iterable[Record]) -> None:
        newest = list(records)[-1:]
        for record in newest:
            self._recorded = recorded_set.decode(record.key, record.value)

    def _carried_out(self) -> View:
        if self._recorded is None:
            raise SluiceError("There is no contract set in force: run `sluice apply` first.")
        return self._build(self._recorded)
