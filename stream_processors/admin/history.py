"""The contract sets that came into force, as they are recorded: read on from look to look, and not kept."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Thread

from sluice import recorded_set, topics
from sluice.errors import SluiceError
from sluice.kafka.clients import ClientConfig, KafkaUnavailable
from sluice.kafka.tailing import Tail
from sluice.model import PartnerId
from sluice.recorded_set import RecordedSet

_SHOWN = 20
_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 5.0
_SOON_SECONDS = 1.0
_AGAIN_SECONDS, _LASTS_SECONDS = 5.0, 30.0
"""After a failure, and after what was read."""
_BEING_READ = "Contract sets are still being read."


@dataclass(frozen=True, slots=True)
class Change:
    """A contract set that came into force."""

    digest: str
    at: datetime
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of sets. Of all but the last only what it changed is kept."""

    partners: Mapping[PartnerId, bool] = field(default_factory=dict)
    """Of the last set: whether a partner's contract has ended."""
    changes: tuple[Change, ...] = ()
    """The newest first."""
    texts: Mapping[str, str] | None = None
    """Of the last set."""

    def followed_by(self, digest: str, timestamp: int, recorded: RecordedSet) -> Known:
        """With one more, the last."""
        texts = _texts(recorded)
        said = ("the first set",) if self.texts is None else tuple(_differences(self.texts, texts))
        change = Change(digest, datetime.fromtimestamp(timestamp / 1000, UTC), said)
        partners = {one.partner: one.ended for one in recorded.partners}
        return Known(partners, (change, *self.changes)[:_SHOWN], texts)


class History:
    """Read in the background, so that nobody waits long for a broker that is away. For one thread at a time."""

    def __init__(self, client: ClientConfig, group: str) -> None:
        """`group` is never joined: see sluice.kafka.clients.reader."""
        self._client = client
        self._group = group
        self._tail: Tail | None = None
        self._reading = Thread()
        self._asked_at = float("-inf")
        self._lasts_seconds = _AGAIN_SECONDS
        self.known = Known()
        self._failed = _BEING_READ

    @property
    def unknown(self) -> str:
        """Why what is known may not be all, or nothing."""
        return self._failed or (_BEING_READ if self._reading.is_alive() else "")

    def look(self) -> None:
        """What came lately will be known: at once if the broker answers soon."""
        if not self._reading.is_alive() and time.monotonic() - self._asked_at > self._lasts_seconds:
            self._asked_at = time.monotonic()
            self._reading = Thread(target=self._look, name="contract-sets", daemon=True)
            self._reading.start()
            self._reading.join(_SOON_SECONDS)

    def _look(self) -> None:
        """After a failure everything is read again the next time."""
        try:
            self._read()
        except SluiceError as error:
            self._failed, self._lasts_seconds = str(error), _AGAIN_SECONDS
            tail, self._tail = self._tail, None
            if tail is not None:
                tail.close()  # which may take long, if its broker is away
        else:
            self._failed, self._lasts_seconds = "", _LASTS_SECONDS

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
                recorded = recorded_set.decode(record.key, record.value)
                known = known.followed_by((record.key or b"").decode(), record.timestamp, recorded)
            if time.monotonic() > deadline:
                raise KafkaUnavailable(f"Cannot read {topics.CONTRACT_SETS}: the broker does not answer.")
        self.known = known


def _texts(recorded: RecordedSet) -> dict[str, str]:
    laws = {f"law {path}": text for path, text in recorded.laws.items()}
    return {path.removesuffix(".yaml"): text for path, text in (recorded.contracts | laws).items()}


def _differences(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            yield f"{name} {'is new' if name not in before else 'has gone' if name not in now else 'is another'}"
