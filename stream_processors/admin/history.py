"""The contract sets that came into force, as they are recorded: read on from look to look, and not kept."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sluice import recorded_set, topics
from sluice.errors import SluiceError
from sluice.kafka.clients import ClientConfig, KafkaUnavailable
from sluice.kafka.tailing import Tail
from sluice.log import Record
from sluice.model import PartnerId
from sluice.recorded_set import RecordedSet

_SHOWN = 20
_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Change:
    """A contract set that came into force."""

    digest: str
    at: datetime
    changes: tuple[str, ...]


class Known:
    """What is known of sets after some of them, the oldest first. Of all but the last only what it changed is kept."""

    def __init__(self) -> None:
        self.partners: Mapping[PartnerId, bool] = {}
        """Of the last set: whether a partner's contract has ended."""
        self._changes: deque[Change] = deque(maxlen=_SHOWN)
        self._texts: dict[str, str] | None = None

    @property
    def changes(self) -> tuple[Change, ...]:
        """The newest first."""
        return tuple(reversed(self._changes))

    def add(self, digest: str, timestamp: int, recorded: RecordedSet) -> None:
        texts = _texts(recorded)
        said = ("the first set",) if self._texts is None else tuple(_differences(self._texts, texts))
        self._changes.append(Change(digest, datetime.fromtimestamp(timestamp / 1000, UTC), said))
        self._texts = texts
        self.partners = {one.partner: one.ended for one in recorded.partners}


class History:
    """For one thread at a time."""

    def __init__(self, client: ClientConfig, group: str) -> None:
        """`group` is never joined: see sluice.kafka.clients.reader."""
        self._client = client
        self._group = group
        self._tail: Tail | None = None
        self.known = Known()

    def look(self) -> None:
        """What has come since is known. Raises SluiceError; then everything is read again the next time."""
        try:
            self._read()
        except SluiceError:
            self.close()
            raise

    def close(self) -> None:
        if self._tail is not None:
            self._tail.close()
        self._tail = None

    def _read(self) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        if self._tail is None:
            self._tail = Tail(self._client, (topics.CONTRACT_SETS,), self._group, from_beginning=True)
            known = Known()
        else:
            self._tail.extend()
            known = self.known
        while not self._tail.is_at_the_end:
            for record in self._tail.poll(_POLL_SECONDS):
                _add(known, record)
            if time.monotonic() > deadline:
                raise KafkaUnavailable(f"Cannot read {topics.CONTRACT_SETS}: the broker does not answer.")
        self.known = known


def _add(known: Known, record: Record) -> None:
    known.add((record.key or b"").decode(), record.timestamp, recorded_set.decode(record.key, record.value))


def _texts(recorded: RecordedSet) -> dict[str, str]:
    laws = {f"law {path}": text for path, text in recorded.laws.items()}
    return {path.removesuffix(".yaml"): text for path, text in (recorded.contracts | laws).items()}


def _differences(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            yield f"{name} {'is new' if name not in before else 'has gone' if name not in now else 'is another'}"
