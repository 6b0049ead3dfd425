"""A broken or another world: the processor says what is wrong in one sentence, or waits and goes on."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import TopicPartition

from sluice import topics
from sluice.kafka import provisioning as broker_side
from sluice.local import stack
from sluice.local.stack import Endpoints
from sluice.provisioning import Topic
from tests.integration.installation import HOSHI, PARTITIONS, Installation, eventually

pytestmark = pytest.mark.broker


def share(installation: Installation, customer: str) -> None:
    installation.say(customer, HOSHI, "GIVEN")
    installation.update(customer)
    eventually(lambda: installation.has(HOSHI, customer), f"{customer} shared")


def test_changed_contract_set_is_refused(installation: Installation) -> None:
    with installation.processor():
        share(installation, "crm:1")
    path = installation.contracts_folder / "hoshi-card.yaml"
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace("  given_name: keep\n", "  given_name: {truncate: 1}\n"), encoding="utf-8")
    installation.start_processor(wait=False).ends_with("The contract set changed")
    path.write_text(before, encoding="utf-8")
    with installation.processor():
        share(installation, "crm:2")


def test_unregistered_partner_schema_is_named(installation: Installation) -> None:
    path = installation.contracts_folder / "hoshi-card.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("  email: keep\n", ""), encoding="utf-8")
    installation.start_processor(wait=False).ends_with("Provision it first")


def test_wrong_word_in_a_contract_is_told_where_it_stands(installation: Installation) -> None:
    path = installation.contracts_folder / "hoshi-card.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("birth_year", "birth_yaer"), encoding="utf-8")
    installation.start_processor(wait=False).ends_with("did you mean `birth_year`?")


def test_re_created_topic_is_refused(installation: Installation) -> None:
    with installation.processor():
        share(installation, "crm:1")
    topic = topics.control(HOSHI)
    _recreate(installation, topic)
    installation.start_processor(wait=False).ends_with("A topic was re-created")


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


def _recreate(installation: Installation, topic: str) -> None:
    installation.admin.delete_topics([topic])[topic].result()
    eventually(lambda: topic not in installation.admin.list_topics(timeout=10).topics, "deleted")
    broker_side.create_topics(installation.admin, [Topic(topic, {})], PARTITIONS, 1)
