"""How far the processors are, by what their group has committed."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from sluice import topics
from sluice.kafka.admin import high_watermarks, stable_ends
from sluice.kafka.clients import ClientConfig, KafkaTrouble, admin_client
from stream_processors.sharing import checkpoint
from tests.integration.installation import PARTITIONS

_INPUTS = tuple((topic, p) for topic in (topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS) for p in range(PARTITIONS))
_DISCLOSURES = tuple((topics.DISCLOSURES, p) for p in range(PARTITIONS))
_TIMEOUT_SECONDS = 5.0
_PAUSE_SECONDS = 0.25
_LOOKS = 4


@dataclass(frozen=True, slots=True)
class Standing:
    backlog: int
    """Input records that no commit covers."""
    settled: bool
    """Every partition's view is what its inputs say, as its last commit has it."""


class Group:
    """Asks the broker; None from a broker that does not answer."""

    def __init__(self, client: ClientConfig, group: str) -> None:
        self._client = client
        self._group = group
        self._connect()

    def close(self) -> None:
        self._consumer.close()

    def _connect(self) -> None:
        self._admin: AdminClient = admin_client(self._client)
        # The administrative client's own call for this crashes while the group's coordinator is not there (librdkafka).
        own = {"group.id": self._group, "isolation.level": "read_uncommitted", "log_level": 0}
        self._consumer = Consumer({**self._client, **own})

    def standing(self) -> Standing | None:
        try:
            ends = high_watermarks(self._admin, _INPUTS)
            committed = self._committed()
        except (KafkaTrouble, KafkaException):
            self.close()
            self._connect()  # what an old one knows of leaders goes stale
            return None
        backlog = sum(end - max(committed[place].offset, 0) for place, end in ends.items() if place in committed)
        backlog += sum(end for place, end in ends.items() if place not in committed)
        said = [committed.get((topics.CUSTOMER_UPDATES, p)) for p in range(PARTITIONS)]
        settled = all(tp is not None and tp.metadata and checkpoint.decode(tp.metadata).settled for tp in said)
        return Standing(backlog, settled)

    def is_quiet_within(self, seconds: float, giving_up: threading.Event | None = None) -> bool:
        """Everything is read and settled, and was a moment before."""
        deadline = time.monotonic() + seconds
        quiet = 0
        waiting = giving_up or threading.Event()
        while time.monotonic() < deadline and not waiting.wait(_PAUSE_SECONDS):
            now = self.standing()
            quiet = quiet + 1 if now is not None and now.settled and now.backlog == 0 else 0
            if quiet == _LOOKS:
                return True
        return False

    def writes_in(self, partitions: tuple[int, ...]) -> bool:
        """Whether a transaction is open now that has written disclosures in one of the partitions."""
        places = [place for place in _DISCLOSURES if place[1] in partitions]
        try:
            high = high_watermarks(self._admin, places)
            stable = stable_ends(self._admin, places)
            return any(stable[place] < high[place] for place in places)
        except KafkaTrouble:
            return False

    def _committed(self) -> dict[tuple[str, int], TopicPartition]:
        found = self._consumer.committed([TopicPartition(*place) for place in _INPUTS], _TIMEOUT_SECONDS)
        for tp in found:
            if tp.error is not None:
                raise KafkaException(tp.error)
        return {(tp.topic, tp.partition): tp for tp in found}
