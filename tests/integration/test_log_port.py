"""A real broker passes the suite that the log in memory passes: what the simulation shows, it shows of Kafka too."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from sluice import topics
from sluice.kafka.clients import ClientConfig
from sluice.kafka.transactions import LogSettings, TransactionalLog
from sluice.local.stack import Endpoints
from sluice.log import Aborted, Log
from tests.contract.log_port import (
    CONSENTS,
    DISCLOSURES,
    PARTNER,
    BehavesAsALog,
    Bench,
    fetched,
    serve,
)
from tests.integration.installation import PARTITIONS, Installation
from tests.integration.upstream import Upstream

pytestmark = pytest.mark.broker

_SESSION_MS = 6_000
_SILENCE_MS = 10_000


class _BrokerBench:
    partitions = PARTITIONS

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._group = installation.settings.sharing.group
        self._client = installation.settings.client("sharing")

    def log(self, instance: str) -> Log:
        return self._log(self._client, instance)

    def observer(self) -> Log:
        return self._log(self._installation.settings.client("admin"), "observer")

    def _log(self, client: ClientConfig, instance: str) -> Log:
        return TransactionalLog(
            client,
            LogSettings(
                group=self._group,
                instance=instance,
                driving=topics.CUSTOMER_UPDATES,
                joined=topics.CONSENT_EVENTS,
                confirmed=topics.DISCLOSURES,
                instances=("0", "1"),
                session_timeout_ms=_SESSION_MS,
                silence_ms=_SILENCE_MS,
            ),
        )

    def write(self, topic: str, partition: int, key: bytes, value: bytes | None) -> None:
        self._installation.crm.produce(topic, value, key, partition=partition)
        assert self._installation.crm.flush(10) == 0

    def upstream(self) -> Upstream:
        return Upstream(self._installation)

    def wait(self) -> None:
        time.sleep(0.02)

    def outlive(self, log: Log) -> None:  # noqa: ARG002 - it is the only one that does not fetch
        time.sleep(_SILENCE_MS / 1000 + 2)

    def leave_offsets_open(self, instance: str, partition: int) -> None:
        client = self._installation.settings.client("sharing")
        dead = Producer({**client, "transactional.id": f"{self._group}.{instance}", "log_level": 0})
        dead.init_transactions(10)
        dead.begin_transaction()
        stranger = Consumer({**client, "group.id": self._group, "log_level": 0})
        offsets = [TopicPartition(topics.CUSTOMER_UPDATES, partition, 0)]
        dead.send_offsets_to_transaction(offsets, stranger.consumer_group_metadata(), 10)
        stranger.close()


@pytest.fixture(scope="module")
def shared(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    one = Installation(endpoints, tmp_path_factory.mktemp("log_port"))
    one.set_up()
    yield one
    one.tear_down()


class TestTransactionalLog(BehavesAsALog):
    @pytest.fixture
    def bench(self, shared: Installation) -> Bench:
        return _BrokerBench(shared)

    @pytest.mark.parametrize("topic", [PARTNER, DISCLOSURES])
    def test_a_record_that_the_broker_refuses_takes_everything_with_it(
        self, bench: Bench, log: Log, topic: str
    ) -> None:
        """It is told for what it is, not for what comes of it: somebody has to mend it, and no other try would."""
        serve(bench, log)
        log.begin()
        log.produce(topic, 0, b"crm:1", os.urandom(3_000_000), 1_000)
        for other in (topic, DISCLOSURES):
            log.produce(other, 0, b"crm:1", b"small", 1_000)
        with pytest.raises(Aborted, match="refuses") as aborted:
            log.flush()
        assert not aborted.value.retriable
        log.abort()
        end = log.bounds((DISCLOSURES,), 0)[DISCLOSURES].high
        assert b"small" not in [one.value for one in log.read(DISCLOSURES, 0, 0, end) if one is not None]

    def test_a_consumer_that_fetches_nothing_any_more_is_replaced(self, bench: Bench, log: Log) -> None:
        """As the client library's do, sometimes, after the broker was away (confluentinc/librdkafka#5153)."""
        assert isinstance(log, TransactionalLog)
        at = serve(bench, log)
        log._joined.unassign()
        bench.write(CONSENTS, 0, b"crm:1", b"unseen")
        assert log.fetch_joined(0.5) == []
        log.reconnect()
        log.start(at)
        assert [record.value for record in fetched(bench, lambda: log.fetch_joined(0.1), 1)] == [b"unseen"]
