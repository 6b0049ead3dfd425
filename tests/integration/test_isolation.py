"""Who sees what: a partner its own topics alone, and nobody a value that no contract lists."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest
from confluent_kafka import Consumer

from sluice import topics
from sluice.kafka.clients import ClientConfig, admin_client
from sluice.model import PartnerId
from tests.integration import attempts
from tests.integration.installation import ADRESSO, HOSHI, LISTMART, PARTNERS, Installation, eventually

pytestmark = pytest.mark.broker

GROUPS = {partner: topics.partner_group(partner, "theirs") for partner in (ADRESSO, LISTMART)}
"""Of partners who have read."""


def names(installation: Installation) -> set[str]:
    return {name for name in installation.admin.list_topics(timeout=10).topics if not name.startswith("__")}


def transactional_ids(installation: Installation) -> list[str]:
    return ["its-own", f"{installation.settings.sharing.group}.0"]


@pytest.fixture
def busy(installation: Installation) -> Installation:
    """Two partners have groups with offsets, and so has the processor."""
    with installation.processor():
        installation.say("crm:1", LISTMART, "GIVEN")
        installation.update("crm:1")
        eventually(lambda: all(installation.has(partner, "crm:1") for partner in GROUPS), "shared")
    for partner, group in GROUPS.items():
        _read_something(installation.settings.client(partner), topics.customers(partner), group)
    return installation


def _read_something(client: ClientConfig, topic: str, group: str) -> None:
    consumer = Consumer({**client, "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    eventually(lambda: consumer.poll(0.2), "read")
    consumer.commit(asynchronous=False)
    consumer.close()


@pytest.mark.parametrize("partner", PARTNERS)
def test_a_partner_may_read_its_own_topics_and_nothing_else(busy: Installation, partner: PartnerId) -> None:
    """Everything that there is to try, on everything that there is."""
    client = busy.settings.client(partner)
    read, written = {topics.customers(partner), topics.control(partner)}, {topics.returns(partner)}
    if partner == ADRESSO:  # which is asked, and answers
        read, written = {*read, topics.requests(partner)}, {*written, topics.replies(partner)}
    own_group = topics.partner_group(partner, "x")
    of_others = [group for other, group in GROUPS.items() if other != partner]
    admin = admin_client(client)
    tried = {
        **attempts.on_topics(client, sorted(names(busy) - read - written), own_group),
        **attempts.on_groups(client, [*of_others, busy.settings.sharing.group, "any"], topics.customers(partner)),
        **attempts.with_transactions(client, transactional_ids(busy)),
        **attempts.as_administrator(client, partner),
    }
    for topic in sorted(names(busy)):
        tried |= attempts.settings_of(client, topic)
    for topic in sorted(read | written):
        tried |= attempts.beyond_reading(admin, topic)
        tried |= attempts.writing(client, topic) if topic in read else attempts.reading(client, topic, own_group)
    assert attempts.allowed(tried) == {}
    assert set(admin.list_topics(timeout=10).topics) == read | written, "it does not even know of others"
    seen: Any = admin.list_consumer_groups().result()
    assert {group.group_id for group in seen.valid} <= {own_group, GROUPS.get(partner)}
    mine = attempts.on_topics(client, [topics.customers(partner)], own_group)
    assert attempts.allowed({"read": mine[f"read {topics.customers(partner)}"]}) == {"read": "done"}, (
        "what is refused is"
    )
    assert names(busy) >= read | written, "nothing was deleted"


def test_a_crm_may_write_inputs_read_what_was_found_out_and_nothing_else(busy: Installation) -> None:
    client = busy.settings.client("crm")
    inputs, found_out = {topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS}, topics.ENRICHMENTS
    tried = {
        **attempts.on_topics(client, sorted(names(busy) - inputs - {found_out}), "crm.x"),
        **attempts.writing(client, found_out),
        **attempts.beyond_reading(admin_client(client), found_out),
        **attempts.on_groups(client, [*GROUPS.values(), busy.settings.sharing.group, "crm"], topics.CUSTOMER_UPDATES),
        **attempts.with_transactions(client, transactional_ids(busy)),
        **attempts.as_administrator(client, "crm"),
    }
    for topic in sorted(inputs):
        others = attempts.on_topics(client, [topic], "crm.x")
        del others[f"write {topic}"]
        tried |= {**others, **attempts.settings_of(client, topic)}
    assert attempts.allowed(tried) == {}
    assert set(admin_client(client).list_topics(timeout=10).topics) == {*inputs, found_out}


def test_the_processor_may_not_do_more_than_it_does(busy: Installation) -> None:
    """What partners read it cannot read, nor write the set that it follows, nor make, change or delete a topic."""
    client = busy.settings.client("sharing")
    group = busy.settings.sharing.group
    admin = admin_client(client)
    of_partners = sorted(name for name in names(busy) if name.startswith("partner."))
    of_others = [*GROUPS.values(), "any"]
    tried = {
        **{f"read {one}": attempts.on_topics(client, [one], group)[f"read {one}"] for one in of_partners},
        **attempts.writing(client, topics.CONTRACT_SETS),
        **attempts.on_groups(client, of_others, topics.CUSTOMER_UPDATES),
        **attempts.with_transactions(client, ["its-own", group]),
        **{key: one for key, one in attempts.as_administrator(client, "sharing").items() if "idempotently" not in key},
    }
    for topic in sorted(names(busy)):
        tried |= attempts.beyond_reading(admin, topic)
    for topic in (topics.CONSENT_EVENTS, topics.CONTRACT_SETS, topics.REDRIVES):
        tried |= attempts.settings_of(client, topic)
    assert attempts.allowed(tried) == {}


def test_who_hears_partners_may_not_do_more_than_that(busy: Installation) -> None:
    """It writes no topic that sharing decides by, but consent events and pauses; nothing that partners are given.

    How far partners have read it may see, and nothing of what they read.
    """
    client, group = busy.settings.client("returns"), busy.settings.returns.group
    admin = admin_client(client)
    kept = {topics.ACCEPTED_RETURNS, topics.PAUSES}
    read = {topics.DISCLOSURES, topics.CONTRACT_SETS, *map(topics.returns, PARTNERS), *kept}
    written = {topics.CONSENT_EVENTS, topics.REFUSED_RETURNS, *kept}
    tried = {
        **attempts.on_groups(client, [*GROUPS.values(), busy.settings.sharing.group], topics.DISCLOSURES),
        **attempts.with_transactions(client, [*transactional_ids(busy), group]),
        **attempts.as_administrator(client, "returns"),
    }
    for topic in sorted(names(busy)):
        tried |= {**attempts.beyond_reading(admin, topic), **attempts.settings_of(client, topic)}
        tried |= {} if topic in read else attempts.reading(client, topic, group)
        tried |= {} if topic in written else attempts.writing(client, topic)
    watched = {f"{what} {of}" for what in ("describe", "offsets of") for of in GROUPS.values()}
    assert attempts.allowed(tried).keys() == watched
    given = {topic(partner) for partner in PARTNERS for topic in (topics.customers, topics.control)}
    assert set(admin.list_topics(timeout=10).topics) == read | written | given


def test_who_asks_providers_may_not_do_more_than_that(busy: Installation) -> None:
    """Of what partners are given it writes requests and erasures, to providers alone."""
    name, group = "providers", busy.settings.providers.group
    client = busy.settings.client(name)
    admin = admin_client(client)
    asked = topics.requests(ADRESSO)
    read = {topics.DISCLOSURES, topics.CONTRACT_SETS, topics.ENRICHMENTS, topics.replies(ADRESSO), asked}
    written = {topics.ENRICHMENTS, topics.REFUSED_REPLIES, topics.control(ADRESSO), asked}
    tried = {
        **attempts.on_groups(client, [*GROUPS.values(), busy.settings.sharing.group], topics.DISCLOSURES),
        **attempts.with_transactions(client, transactional_ids(busy)),
        **{key: one for key, one in attempts.as_administrator(client, name).items() if "idempotently" not in key},
    }
    for topic in sorted(names(busy)):
        tried |= {**attempts.beyond_reading(admin, topic), **attempts.settings_of(client, topic)}
        tried |= {} if topic in read else attempts.reading(client, topic, group)
        tried |= {} if topic in written else attempts.writing(client, topic)
    assert attempts.allowed(tried) == {}
    assert set(admin.list_topics(timeout=10).topics) == read | written


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
