"""A contract's rate holds on the broker."""

from __future__ import annotations

import os
import time

import pytest
from confluent_kafka import Consumer, TopicPartition

from sluice import topics
from sluice.errors import SluiceError
from sluice.kafka import quotas
from sluice.kafka.clients import KafkaTrouble, idempotent_producer
from tests.integration.installation import ADRESSO, HOSHI, Installation, eventually

pytestmark = pytest.mark.broker

_RATE = 100_000
_BYTES = 2_500_000
_WINDOW_SECONDS = 11
"""Over which the broker counts: what fits into it may come at once."""


def test_a_partner_reads_no_faster_than_its_contract_says(installation: Installation) -> None:
    installation.edit(HOSHI, "limits: {", "limits: {rate: 100 kB/s, ")
    assert quotas.read_rates(installation.settings.client("admin"))[HOSHI] == _RATE
    for partner in (HOSHI, ADRESSO):
        _fill(installation, topics.customers(partner))
    limited, free = _seconds_to_read(installation, HOSHI), _seconds_to_read(installation, ADRESSO)
    print(f"{_BYTES:,} bytes at {_RATE:,} a second: {limited:.1f} s; without a limit {free:.1f} s")  # noqa: T201
    assert limited > (_BYTES - _RATE * _WINDOW_SECONDS) / _RATE - 1
    assert limited > 4 * free
    installation.edit(HOSHI, "rate: 100 kB/s, ", "")
    done = installation.run("apply", "--yes", "--destroy", f"quota/{HOSHI}")
    assert done.returncode == 0, done.stderr
    eventually(lambda: HOSHI not in quotas.read_rates(installation.settings.client("admin")), "no limit any more")


def _fill(installation: Installation, topic: str) -> None:
    """What cannot be compressed, so that bytes are bytes."""
    producer = idempotent_producer({**installation.settings.client("admin"), "batch.size": "20000"})
    for number in range(_BYTES // 5_000):
        producer.produce(topic, os.urandom(5_000), str(number).encode(), partition=0)
    assert producer.flush(20) == 0


def _seconds_to_read(installation: Installation, partner: str) -> float:
    own = {"group.id": f"partner.{partner}.rate", "auto.offset.reset": "earliest", "max.partition.fetch.bytes": 50_000}
    consumer = Consumer({**installation.settings.client(partner), **own})
    consumer.assign([TopicPartition(f"partner.{partner}.customers", 0, 0)])
    began, read = time.monotonic(), 0
    while read < _BYTES:
        message = consumer.poll(30)
        assert message is not None
        assert message.error() is None, message.error()
        read += len(message.value() or b"")
    consumer.close()
    return time.monotonic() - began


def test_who_may_not_set_quotas_is_told_why(installation: Installation) -> None:
    with pytest.raises(KafkaTrouble, match="Cannot look after quotas"):
        quotas.set_rates(installation.settings.client(HOSHI), {HOSHI: None})


def test_a_wrong_password_is_a_sentence(installation: Installation) -> None:
    wrong = {**installation.settings.client("admin"), "sasl.password": "wrong"}
    with pytest.raises(SluiceError, match="Cannot look after quotas"):
        quotas.read_rates(wrong)
