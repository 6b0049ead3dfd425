"""What was rejected is decided again when an operator asks, and only where today's rules accept it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from schemas import catalogue
from sluice import topics
from sluice.avro import Writer
from sluice.partitioning import partition_of
from tests.integration.installation import ADRESSO, HOSHI, LISTMART, PARTITIONS, Installation, eventually, now_ms

pytestmark = pytest.mark.broker

_REGISTRY_ASKED_AGAIN_SECONDS = 5.2


def share(installation: Installation, customer: str) -> None:
    installation.say(customer, HOSHI, "GIVEN")
    installation.update(customer)
    eventually(lambda: installation.has(HOSHI, customer), f"{customer} shared")


def lines(installation: Installation, *arguments: str) -> list[dict[str, Any]]:
    done = installation.run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def states(installation: Installation, *arguments: str) -> dict[str, str]:
    """By pointer."""
    told = lines(installation, "redrive", *arguments)
    assert told[-1]["kind"] == "summary"
    return {line["pointer"]: line["state"] for line in told[:-1]}


class SchemaToCome:
    """A schema of ours with a field more, under the id that the registry will give it."""

    def __init__(self, installation: Installation, name: str) -> None:
        self._installation = installation
        schema = json.loads(catalogue.text(name))
        extra = {"name": "extra", "type": ["null", "string"], "default": None, "doc": f"new at {now_ms()}"}
        schema["fields"].append(extra)  # a text that was registered before has its id already
        self._text = json.dumps(schema)
        marker = {"type": "record", "name": f"Marker{now_ms()}", "fields": []}
        before = installation.registry.register(f"marker-{now_ms()}-value", json.dumps(marker), "NONE")
        self.writer = Writer(self._text, before + 1)
        self._schema_id = before + 1

    def register(self) -> None:
        time.sleep(_REGISTRY_ASKED_AGAIN_SECONDS)
        subject = f"late-{now_ms()}-value"
        assert self._installation.registry.register(subject, self._text, "NONE") == self._schema_id


def a_profile(installation: Installation, customer: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    return {**installation.registry.decode(installation.profile(customer, **fields)), "extra": None}


def requests(installation: Installation) -> int:
    return len(installation.read(topics.REDRIVES))


def test_an_update_whose_schema_is_registered_later(installation: Installation) -> None:
    late = SchemaToCome(installation, "customer_profile")
    with installation.processor():
        share(installation, "crm:1")
        share(installation, "crm:2")
        profile = a_profile(installation, "crm:1", given_name="Newest")
        installation.send(topics.CUSTOMER_UPDATES, b"crm:1", late.writer.write(profile))
        eventually(lambda: not installation.has(HOSHI, "crm:1"), "recalled")

        told = lines(installation, "rejected")
        assert [line["kind"] for line in told] == ["pointer", "group"]
        assert (told[0]["topic"], told[0]["cause"]) == (topics.CUSTOMER_UPDATES, "schema_unknown")
        assert (told[1]["count"], told[1]["first"]) == (1, told[0]["detected_at"])
        assert "Register the schema" in told[1]["advice"]
        assert lines(installation, "rejected", "--cause", "misplaced") == []
        place = told[0]["pointer"]
        assert states(installation) == {place: "still_rejected"}
        assert requests(installation) == 0, "what would be rejected again is not asked for"

        late.register()
        before = len(installation.read(topics.DISCLOSURES))
        (line, _) = lines(installation, "redrive", "--dry-run")
        assert (line["pointer"], line["state"]) == (place, "to_redrive")
        assert line["outcomes"][HOSHI] == {"outcome": "shared", "reason": ""}
        assert HOSHI in line["changes"]
        assert "Newest" not in json.dumps(line)
        assert "crm:1" not in json.dumps(line)
        assert requests(installation) == 0

        assert states(installation, "--wait", "30") == {place: "redriven"}
        held = installation.has(HOSHI, "crm:1")
        assert held is not None
        assert held["given_name"] == "Newest"
        assert states(installation, "--pointer", place) == {place: "already_accepted"}
        assert requests(installation) == 1
        assert len(installation.read(topics.DISCLOSURES)) == before + 1, "one customer, one disclosure"
        assert installation.has(HOSHI, "crm:2")


def test_a_consent_event_whose_schema_is_registered_later(installation: Installation) -> None:
    """It counts as a no until it can be read; then it is what it says."""
    late = SchemaToCome(installation, "consent_event")
    customers = ("crm:1", "crm:2")
    with installation.processor():
        for customer, state in zip(customers, ("GIVEN", "WITHDRAWN"), strict=True):
            share(installation, customer)
            event = installation.consent(customer, HOSHI, state, at=now_ms() - 1_000)
            full = {**installation.registry.decode(installation.consent_writer.write(event)), "extra": None}
            installation.send(topics.CONSENT_EVENTS, customer.encode(), late.writer.write(full))
            eventually(lambda who=customer: not installation.has(HOSHI, who), "denied")  # type: ignore[misc]
        late.register()
        assert set(states(installation, "--wait", "30").values()) == {"redriven"}
        assert installation.has(HOSHI, "crm:1")
        assert installation.has(HOSHI, "crm:2") is None
        assert installation.has(ADRESSO, "crm:2"), "which asks nobody"
        assert set(states(installation).values()) == {"already_accepted"}
        installation.say("crm:2", HOSHI, "GIVEN", at=now_ms(), expression="explicit")
        eventually(lambda: installation.has(HOSHI, "crm:2"), "answers to come count again")


def test_many_consent_events_at_once(installation: Installation) -> None:
    """They hold no batch up for so long that it is lost, and withdrawals do not wait for them."""
    late = SchemaToCome(installation, "consent_event")
    customers = [f"crm:{number}" for number in range(300)]
    with installation.processor() as processor:
        share(installation, "crm:other")
        for customer in customers:
            event = installation.consent(customer, HOSHI, "GIVEN", at=now_ms() - 1_000)
            full = {**installation.registry.decode(installation.consent_writer.write(event)), "extra": None}
            installation.crm.produce(topics.CONSENT_EVENTS, late.writer.write(full), customer.encode())
            installation.crm.produce(topics.CUSTOMER_UPDATES, installation.profile(customer), customer.encode())
        assert installation.crm.flush(20) == 0
        eventually(lambda: len(installation.rejected()) == len(customers), "rejected", 60)
        late.register()
        told = states(installation, "--rate", "1000", "--wait", "60")
        assert list(told.values()) == ["redriven"] * len(customers)
        assert len(installation.holds(HOSHI)) == len(customers) + 1
        assert processor.metric("sluice_aborts_total") == 0
        assert requests(installation) == len(customers)


def test_what_is_not_redriven_and_why(installation: Installation) -> None:
    wrong = (partition_of(b"crm:1", PARTITIONS) + 1) % PARTITIONS
    with installation.processor():
        share(installation, "crm:1")
        installation.send(topics.CUSTOMER_UPDATES, b"crm:1", b"\x01not framed")
        installation.send(topics.CUSTOMER_UPDATES, b"crm:2", b"\x01not framed")
        installation.send(topics.CUSTOMER_UPDATES, b"\xff", installation.profile("crm:x"))
        installation.crm.produce(topics.CUSTOMER_UPDATES, installation.profile("crm:1"), b"crm:1", partition=wrong)
        answer = installation.consent_writer.write(installation.consent("crm:1", HOSHI, "GIVEN"))
        installation.crm.produce(topics.CONSENT_EVENTS, answer, b"crm:1", partition=wrong)
        assert installation.crm.flush(20) == 0
        eventually(lambda: len(installation.rejected()) == 5, "all rejected")
        share(installation, "crm:1")
        found = {line["cause"] + " " + line["topic"]: line["state"] for line in lines(installation, "redrive")[:-1]}
        by_customer = lines(installation, "redrive", "--cause", "not_framed")[:-1]
    updates = topics.CUSTOMER_UPDATES
    assert sorted(line["state"] for line in by_customer) == ["still_rejected", "superseded"]
    assert found[f"key_unreadable {updates}"] == "needs_producer"
    assert found[f"misplaced {updates}"] == "needs_producer"
    assert found[f"misplaced {topics.CONSENT_EVENTS}"] == "already_accepted"
    assert requests(installation) == 0
    for_people = installation.run("redrive", "--dry-run").stdout
    assert "superseded by a newer update" in for_people
    assert "does not partition by murmur2" in for_people
    assert "crm.customer-updates" in installation.run("rejected").stdout


def test_a_record_that_is_not_there_any_more(installation: Installation) -> None:
    with installation.processor():
        installation.send(topics.CUSTOMER_UPDATES, b"crm:1", b"\x01not framed")
        eventually(lambda: len(installation.rejected()) == 1, "rejected")
    installation.delete_records(topics.CUSTOMER_UPDATES)
    assert list(states(installation, "--dry-run").values()) == ["gone"]


def test_a_partners_record_that_its_topic_takes_now(installation: Installation) -> None:
    """Rejected for one partner, while the other has it; the limit is read when a processor starts."""
    installation.limit(topics.customers(HOSHI), max_message_bytes=20_000)
    with installation.processor():
        share(installation, "crm:1")
        installation.say("crm:1", LISTMART, "GIVEN")
        installation.update("crm:1", given_name="x" * 19_900)
        eventually(lambda: not installation.has(HOSHI, "crm:1"), "recalled there")
        eventually(lambda: installation.has(LISTMART, "crm:1"), "and shared here")
        assert list(states(installation).values()) == ["still_rejected"]
    installation.limit(topics.customers(HOSHI), max_message_bytes=1_000_000)
    nobody = installation.run("redrive")
    assert nobody.returncode == 1
    assert "No processor of the group" in nobody.stderr
    before = len(installation.read_as(LISTMART, topics.customers(LISTMART)))
    with installation.processor():
        assert list(states(installation, "--partner", HOSHI, "--wait", "30").values()) == ["redriven"]
        assert len((installation.has(HOSHI, "crm:1") or {})["given_name"]) == 19_900
    assert len(installation.read_as(LISTMART, topics.customers(LISTMART))) == before
    assert installation.has(ADRESSO, "crm:1")


def test_wrong_selections_are_told(installation: Installation) -> None:
    for arguments, sentence in (
        (("--pointer", "nowhere"), "is no place such as"),
        (("--since", "yesterday"), "--since is no time"),
    ):
        done = installation.run("rejected", *arguments)
        assert (done.returncode, done.stderr.strip().count("\n")) == (1, 0)
        assert sentence in done.stderr
    assert "No rejected input is recorded" in installation.run("rejected").stdout
