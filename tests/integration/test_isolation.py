"""Who sees what: a partner its own topics alone, and nobody a value that no contract lists."""

from __future__ import annotations

import json
import urllib.request

import pytest
from confluent_kafka import Producer

from sluice import topics
from sluice.errors import SluiceError
from sluice.kafka.clients import admin_client
from sluice.kafka.tailing import Tail
from tests.integration.installation import ADRESSO, HOSHI, LISTMART, PARTNERS, Installation, eventually

pytestmark = pytest.mark.broker

FOREIGN = (
    topics.CUSTOMER_UPDATES,
    topics.CONSENT_EVENTS,
    topics.DISCLOSURES,
    topics.REJECTED,
    topics.customers(LISTMART),
    topics.control(LISTMART),
    topics.ACCEPTED_RETURNS,
    topics.REFUSED_RETURNS,
    topics.PAUSES,
    topics.ENRICHMENTS,
    topics.REFUSED_REPLIES,
    topics.requests(ADRESSO),
    topics.replies(ADRESSO),
    topics.returns(HOSHI),
    topics.returns(LISTMART),
)


@pytest.mark.parametrize("topic", FOREIGN)
def test_a_partner_reads_nothing_but_its_own(installation: Installation, topic: str) -> None:
    with (
        pytest.raises(SluiceError, match="authorization failed"),
        Tail(installation.settings.client(HOSHI), (topic,), topics.partner_group(HOSHI, "x"), from_beginning=True),
    ):
        pass


def test_a_partner_sees_only_its_own_topics_and_writes_its_returns_alone(installation: Installation) -> None:
    client = installation.settings.client(HOSHI)
    visible = {name for name in admin_client(client).list_topics(timeout=10).topics if not name.startswith("__")}
    assert visible == {topics.customers(HOSHI), topics.control(HOSHI), topics.returns(HOSHI)}
    producer = Producer({**client, "enable.idempotence": False, "log_level": 0})
    failures: list[str] = []
    for topic in (topics.customers(HOSHI), topics.CONSENT_EVENTS, topics.returns(LISTMART), topics.PAUSES):
        producer.produce(topic, b"x", b"k", on_delivery=lambda error, _: failures.append(error.name() if error else ""))
    producer.flush(10)
    assert failures == ["TOPIC_AUTHORIZATION_FAILED"] * 4


def test_canary_values_reach_no_place_that_no_contract_lists(installation: Installation) -> None:
    """A canary in every field; everything that is written anywhere is searched for it."""
    fields = {
        "source_system": "canary-source_system",
        "title": "canary-title",
        "given_name": "Qanary-given_name",
        "middle_name": "canary-middle_name",
        "family_name": "Kanary-family_name",
        "given_name_kana": "canary-given_name_kana",
        "family_name_kana": "canary-family_name_kana",
        "email": "canary-email@example.com",
        "phone": "canary-phone",
        "mobile": "canary-mobile",
        "preferred_language": "canary-preferred_language",
        "residence": "AU",  # any other word means every law there is, and nothing would be shared
        "collected_in": "AU",
        "address": {
            "street": "canary-street",
            "street2": "canary-street2",
            "city": "canary-city",
            "state": "canary-state",
            "postal_code": "canarypostcode",
            "country": "AU",
        },
        "billing_address": {"street": "canary-billing", "postal_code": "canarybilling"},
        "company": {"company": "canary-company", "department": "canary-department", "role": "canary-role"},
        "loyalty": {"program": "canary-program", "tier": "GOLD", "points": 987654321},
        "segments": ["canary-segment"],
        "identifiers": [{"scheme": "canary-scheme", "value": "canary-identifier"}],
        "attributes": {"canary-attribute": "canary-attribute-value"},
        "preferences": {"canary-preference": True},
        "note": "canary-note",
    }
    listed = {
        ADRESSO: {"street", "street2", "city", "state", "postcode"},
        HOSHI: {"given_name", "family_name", "email"},
        LISTMART: {"state"},
    }
    canaries = {
        "Qanary-given_name": "given_name",
        "Kanary-family_name": "family_name",
        "canary-street": "street",
        "canary-email@example.com": "email",
        "canary-street2": "street2",
        "canary-city": "city",
        "canary-state": "state",
        "canarypostcode": "postcode",
    }
    processor = installation.start_processor()
    for partner in PARTNERS:
        installation.say("crm:canary-id", partner, "GIVEN")
    installation.update("crm:canary-id", **fields)
    eventually(lambda: all(installation.has(p, "crm:canary-id") for p in PARTNERS), "shared")
    installation.update("crm:canary-id", **{**fields, "family_name": "K" * 2_000_00 + "anary-family_name"})
    installation.send(topics.CUSTOMER_UPDATES, b"crm:canary-id-2", b"\x00\x00\x00\xff\xffcanary-undecodable")
    installation.send(topics.CONSENT_EVENTS, b"crm:canary-id-2", b"\x00canary-undecodable-consent")
    installation.say("crm:canary-id", LISTMART, "WITHDRAWN")
    eventually(lambda: not installation.has(LISTMART, "crm:canary-id"), "recalled")
    eventually(lambda: len(installation.rejected()) == 2, "both rejected")
    serving = eventually(lambda: processor.said("serving_metrics"), "metrics")
    with urllib.request.urlopen(serving["url"]) as response:  # noqa: S310 - our own endpoint
        metrics = response.read()
    processor.stop()

    for partner in PARTNERS:
        for topic in (topics.customers(partner), topics.control(partner)):
            allowed = sorted((c for c, field in canaries.items() if field in listed[partner]), key=len, reverse=True)
            for record in installation.read(topic):
                assert record.key is not None
                written = record.key + (record.value or b"")
                for canary in allowed:
                    written = written.replace(canary.encode(), b"")
                assert b"anary" not in written, (partner, topic)
    for topic in (topics.REJECTED, topics.DISCLOSURES):
        for record in installation.read(topic):
            value = (record.value or b"").replace(
                b"crm:canary-id/", b""
            )  # the ids of consent records name the customer
            assert b"anary" not in value
    assert all(b"anary" not in (record.key or b"") for record in installation.read(topics.REJECTED))
    assert b"anary" not in metrics
    assert "anary" not in processor.log.read_text()


def test_partner_records_carry_no_headers_and_one_coarse_time(installation: Installation) -> None:
    with installation.processor():
        installation.say("crm:1", HOSHI, "GIVEN")
        installation.update("crm:1")
        eventually(lambda: installation.has(HOSHI, "crm:1"), "shared")
    (disclosure,) = [installation.registry.decode(r.value) for r in installation.read(topics.DISCLOSURES)]
    (record,) = installation.read_as(HOSHI, topics.customers(HOSHI))
    assert record.timestamp == disclosure["decided_at"]


def test_tail_shows_what_the_partner_reads(installation: Installation) -> None:
    with installation.processor():
        installation.say("crm:1", HOSHI, "GIVEN")
        installation.update("crm:1")
        eventually(lambda: installation.has(HOSHI, "crm:1"), "shared")
        installation.say("crm:1", HOSHI, "WITHDRAWN")
        eventually(lambda: installation.control(HOSHI), "recalled")
    shown = installation.run("tail", HOSHI, "--from-beginning", "--until-end", "--json")
    lines = [json.loads(line) for line in shown.stdout.splitlines()]
    values = [line["value"] for line in lines if line["topic"] == topics.customers(HOSHI)]
    assert values[0]["family_name"] == "Mori"
    assert values[-1] is None
    assert [line["value"]["type"] for line in lines if line["topic"] == topics.control(HOSHI)] == ["WITHDRAW"]
    for_people = installation.run("tail", HOSHI, "--from-beginning", "--until-end").stdout
    assert "family_name=Mori" in for_people
    assert "recalled" in for_people


def test_tail_of_an_unknown_partner_says_so(installation: Installation) -> None:
    result = installation.run("tail", "nobody")
    assert result.returncode == 1
    assert "There is no" in result.stderr
    assert "Traceback" not in result.stderr
