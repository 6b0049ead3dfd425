"""Which contract set is in force, who of it is paused, and how this process carries it out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from sluice import pauses, recorded_set, topics
from sluice.errors import SluiceError
from sluice.kafka.clients import ClientConfig
from sluice.kafka.tailing import Tail
from sluice.log import Record
from sluice.model import Millis, PartnerId
from sluice.recorded_set import RecordedSet
from stream_processors.sharing.clock import Clock
from stream_processors.sharing.view import View

_ASK_AGAIN_MS = 500
Build = Callable[[RecordedSet, frozenset[PartnerId]], View]
"""The second: who is paused if its contract allows it."""


class ContractSets(Protocol):
    def newest(self) -> View:
        """Of the set in force, as known; the same object while it is the same. May raise LogUnavailable."""

    def refresh(self) -> None:
        """Learn of every set that was recorded before now."""


class RecordedSets:
    """What `sluice.contract-sets` and `sluice.pauses` say. `build` makes of both what the processor decides by."""

    def __init__(self, client: ClientConfig, group: str, clock: Clock, build: Build) -> None:
        """Raises SluiceError when there is none, or the newest cannot be carried out."""
        self._clock = clock
        self._build = build
        self._tail = Tail(client, (topics.CONTRACT_SETS, topics.PAUSES), group, from_beginning=True)
        self._recorded: RecordedSet | None = None
        self._paused: dict[PartnerId, Millis] = {}
        self._see(self._tail.to_the_end())
        self._view = self._carried_out()
        self._built = self._known()
        self._asked_at = clock.monotonic_ms()

    def newest(self) -> View:
        if self._clock.monotonic_ms() - self._asked_at >= _ASK_AGAIN_MS:
            self._asked_at = self._clock.monotonic_ms()
            self._see(self._tail.poll(0))
        if self._known() != self._built:
            self._view = self._carried_out()
            self._built = self._known()
        return self._view

    def refresh(self) -> None:
        self._tail.extend()
        self._see(self._tail.to_the_end())

    def _see(self, records: Iterable[Record]) -> None:
        found = list(records)
        for record in [one for one in found if one.topic == topics.CONTRACT_SETS][-1:]:
            self._recorded = recorded_set.decode(record.key, record.value)
        for record in found:
            if record.topic == topics.PAUSES:
                pauses.fold(self._paused, record)

    def _known(self) -> tuple[RecordedSet | None, frozenset[PartnerId]]:
        return self._recorded, frozenset(self._paused)

    def _carried_out(self) -> View:
        if self._recorded is None:
            raise SluiceError("There is no contract set in force: run `sluice apply` first.")
        return self._build(self._recorded, frozenset(self._paused))
