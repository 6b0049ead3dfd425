"""A client that fetches nothing any more looks like quiet (confluentinc/librdkafka#5153)."""

from __future__ import annotations

import pytest
from confluent_kafka import TopicPartition

from sluice import topics
from sluice.kafka import tailing
from sluice.kafka.tailing import Tail
from sluice.log import Record
from tests.integration.installation import PARTITIONS, Installation

pytestmark = pytest.mark.broker


def test_who_follows_a_topic_replaces_a_client_that_is_stuck(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise contracts that were withdrawn would be shared by for ever, and nobody would know."""
    monkeypatch.setattr(tailing, "_LOOK_SECONDS", 0.3)
    places = [TopicPartition(topics.CUSTOMER_UPDATES, number) for number in range(PARTITIONS)]
    with Tail(installation.settings.client("admin"), (topics.CUSTOMER_UPDATES,), "test", from_beginning=True) as tail:
        installation.update("crm:1")
        assert [record.key for record in _polled(tail)] == [b"crm:1"]
        stuck = tail._consumer
        stuck.pause(places)
        assert _polled(tail) == []
        assert tail._consumer is stuck, "who has read everything is not stuck"
        installation.update("crm:2")
        assert [record.key for record in _polled(tail)] == [b"crm:2"]
        assert tail._consumer is not stuck


def _polled(tail: Tail) -> list[Record]:
    return [record for _ in range(15) for record in tail.poll(0.1)]
