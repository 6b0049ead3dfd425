"""A broken or another world: the processor says what is wrong in one sentence, or waits and goes on."""

from __future__ import annotations

import time
from functools import partial
from urllib.request import Request, urlopen

import pytest
from confluent_kafka import TopicPartition

from sluice import topics
from sluice.kafka import provisioning as broker_side
from sluice.local import stack
from sluice.local.stack import Endpoints
from sluice.model import CustomerId
from sluice.provisioning import Topic
from tests.integration.installation import HOSHI, PARTITIONS, Installation, eventually

pytestmark = pytest.mark.broker


def share(installation: Installation, customer: str) -> None:
    installation.say(customer, HOSHI, "GIVEN")
    installation.update(customer)
    eventually(lambda: installation.has(HOSHI, customer), f"{customer} shared")


@pytest.mark.parametrize("topic", [topics.CONSENT_EVENTS, topics.DISCLOSURES])
def test_re_created_topic_is_refused(installation: Installation, topic: str) -> None:
    """An input, or the truth about what partners hold: the offsets mean nothing any more."""
    with installation.processor():
        share(installation, "crm:1")
    _recreate(installation, topic)
    installation.start_processor(wait=False).ends_with(f"The topic {topic} was re-created")


def test_re_created_partner_topic_is_refused_and_there_is_a_way_out(installation: Installation) -> None:
    """What the partner holds is not known then: by the processor, and by whoever applies."""
    with installation.processor():
        share(installation, "crm:1")
    _recreate(installation, topics.customers(HOSHI))
    installation.start_processor(wait=False).ends_with("partner.hoshi-card.customers was re-created")
    refused = installation.run("apply", "--yes")
    assert refused.returncode == 1
    assert "The topics of hoshi-card were re-created" in refused.stderr
    contract = installation.contracts_folder / "hoshi-card.yaml"
    text = contract.read_text(encoding="utf-8")
    contract.unlink()
    installation.apply()
    with installation.processor():
        eventually(lambda: HOSHI not in installation.disclosed().get(CustomerId("crm:1"), {}), "recalled")
        assert [message["type"] for message in installation.control(HOSHI)] == ["CONTRACT_ENDED"]
        contract.write_text(text, encoding="utf-8")
        installation.apply()
        eventually(lambda: installation.has(HOSHI, "crm:1"), "shared anew")


def test_no_contract_set_is_named(installation: Installation) -> None:
    _recreate(installation, topics.CONTRACT_SETS, partitions=1)
    installation.start_processor(wait=False).ends_with("There is no contract set in force: run `sluice apply`")


def test_unregistered_partner_schema_is_named(installation: Installation) -> None:
    """The registry lost what was applied."""
    subject = topics.subject(topics.customers(HOSHI))
    url = f"{installation.settings.registry()['url']}/subjects/{subject}"
    for wanted in (url, f"{url}?permanent=true"):
        with urlopen(Request(wanted, method="DELETE"), timeout=10) as answer:  # noqa: S310 - our own registry
            assert answer.status == 200
    installation.start_processor(wait=False).ends_with("`sluice apply` registers it")


def test_another_master_key_is_refused(installation: Installation) -> None:
    with installation.processor():
        share(installation, "crm:1")
    key = installation.folder / "master.key"
    before = key.read_text(encoding="utf-8")
    key.write_text("ab" * 32 + "\n", encoding="utf-8")
    installation.start_processor(wait=False).ends_with("recorded with another master key: restore that key")
    key.write_text(before, encoding="utf-8")
    with installation.processor():
        share(installation, "crm:2")


def test_missing_topic_is_named(installation: Installation) -> None:
    installation.admin.delete_topics([topics.control(HOSHI)])[topics.control(HOSHI)].result()
    eventually(lambda: topics.control(HOSHI) not in installation.admin.list_topics(timeout=10).topics, "deleted")
    installation.start_processor(wait=False).ends_with(f"Cannot use the topic {topics.control(HOSHI)}")


def test_deleted_evidence_is_refused(installation: Installation) -> None:
    with installation.processor():
        for number in range(8):
            share(installation, f"crm:{number}")
    everything = [TopicPartition(topics.CONSENT_EVENTS, p, -1) for p in range(PARTITIONS)]
    for future in installation.admin.delete_records(everything).values():
        future.result()
    installation.start_processor(wait=False).ends_with("older records were deleted")


def test_missing_master_key_is_named(installation: Installation) -> None:
    (installation.folder / "master.key").unlink()
    installation.start_processor(wait=False).ends_with("There is no master key")


def test_missing_settings_are_named(installation: Installation) -> None:
    installation.settings_path.unlink()
    installation.start_processor(wait=False).ends_with("There are no settings")


def test_broker_away_and_back(endpoints: Endpoints, installation: Installation) -> None:
    state = endpoints.clients.parent
    processor = installation.start_processor()
    share(installation, "crm:1")
    stack.stop(state, ("broker",), patience=0)
    time.sleep(2)
    stack.start(state)
    assert processor.said("unavailable")
    share(installation, "crm:2")
    assert installation.has(HOSHI, "crm:1")
    processor.stop()


def test_started_while_the_broker_is_away(endpoints: Endpoints, installation: Installation) -> None:
    """It waits, and says so: who is started again and again instead comes back late when the broker does."""
    state = endpoints.clients.parent
    stack.stop(state, ("broker",), patience=0)
    try:
        starts = (installation.start_processor, installation.start_returns, installation.start_providers)
        started = [start(wait=False) for start in starts]
        for one in started:
            eventually(partial(one.said, "unavailable"), f"it waits: {one.log.read_text()}", 60)
        assert started[0].metric("sluice_unavailable", needs="broker") == 1
    finally:
        stack.start(state)
    for one in started:
        eventually(partial(one.said, "serving"), f"it goes on: {one.log.read_text()}", 60)
    share(installation, "crm:1")
    for one in started:
        one.stop()


def _recreate(installation: Installation, topic: str, partitions: int = PARTITIONS) -> None:
    installation.admin.delete_topics([topic])[topic].result()
    eventually(lambda: topic not in installation.admin.list_topics(timeout=10).topics, "deleted")
    broker_side.create_topics(installation.admin, [Topic(topic, {})], partitions)
