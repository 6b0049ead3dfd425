"""Round trips with a service provider, on a real broker: asked, answered, refused, withdrawn meanwhile, killed."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from sluice import topics
from sluice.kafka.clients import admin_client, idempotent_producer
from sluice.local import stack
from sluice.local.stack import Endpoints
from sluice.model import PartnerId
from tests.integration.installation import ADRESSO, HOSHI, Installation, eventually, now_ms

pytestmark = pytest.mark.broker
LETTERBIRD = PartnerId("letterbird")
EMAIL_HOUSE = Path("deploy/demo/email-house/letterbird.yaml")


def refusals(installation: Installation) -> list[str]:
    return sorted(installation.registry.decode(r.value)["cause"] for r in installation.read(topics.REFUSED_REPLIES))


def asked(installation: Installation, *customers: str) -> dict[str, dict[str, Any]]:
    """The requests about these customers, once each was shared with the provider."""
    for customer in customers:
        installation.update(customer)
    names = {customer: installation.pseudonym(ADRESSO, customer) for customer in customers}

    def found() -> dict[str, dict[str, Any]] | None:
        by_name = {request["customer"]: request for request in installation.requests(ADRESSO)}
        mine = {customer: by_name[name] for customer, name in names.items() if name in by_name}
        return mine if len(mine) == len(customers) else None

    return eventually(found, "all are asked for")  # type: ignore[no-any-return]


def test_a_round_trip(installation: Installation) -> None:
    """Asked when shared, answered with where it is from, not asked again for the same data, asked again for other."""
    providers = installation.start_providers()
    with installation.processor():
        request = asked(installation, "crm:1")["crm:1"]
        assert request["task"] == "operations.address_hygiene"
        assert request["expires_at"] - request["issued_at"] == 2 * 24 * 60 * 60 * 1000
        values = [{"field": "street", "value": "1 LONG ST", "confidence": 0.9}, {"field": "moved", "value": False}]
        installation.reply(ADRESSO, request, values=values)
        eventually(lambda: len(installation.enrichments().get("crm:1", ())) == 2, "taken in")
        street, moved = installation.enrichments()["crm:1"]
        assert (street["field"], street["value"], street["confidence"]) == ("street", "1 LONG ST", 0.9)
        assert (moved["field"], moved["value"], moved["confidence"]) == ("moved", False, None)
        assert street["source"] == "append:adresso"
        assert street["request_id"] == request["request_id"]
        assert street["purpose_limits"] == ["operations.address_hygiene"]
        installation.update("crm:1")
        installation.update("crm:1", email="nothing@that.it.holds")
        installation.update("crm:1", address={"street": "2 Short Street", "postal_code": "3056", "country": "AU"})
        eventually(lambda: len(installation.requests(ADRESSO)) == 2, "asked about the other address")
        said = b"".join((r.key or b"") + (r.value or b"") for r in installation.read(topics.requests(ADRESSO)))
        assert not any(word in said for word in (b"crm:1", b"Long", b"Short", b"3055", b"Melbourne", b"Hana"))
        assert installation.requests(ADRESSO)[1]["request_id"] != request["request_id"]
    assert refusals(installation) == []
    assert providers.metric("sluice_provider_requests_total", partner=ADRESSO) == 2
    assert providers.metric("sluice_provider_replies_total", outcome="taken_in") == 1
    providers.stop()


def test_what_a_provider_may_not_say_is_refused_and_recorded(installation: Installation) -> None:
    """Each cause, on the broker; the values of what was refused are written nowhere."""
    providers = installation.start_providers()
    with installation.processor():
        installation.say("crm:1", HOSHI, "GIVEN")
        requests = asked(installation, "crm:1", "crm:2")
        first, second = requests["crm:1"], requests["crm:2"]
        eventually(lambda: installation.has(HOSHI, "crm:1"), "shared with another too")
        installation.send_reply(ADRESSO, b"k", b"no record")
        framed = installation.writer(topics.replies(ADRESSO)).write(reply_to(first))
        installation.send_reply(ADRESSO, b"another key", framed)
        installation.reply(ADRESSO, first, customer="x" * 22)
        installation.reply(ADRESSO, first, customer=installation.pseudonym(HOSHI, "crm:1"))
        installation.reply(ADRESSO, first, request_id="made up")
        installation.reply(ADRESSO, first, request_id=second["request_id"])
        installation.reply(ADRESSO, first, values=[{"field": "religion", "value": "canary-religion"}])
        installation.reply(ADRESSO, first, values=[{"field": "street", "value": "canary-street" * 20}])
        eventually(lambda: len(refusals(installation)) == 8, "all are refused")
        installation.reply(ADRESSO, first)
        installation.reply(ADRESSO, first)
        installation.update("crm:2", address={"street": "2 Short Street", "postal_code": "3056", "country": "AU"})
        eventually(lambda: len(installation.requests(ADRESSO)) == 3, "asked anew")
        installation.reply(ADRESSO, second)
        causes = eventually(lambda: len(found := refusals(installation)) == 10 and found, "all are refused")
    assert causes == sorted(
        [
            "unreadable",
            "key_contradicts_value",
            "unknown_customer",
            "customer_of_another_partner",
            "unknown_request",
            "unknown_request",
            "field_not_agreed",
            "value_not_agreed",
            "repeated",
            "superseded",
        ]
    )
    assert installation.enrichments().keys() == {"crm:1"}
    providers.stop()
    for topic in (topics.REFUSED_REPLIES, topics.ENRICHMENTS, topics.DISCLOSURES):
        assert b"canary" not in b"".join((r.key or b"") + (r.value or b"") for r in installation.read(topic))
    assert "canary" not in providers.log.read_text()


def test_a_request_that_is_answered_too_late(installation: Installation) -> None:
    installation.edit(ADRESSO, "answer_within: P2D", "answer_within: PT1S")
    providers = installation.start_providers()
    with installation.processor():
        request = asked(installation, "crm:1")["crm:1"]
        eventually(lambda: now_ms() > request["expires_at"] + 100, "expired")
        installation.reply(ADRESSO, request)
        eventually(lambda: refusals(installation) == ["expired"], "refused")
    assert installation.enrichments() == {}
    providers.stop()


def test_a_customer_withdraws_while_the_provider_is_at_work(installation: Installation) -> None:
    """The reply is discarded and an erasure sent back; what had been appended before is taken back."""
    providers = installation.start_providers()
    with installation.processor():
        requests = asked(installation, "crm:1", "crm:2")
        installation.reply(ADRESSO, requests["crm:2"])
        eventually(lambda: "crm:2" in installation.enrichments(), "taken in")
        for customer in ("crm:1", "crm:2"):
            installation.delete(customer)
        eventually(lambda: not installation.holds(ADRESSO), "recalled")
        eventually(lambda: installation.enrichments() == {}, "taken back")
        installation.reply(ADRESSO, requests["crm:1"], values=[{"field": "street", "value": "canary-street"}])
        eventually(lambda: refusals(installation) == ["withdrawn"], "discarded")
        messages = [one for one in installation.control(ADRESSO) if one["customer"] == requests["crm:1"]["customer"]]
        recall, erasure = messages
        assert erasure["type"] == "ERASE"
        assert erasure["decision_id"] == recall["decision_id"], "whoever acknowledges it has acknowledged the recall"
        assert installation.enrichments() == {}
        keys = [(r.partition, r.key) for r in installation.read(topics.control(ADRESSO))]
        assert len({place for place in keys if place[1] == erasure["customer"].encode()}) == 1
        installation.update("crm:1")
        eventually(lambda: len(installation.requests(ADRESSO)) == 3, "shared anew, it is asked for anew")
    providers.stop()
    assert b"canary" not in b"".join(r.value or b"" for r in installation.read(topics.ENRICHMENTS))
    returns = installation.start_returns()
    installation.acknowledge(ADRESSO, erasure)
    eventually(lambda: returns.metric("sluice_recalls", partner=ADRESSO, state="acknowledged") == 1, "acknowledged")
    returns.stop()


def test_providers_processor_killed_in_the_middle(installation: Installation) -> None:
    """Killed again and again while it asks and takes in: every customer is asked for once, every reply taken once."""
    customers = [f"crm:{number}" for number in range(300)]
    installation.write_settings(providers={"batch": 20})
    with installation.processor():
        for customer in customers:
            installation.update(customer)
        for share in (20, 150, 300):
            providers = installation.start_providers()
            eventually(lambda: written(installation, topics.requests(ADRESSO)) >= share, "it asks", 60)  # noqa: B023
            providers.kill()
        requests = installation.requests(ADRESSO)
        assert len({request["customer"] for request in requests}) == len(requests) == 300
        answer_all(installation, requests)
        for share in (20, 150, 300):
            providers = installation.start_providers()
            eventually(lambda: written(installation, topics.ENRICHMENTS) >= share, "it takes in", 60)  # noqa: B023
            providers.kill()
        providers = installation.start_providers()
        installation.reply(ADRESSO, requests[0], request_id="the last")
        eventually(lambda: refusals(installation) == ["unknown_request"], "nothing was refused but the last", 60)
    assert len(installation.read(topics.ENRICHMENTS)) == 300
    assert installation.enrichments().keys() == set(customers)
    assert len(installation.requests(ADRESSO)) == 300
    providers.stop()


def test_a_second_providers_processor_ends_the_first(installation: Installation) -> None:
    """At the latest when it writes next: whoever is quicker to ask leaves the other nothing to write."""
    first = installation.start_providers()
    second = installation.start_providers()
    customers = (f"crm:{number}" for number in count(1))
    with installation.processor():
        sent = []
        while first.process.poll() is None:
            sent.append(customer := next(customers))
            request = asked(installation, customer)[customer]
        first.ends_with("Another process runs as")
        installation.reply(ADRESSO, request)
        eventually(installation.enrichments, "taken in")
    assert len(installation.requests(ADRESSO)) == len(sent)
    assert len(installation.read(topics.ENRICHMENTS)) == 1
    second.stop()


def test_a_provider_that_comes_later_is_asked(installation: Installation) -> None:
    """Its contract is provisioned while the processor runs; everybody whom it holds is asked for."""
    late = PartnerId("latecomer")
    providers = installation.start_providers()
    with installation.processor():
        asked(installation, "crm:1")
        text = (installation.contracts_folder / f"{ADRESSO}.yaml").read_text(encoding="utf-8")
        (installation.contracts_folder / f"{late}.yaml").write_text(text.replace(ADRESSO, late), encoding="utf-8")
        installation.apply()
        eventually(lambda: late in providers.last("serving")["partners"], "served")
        (request,) = eventually(lambda: installation.requests(late), "asked")
        installation.reply(late, request)
        eventually(installation.enrichments, "heard")
    providers.stop()


def test_broker_away_while_a_provider_answers(endpoints: Endpoints, installation: Installation) -> None:
    providers, state = installation.start_providers(), endpoints.clients.parent
    with installation.processor():
        requests = asked(installation, "crm:1", "crm:2")
    installation.reply(ADRESSO, requests["crm:1"])
    stack.stop(state, ("broker",), patience=0)
    eventually(lambda: providers.said("unavailable"), "it waits", 60)
    stack.start(state)
    installation.reply(ADRESSO, requests["crm:2"])
    eventually(lambda: installation.enrichments().keys() == {"crm:1", "crm:2"}, "both are taken in", 90)
    assert len(installation.read(topics.ENRICHMENTS)) == 2
    assert refusals(installation) == []
    providers.stop()


def test_a_provider_reads_its_requests_and_writes_its_replies_alone(installation: Installation) -> None:
    client = installation.settings.client(ADRESSO)
    own = {topics.customers(ADRESSO), topics.control(ADRESSO), topics.returns(ADRESSO)}
    visible = {name for name in admin_client(client).list_topics(timeout=10).topics if not name.startswith("__")}
    assert visible == {*own, topics.requests(ADRESSO), topics.replies(ADRESSO)}
    producer = Producer({**client, "enable.idempotence": False, "log_level": 0})
    failures: list[str] = []
    for topic in (topics.requests(ADRESSO), topics.ENRICHMENTS, topics.REFUSED_REPLIES):
        producer.produce(topic, b"x", b"k", on_delivery=lambda error, _: failures.append(error.name() if error else ""))
    producer.flush(10)
    assert failures == ["TOPIC_AUTHORIZATION_FAILED"] * 3


def reply_to(request: dict[str, Any]) -> dict[str, Any]:
    told = {"reply_id": "r", "request_id": request["request_id"], "customer": request["customer"]}
    return {**told, "values": [{"field": "deliverability", "value": "Y"}]}


def written(installation: Installation, topic: str) -> int:
    return len(installation.read(topic))


def answer_all(installation: Installation, requests: list[dict[str, Any]]) -> None:
    topic = topics.replies(ADRESSO)
    producer, writer = idempotent_producer(installation.settings.client(ADRESSO)), installation.writer(topic)
    for request in requests:
        producer.produce(topic, writer.write(reply_to(request)), request["customer"].encode())
    assert producer.flush(20) == 0


def test_a_simulated_house_and_a_campaign(installation: Installation) -> None:
    """As people try it: wrong and missing replies are what they are; a campaign goes to whom the house holds."""
    (installation.contracts_folder / f"{LETTERBIRD}.yaml").write_bytes(EMAIL_HOUSE.read_bytes())
    installation.apply()
    providers, customers = installation.start_providers(), [f"crm:{number}" for number in range(30)]
    with installation.processor():
        for customer in customers:
            installation.update(customer, email="x@example.com", segments=["frequent"])
        eventually(lambda: len(installation.requests(ADRESSO)) == 30, "all are asked for")
        done = told(installation, "simulate-provider", "hygiene", ADRESSO, "--garbage", "0.2", "--silence", "0.2")
        assert done["answered"] + done["wrong"] + done["left unanswered"] == 30
        assert min(done["answered"], done["wrong"], done["left unanswered"]) > 0
        eventually(lambda: len(refusals(installation)) == done["wrong"], "the wrong ones are refused")
        eventually(lambda: len(installation.enrichments()) == done["answered"], "the others are taken in")
        assert told(installation, "simulate-provider", "hygiene", ADRESSO) == {"partner": ADRESSO}, "nothing new"
        eventually(lambda: len(installation.holds(LETTERBIRD)) == 30, "the e-mail house holds them")
        campaign = told(installation, "request-campaign", LETTERBIRD, "spring", "--segment", "frequent")
        assert campaign["customer"] is None
        installation.delete("crm:1")
        eventually(lambda: len(installation.holds(LETTERBIRD)) == 29, "one is recalled")
        assert told(installation, "simulate-provider", "email", LETTERBIRD)["sent"] == 29
    assert installation.run("request-campaign", ADRESSO, "spring").stderr == (
        "The contract with adresso has no `campaigns`: it is asked to send nothing.\n"
    )
    providers.stop()


def told(installation: Installation, *arguments: str) -> dict[str, Any]:
    done = installation.run(*arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]
