"""A source that has a schema of its own, with contracts about it: workload W1, as others would fill the topics."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from confluent_kafka.schema_registry import SchemaRegistryClient

from sluice import topics
from sluice.local.stack import Endpoints
from sluice.partitioning import partition_of
from tests.bench import w1
from tests.integration.installation import PARTITIONS, Installation
from tests.integration.test_until_end import until_end

pytestmark = pytest.mark.broker
CUSTOMERS, UPDATES = 100, 300


@pytest.fixture
def registry(endpoints: Endpoints) -> Iterator[SchemaRegistryClient]:
    """Without a source schema in the end, when everything else is over."""
    client = SchemaRegistryClient({"url": endpoints.registry_url})
    yield client
    forget(client)
    client.close()


def forget(client: SchemaRegistryClient) -> None:
    subject = topics.subject(topics.CUSTOMER_UPDATES)
    client.delete_subject(subject)
    client.delete_subject(subject, permanent=True)


def test_a_source_with_a_schema_of_its_own(registry: SchemaRegistryClient, installation: Installation) -> None:
    forget(registry)
    profile_id = installation.registry.register(topics.subject(topics.CUSTOMER_UPDATES), w1.schema(), "FULL_TRANSITIVE")
    for old in installation.contracts_folder.glob("*.yaml"):
        old.unlink()
    for partner, wanted in w1.PARTNERS.items():
        text = yaml.safe_dump(w1.contract(partner, wanted), sort_keys=False)
        (installation.contracts_folder / f"{partner}.yaml").write_text(text, encoding="utf-8")
    installation.apply()
    latest = registry.get_latest_version(topics.subject(topics.CUSTOMER_UPDATES))
    assert latest.schema_id == profile_id, "the source's schema stays as it is"
    consent_id, _ = installation.registry.latest(topics.subject(topics.CONSENT_EVENTS))
    workload = w1.Workload(profile_id, consent_id)
    for topic, records in (
        (topics.CONSENT_EVENTS, workload.consents(CUSTOMERS)),
        (topics.CUSTOMER_UPDATES, workload.updates(CUSTOMERS, UPDATES)),
    ):
        for one in records:
            installation.crm.produce(topic, one.value, one.key, partition=partition_of(one.key, PARTITIONS))
    assert installation.crm.flush(20) == 0
    done = until_end(installation)
    assert (done["updates"], done["rejected"], done["held_up"]) == (UPDATES, 0, {})
    assert done["deliveries"] > CUSTOMERS, "one and a half for each customer, however often they changed in one batch"
