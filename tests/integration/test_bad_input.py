"""Bad input, each by its name in the failure table: nothing stops, leaks, or is held without a reason."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from confluent_kafka import KafkaException

from sluice import topics
from sluice.avro import Writer
from sluice.partitioning import partition_of
from tests.integration.installation import (
    ADRESSO,
    HOSHI,
    LISTMART,
    PARTITIONS,
    Installation,
    eventually,
    now_ms,
)

pytestmark = pytest.mark.broker


def share(installation: Installation, customer: str) -> None:
    """The customer stands in the card's topic."""
    installation.say(customer, HOSHI, "GIVEN")
    installation.update(customer)
    eventually(lambda: installation.has(HOSHI, customer), f"{customer} shared")


def causes(installation: Installation) -> list[str]:
    return sorted(record["cause"] for record in installation.rejected())


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (b"\x01not framed", "not_framed"),
        (b"\x00\x00", "not_framed"),
        (struct.pack(">bI", 0, 987_654) + b"x", "schema_unknown"),
    ],
)
def test_update_cannot_be_decoded(installation: Installation, value: bytes, cause: str) -> None:
    with installation.processor() as processor:
        share(installation, "crm:1")
        installation.send(topics.CUSTOMER_UPDATES, b"crm:1", value)
        eventually(lambda: not installation.has(HOSHI, "crm:1"), "recalled")
        assert processor.metric("sluice_rejected_total", topic=topics.CUSTOMER_UPDATES, cause=cause) == 1
        (pointer,) = installation.rejected()
        assert (pointer["topic"], pointer["cause"]) == (topics.CUSTOMER_UPDATES, cause)
        installation.update("crm:1")
        eventually(lambda: installation.has(HOSHI, "crm:1"), "a good update puts it right")


def test_update_with_bytes_beyond_its_end(installation: Installation) -> None:
    with installation.processor():
        share(installation, "crm:1")
        installation.send(topics.CUSTOMER_UPDATES, b"crm:1", installation.profile("crm:1") + b"\x00")
        eventually(lambda: not installation.has(HOSHI, "crm:1"), "recalled")
    assert causes(installation) == ["undecodable"]


def test_update_whose_key_is_unreadable(installation: Installation) -> None:
    with installation.processor():
        installation.send(topics.CUSTOMER_UPDATES, b"\xff\xfe", installation.profile("crm:1"))
        eventually(lambda: causes(installation) == ["key_unreadable"], "pointer written")


def test_update_with_null_key_is_refused_by_the_broker(installation: Installation) -> None:
    with pytest.raises(AssertionError, match="INVALID_RECORD"):
        installation.send(topics.CUSTOMER_UPDATES, None, installation.profile("crm:1"))


def test_required_field_is_missing(installation: Installation) -> None:
    with installation.processor() as processor:
        share(installation, "crm:1")
        installation.update("crm:1", family_name=None)
        eventually(lambda: not installation.has(HOSHI, "crm:1"), "recalled")
        assert processor.metric("sluice_outcomes_total", partner=HOSHI, reason="required_field_missing") == 1


def test_source_schema_drops_a_field_that_a_contract_requires(installation: Installation) -> None:
    address = {"type": "record", "name": "Address", "fields": [{"name": "country", "type": "string"}]}
    types: dict[str, Any] = {"customer_id": "string", "residence": "string", "address": address}
    fields = [{"name": name, "type": of} for name, of in types.items()]
    schema = json.dumps({"type": "record", "name": "CustomerProfile", "namespace": "sluice.crm", "fields": fields})
    schema_id = installation.registry.register("another-subject-value", schema, "NONE")
    poor = Writer(schema, schema_id).write({"customer_id": "crm:1", "residence": "AU", "address": {"country": "AU"}})
    with installation.processor() as processor:
        share(installation, "crm:1")
        installation.send(topics.CUSTOMER_UPDATES, b"crm:1", poor)
        eventually(lambda: not installation.has(HOSHI, "crm:1"), "recalled")
        assert processor.metric("sluice_outcomes_total", partner=HOSHI, reason="required_field_not_in_schema") == 1
    told = [(pointer["partner"], pointer["cause"]) for pointer in installation.rejected()]
    assert sorted(told) == [(partner, "required_field_not_in_schema") for partner in (ADRESSO, HOSHI)]


def test_partner_record_above_the_topics_limit(installation: Installation) -> None:
    installation.limit(topics.customers(HOSHI), max_message_bytes=20_000)
    with installation.processor() as processor:
        share(installation, "crm:1")
        installation.say("crm:1", LISTMART, "GIVEN")
        eventually(lambda: installation.has(LISTMART, "crm:1"), "shared with both")
        installation.update("crm:1", given_name="x" * 19_900)
        eventually(lambda: not installation.has(HOSHI, "crm:1"), "recalled there")
        eventually(lambda: (installation.has(LISTMART, "crm:1") or {}).get("given_name") == "x", "short there")
        assert processor.metric("sluice_outcomes_total", partner=HOSHI, reason="record_too_large") == 1
    (pointer,) = installation.rejected()
    assert (pointer["cause"], pointer["partner"]) == ("record_too_large", HOSHI)


def test_consent_event_cannot_be_decoded(installation: Installation) -> None:
    with installation.processor():
        share(installation, "crm:1")
        share(installation, "crm:2")
        installation.send(topics.CONSENT_EVENTS, b"crm:1", b"\x00garbage")
        eventually(lambda: not installation.has(HOSHI, "crm:1"), "counts as denied")
        installation.say("crm:1", HOSHI, "GIVEN", at=now_ms())
        share(installation, "crm:3")
        assert installation.has(HOSHI, "crm:1") is None
        assert installation.has(HOSHI, "crm:2")
    (pointer,) = installation.rejected()
    place = f"{pointer['topic']}/{pointer['partition']}@{pointer['offset']}"
    installation.write_settings(acknowledged=[place])
    with installation.processor():
        eventually(lambda: installation.has(HOSHI, "crm:1"), "shared again once an operator acknowledged the event")


def test_consent_event_that_contradicts_its_key(installation: Installation) -> None:
    with installation.processor():
        share(installation, "crm:1")
        other = installation.consent_writer.write(installation.consent("crm:2", HOSHI, "WITHDRAWN"))
        installation.send(topics.CONSENT_EVENTS, b"crm:1", other)
        eventually(lambda: not installation.has(HOSHI, "crm:1"), "counts as denied")
    assert causes(installation) == ["key_contradicts_value"]


def test_consent_event_whose_key_is_null(installation: Installation) -> None:
    """It names nobody: nothing is added on its partition, recalls go on, until an operator has looked into it."""
    inside = [f"crm:{n}" for n in range(60) if partition_of(f"crm:{n}".encode(), PARTITIONS) == 0]
    outside = next(f"crm:{n}" for n in range(60) if partition_of(f"crm:{n}".encode(), PARTITIONS) == 1)
    with installation.processor() as processor:
        share(installation, inside[0])
        event = installation.consent_writer.write(installation.consent("crm:x", HOSHI, "WITHDRAWN"))
        installation.send(topics.CONSENT_EVENTS, None, event)
        eventually(lambda: causes(installation) == ["key_unreadable"], "pointer written")
        installation.say(inside[1], HOSHI, "GIVEN")
        installation.update(inside[1])
        share(installation, outside)
        installation.say(inside[0], HOSHI, "WITHDRAWN")
        eventually(lambda: not installation.has(HOSHI, inside[0]), "recalls go on")
        assert installation.has(HOSHI, inside[1]) is None
        assert processor.metric("sluice_widening_stopped", partition="0", reason="unreadable_consent_key") == 1
    (pointer,) = installation.rejected()
    installation.write_settings(acknowledged=[f"{topics.CONSENT_EVENTS}/0@{pointer['offset']}"])
    with installation.processor():
        eventually(lambda: installation.has(HOSHI, inside[1]), "added once acknowledged")


def test_consent_for_an_unknown_customer(installation: Installation) -> None:
    with installation.processor() as processor:
        installation.say("crm:ghost", HOSHI, "GIVEN")
        named = {"partner": HOSHI, "outcome": "withheld", "reason": "no_profile"}
        eventually(lambda: processor.metric("sluice_outcomes_total", **named) == 1, "withheld")
        assert installation.read(topics.DISCLOSURES) == []
        installation.update("crm:ghost")
        eventually(lambda: installation.has(HOSHI, "crm:ghost"), "the answer was kept")


def test_consent_events_out_of_order_and_duplicated(installation: Installation) -> None:
    """What was said last counts, however the events arrive and however often."""
    at = now_ms() - 1_000_000
    story: list[tuple[str, dict[str, Any]]] = [
        ("GIVEN", {"at": at}),
        ("WITHDRAWN", {"at": at + 1000}),
        ("GIVEN", {"at": at + 2000, "expression": "explicit"}),
    ]
    orders = ([0, 1, 2], [2, 1, 0], [1, 2, 0, 1, 2], [2, 0, 2, 0, 1])
    with installation.processor():
        for number, order in enumerate(orders):
            installation.update(f"crm:{number}")
            for step in order:
                state, fields = story[step]
                installation.say(f"crm:{number}", HOSHI, state, **fields)
            installation.update(f"crm:{number}")
        eventually(lambda: len(installation.holds(HOSHI)) == len(orders), "all shared")


def misplace(installation: Installation, topic: str, customer: str, value: bytes | None) -> None:
    """As a CRM whose producer partitions by another rule."""
    wrong = (partition_of(customer.encode(), PARTITIONS) + 1) % PARTITIONS
    installation.crm.produce(topic, value, customer.encode(), partition=wrong)
    assert installation.crm.flush(10) == 0


def test_consent_event_in_the_wrong_partition(installation: Installation) -> None:
    """It is written again where it belongs, and takes effect there; nothing else waits for it."""
    with installation.processor() as processor:
        share(installation, "crm:1")
        withdrawn = installation.consent_writer.write(installation.consent("crm:1", HOSHI, "WITHDRAWN", at=now_ms()))
        misplace(installation, topics.CONSENT_EVENTS, "crm:1", withdrawn)
        eventually(lambda: not installation.has(HOSHI, "crm:1"), "the withdrawal took effect")
        given = installation.consent("crm:2", HOSHI, "GIVEN")
        misplace(installation, topics.CONSENT_EVENTS, "crm:2", installation.consent_writer.write(given))
        installation.update("crm:2")
        eventually(lambda: installation.has(HOSHI, "crm:2"), "the grant did too")
        assert processor.metric("sluice_widening_stopped") == 0
        assert processor.metric("sluice_rejected_total", cause="misplaced") == 2
    assert causes(installation) == ["misplaced", "misplaced"]
    own = [r for r in installation.read(topics.CONSENT_EVENTS) if r.partition == partition_of(r.key or b"", PARTITIONS)]
    assert sorted(record.key or b"" for record in own) == [b"crm:1", b"crm:1", b"crm:2"], "each written again once"


def test_deletion_in_the_wrong_partition(installation: Installation) -> None:
    with installation.processor():
        share(installation, "crm:1")
        misplace(installation, topics.CUSTOMER_UPDATES, "crm:1", None)
        eventually(lambda: not installation.has(HOSHI, "crm:1"), "deleted")
        assert [message["type"] for message in installation.control(HOSHI)] == ["ERASE"]
    assert causes(installation) == ["misplaced"]


def test_update_in_the_wrong_partition(installation: Installation) -> None:
    """It says nothing certain, for nobody knows whether it is older or newer: a pointer, and nothing is recalled."""
    with installation.processor() as processor:
        share(installation, "crm:1")
        before = installation.has(HOSHI, "crm:1")
        stray = installation.profile("crm:1", given_name="Stray")
        misplace(installation, topics.CUSTOMER_UPDATES, "crm:1", stray)
        eventually(lambda: processor.metric("sluice_rejected_total", cause="misplaced") == 1, "noticed")
        share(installation, "crm:2")
        assert installation.has(HOSHI, "crm:1") == before
    assert causes(installation) == ["misplaced"]
    updates = [record.key for record in installation.read(topics.CUSTOMER_UPDATES)]
    assert updates.count(b"crm:1") == 2, "and it is not written again"


def test_consent_event_from_the_future_or_in_unknown_words(installation: Installation) -> None:
    with installation.processor():
        share(installation, "crm:1")
        share(installation, "crm:2")
        installation.say("crm:1", HOSHI, "GIVEN", at=now_ms() + 3_600_000)
        installation.say("crm:2", HOSHI, "WITHDRAWN", data_scope=["email"])
        eventually(lambda: not installation.holds(HOSHI), "both count as denied")
    assert causes(installation) == ["dated_in_the_future", "not_understood"]


def test_crm_may_not_begin_transactions(installation: Installation) -> None:
    from confluent_kafka import Producer  # noqa: PLC0415 - only here

    producer = Producer({**installation.settings.client("crm"), "transactional.id": "crm-1", "log_level": 0})
    with pytest.raises(KafkaException, match="TRANSACTIONAL_ID_AUTHORIZATION_FAILED"):
        producer.init_transactions(10)
