"""The client waits for a group's coordinator for ever (librdkafka#5456): the batch is given up, not the process."""

from __future__ import annotations

import time
from contextlib import closing

import pytest
from confluent_kafka import Consumer, TopicPartition

from sluice import topics
from sluice.connection_files import read_properties
from sluice.kafka.clients import KafkaUnavailable
from sluice.kafka.transaction_writer import TransactionWriter
from tests.chaos.field import PROXIED, Field

pytestmark = pytest.mark.broker

_MOST_SECONDS = 15.0


def test_network_gone_between_writing_and_committing_offsets(field: Field) -> None:
    sharing = field.installation.settings.sharing
    client = read_properties(field.stack.clients(PROXIED) / "sharing.properties")
    writer = TransactionWriter(client, f"{sharing.group}.0", topics.DISCLOSURES, 1_000_000)
    with closing(Consumer({**client, "group.id": sharing.group})) as consumer:
        outsider = consumer.consumer_group_metadata()

    def write() -> None:
        writer.begin()
        writer.produce(topics.DISCLOSURES, 0, b"crm:1", b"", 0)
        writer.flush()

    def commit(offset: int) -> None:
        writer.commit([TopicPartition(topics.CUSTOMER_UPDATES, 0, offset)], outsider)

    writer.claim()
    write()
    commit(1)  # now the client knows the coordinator
    write()
    field.stack.proxies[PROXIED].cut()
    began = time.monotonic()
    with pytest.raises(KafkaUnavailable):
        commit(2)
    assert time.monotonic() - began < _MOST_SECONDS
    field.stack.proxies[PROXIED].restore()
    writer.renew()
    write()
    commit(2)
