"""Somebody upstream who writes with transactions, as no CRM may: until they end, what comes behind cannot be read."""

from __future__ import annotations

from confluent_kafka import Producer

from sluice import topics
from sluice.model import PartnerId
from sluice.partitioning import partition_of
from tests.integration.installation import PARTITIONS, Installation

_LASTS_MS = 900_000
"""Before the broker ends it by itself: longer than anybody here waits."""


class Upstream:
    """Has a transaction open from the beginning."""

    def __init__(self, installation: Installation) -> None:
        own = {"transactional.id": "upstream", "transaction.timeout.ms": _LASTS_MS, "log_level": 0}
        self._installation = installation
        self._producer = Producer({**installation.settings.client("admin"), **own})
        self._producer.init_transactions(10)
        self._producer.begin_transaction()

    def write(self, topic: str, partition: int, value: bytes) -> None:
        self._producer.produce(topic, value, b"crm:1", partition=partition)
        assert self._producer.flush(10) == 0

    def consent(self, partner: PartnerId, state: str) -> None:
        """Of the customer crm:1."""
        event = self._installation.consent_writer.write(self._installation.consent("crm:1", partner, state))
        self.write(topics.CONSENT_EVENTS, partition_of(b"crm:1", PARTITIONS), event)

    def commit(self) -> None:
        self._producer.commit_transaction(10)

    def abort(self) -> None:
        self._producer.abort_transaction(10)
