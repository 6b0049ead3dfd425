"""What partners return, on a real broker: recalls acknowledged or overdue, withdrawals, refusals, kills."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

from sluice import topics
from sluice.kafka.clients import admin_client, idempotent_producer
from sluice.kafka.group_offsets import committed
from sluice.model import CustomerId, PartnerId
from sluice.partitioning import partition_of
from tests.integration.installation import (
    ADRESSO,
    HOSHI,
    LISTMART,
    PARTITIONS,
    Installation,
    Processor,
    eventually,
)

pytestmark = pytest.mark.broker
LIMITS = "limits: {acknowledge_within: P3D}"


def recalled(installation: Installation, *customers: str) -> list[dict[str, Any]]:
    """Customers that were shared with the card company, and recalled: its control messages."""
    with installation.processor():
        for customer in customers:
            installation.say(customer, HOSHI, "GIVEN")
            installation.update(customer)
        eventually(lambda: len(installation.holds(HOSHI)) == len(customers), "shared")
        for customer in customers:
            installation.say(customer, HOSHI, "WITHDRAWN")
        eventually(lambda: not installation.holds(HOSHI), "recalled")
    return installation.control(HOSHI)


def recalls(returns: Processor, state: str) -> float:
    return returns.metric("sluice_recalls", partner=HOSHI, state=state)


def refusals(installation: Installation) -> list[tuple[str, str]]:
    return sorted((one["partner"], one["cause"]) for one in installation.refused())


def test_a_recall_is_acknowledged(installation: Installation) -> None:
    first, _ = recalled(installation, "crm:1", "crm:2")
    returns = installation.start_returns()
    eventually(lambda: recalls(returns, "open") == 2, "both are open")
    installation.acknowledge(HOSHI, first)
    eventually(lambda: recalls(returns, "acknowledged") == 1, "one acknowledged")
    assert recalls(returns, "open") == 1
    (accepted,) = installation.accepted()
    assert (accepted["decision_id"], accepted["partner"]) == (first["decision_id"], HOSHI)
    assert installation.refused() == []
    returns.stop()


def test_a_recall_that_nobody_acknowledges_is_overdue_and_the_partner_is_paused(installation: Installation) -> None:
    """Nothing new is shared, recalls go on; the last acknowledgement ends it."""
    installation.edit(HOSHI, LIMITS, "limits: {acknowledge_within: PT4S, pause_when_overdue: true}")
    returns = installation.start_returns()
    with installation.processor() as processor:
        for customer in ("crm:1", "crm:2"):
            installation.say(customer, HOSHI, "GIVEN")
            installation.update(customer)
        eventually(lambda: len(installation.holds(HOSHI)) == 2, "both are shared")
        installation.say("crm:1", HOSHI, "WITHDRAWN")
        (message,) = eventually(lambda: installation.control(HOSHI), "recalled")
        eventually(lambda: recalls(returns, "due_soon") == 1, "warned of")
        assert recalls(returns, "overdue") == 0
        eventually(lambda: recalls(returns, "overdue") == 1, "overdue")
        eventually(lambda: returns.metric("sluice_partner_paused", partner=HOSHI) == 1, "paused")
        eventually(lambda: processor.said("contract_set_changed"), "sharing knows")
        installation.say("crm:3", HOSHI, "GIVEN")
        installation.update("crm:3")
        held_back = {"partner": HOSHI, "outcome": "withheld", "reason": "contract_paused"}
        eventually(lambda: processor.metric("sluice_outcomes_total", **held_back), "held back")
        installation.update("crm:2", given_name="Hanako")
        name = "given_name"
        eventually(
            lambda: (installation.has(HOSHI, "crm:2") or {})[name] == "Hanako", "what is held is kept up to date"
        )
        installation.say("crm:2", HOSHI, "WITHDRAWN")
        eventually(lambda: not installation.holds(HOSHI), "recalls go on")
        assert installation.run("verify", "--until-end", "--json").returncode in (0, 2)
        for one in (message, *(m for m in installation.control(HOSHI) if m != message)):
            installation.acknowledge(HOSHI, one)
        eventually(lambda: installation.has(HOSHI, "crm:3"), "goes on by itself")
    assert returns.metric("sluice_partner_paused", partner=HOSHI) == 0
    assert {e["event"] for e in returns.events()} >= {"recalls", "partner_paused", "partner_resumed"}
    returns.stop()


def test_a_partner_whose_contract_does_not_say_so_is_not_paused(installation: Installation) -> None:
    installation.edit(HOSHI, LIMITS, "limits: {acknowledge_within: PT1S}")
    recalled(installation, "crm:1")
    returns = installation.start_returns()
    eventually(lambda: recalls(returns, "overdue") == 1, "overdue")
    assert returns.metric("sluice_partner_paused", partner=HOSHI) == 0
    assert installation.read(topics.PAUSES) == []
    returns.stop()


def test_an_unsubscribe_ends_in_a_recall(installation: Installation) -> None:
    returns = installation.start_returns()
    with installation.processor():
        for partner in (HOSHI, LISTMART):
            installation.say("crm:1", partner, "GIVEN")
        installation.update("crm:1")
        eventually(lambda: installation.has(HOSHI, "crm:1") and installation.has(LISTMART, "crm:1"), "shared")
        said = installation.say_back(HOSHI, installation.pseudonym(HOSHI, "crm:1"), "UNSUBSCRIBED", channel="email")
        eventually(lambda: not installation.holds(HOSHI), "recalled")
        assert installation.has(LISTMART, "crm:1"), "it was said to one partner"
    (message,) = installation.control(HOSHI)
    assert message["type"] == "WITHDRAW"
    *_, (event, record) = [(installation.registry.decode(r.value), r) for r in installation.read(topics.CONSENT_EVENTS)]
    assert (event["subject_id"], event["state"], event["source_system"]) == ("crm:1", "WITHDRAWN", HOSHI)
    assert (event["actor"], event["channel"], event["event_time"]) == ("subject", "email", said["at"])
    assert record.partition == partition_of(b"crm:1", PARTITIONS)
    returns.stop()


def test_what_a_partner_may_not_say_is_refused_and_recorded(installation: Installation) -> None:
    returns = installation.start_returns()
    with installation.processor():
        for partner in (HOSHI, LISTMART):
            installation.say("crm:1", partner, "GIVEN")
        installation.update("crm:1")
        eventually(lambda: installation.has(HOSHI, "crm:1") and installation.has(LISTMART, "crm:1"), "shared")
        installation.say("crm:1", HOSHI, "WITHDRAWN")
        (message,) = eventually(lambda: installation.control(HOSHI), "recalled")
    own, others = installation.pseudonym(HOSHI, "crm:1"), installation.pseudonym(LISTMART, "crm:1")
    installation.send_back(HOSHI, own.encode(), b"not framed")
    installation.say_back(HOSHI, "x" * 22, "DECEASED")
    installation.say_back(HOSHI, others, "DECEASED")
    installation.say_back(HOSHI, own, "DUPLICATE", other_customer=others)
    installation.say_back(HOSHI, own, "CORRECTION", corrections=[{"field": "address_street", "value": "1 Long Road"}])
    installation.say_back(HOSHI, own, "DECEASED", decision_id=message["decision_id"])
    installation.say_back(HOSHI, own, "ACKNOWLEDGED", decision_id="made up")
    installation.say_back(LISTMART, others, "ACKNOWLEDGED", decision_id=message["decision_id"])
    said = installation.acknowledge(HOSHI, message)
    installation.acknowledge(HOSHI, message, return_id=said["return_id"])
    installation.acknowledge(HOSHI, message)
    installation.say_back(HOSHI, own, "CORRECTION", corrections=[{"field": "given_name", "value": "Hanako"}])
    causes = eventually(lambda: len(found := refusals(installation)) == 10 and found, "all are refused")
    assert causes == sorted(
        [
            (HOSHI, "unreadable"),
            (HOSHI, "unknown_customer"),
            (HOSHI, "customer_of_another_partner"),
            (HOSHI, "customer_of_another_partner"),
            (HOSHI, "field_not_shared"),
            (HOSHI, "inconsistent"),
            (HOSHI, "unknown_recall"),
            (LISTMART, "unknown_recall"),
            (HOSHI, "repeated"),
            (HOSHI, "repeated"),
        ]
    )
    eventually(lambda: len(installation.accepted()) == 2, "what it may say is accepted")
    assert b"Long Road" not in b"".join(r.value or b"" for r in installation.read(topics.REFUSED_RETURNS))
    assert [one["fields"] for one in installation.accepted() if one["type"] == "CORRECTION"] == [["given_name"]]
    assert b"Hanako" not in b"".join(r.value or b"" for r in installation.read(topics.ACCEPTED_RETURNS))
    returns.stop()


def test_returns_processor_killed_in_the_middle(installation: Installation) -> None:
    """Killed at ten instants while a partner answers: every recall is acknowledged, once."""
    customers = [f"crm:{number}" for number in range(300)]
    messages = recalled(installation, *customers)
    producer = idempotent_producer(installation.settings.client(HOSHI))
    topic = topics.returns(HOSHI)
    writer = installation._writer(topic)
    returns = installation.start_returns()
    for number, message in enumerate(messages):
        said = {
            "return_id": f"ack-{number}",
            "type": "ACKNOWLEDGED",
            "decision_id": message["decision_id"],
            "customer": message["customer"],
            "other_customer": None,
            "channel": None,
            "corrections": [],
            "at": 0,
        }
        key = message["customer"].encode()
        producer.produce(topic, writer.write(said), key)
        producer.poll(0)
        time.sleep(0.01)
        if number % 30 == 15:
            producer.flush(10)
            returns.kill()
            returns = installation.start_returns(wait=number % 60 == 15)
    producer.flush(10)
    eventually(lambda: recalls(returns, "acknowledged") == 300, "all are acknowledged", 60)
    assert recalls(returns, "open") == 0
    accepted = Counter(one["decision_id"] for one in installation.accepted())
    assert set(accepted) == {message["decision_id"] for message in messages}
    assert refusals(installation) == [], "what is read again is no repetition"
    places = {one["decision_id"]: set() for one in installation.accepted()}
    for one in installation.accepted():
        places[one["decision_id"]].add((one["partition"], one["offset"]))
    assert all(len(found) == 1 for found in places.values()), "a record may be written again, and is then the same"
    returns.stop()


def test_a_partner_that_comes_later_is_heard(installation: Installation) -> None:
    """A contract that is provisioned while the processor runs needs no restart."""
    path = installation.contracts_folder / f"{LISTMART}.yaml"
    text = path.read_text(encoding="utf-8")
    returns = installation.start_returns()
    late = PartnerId("latecomer")
    (installation.contracts_folder / f"{late}.yaml").write_text(text.replace(LISTMART, late), encoding="utf-8")
    installation.provision()
    eventually(lambda: late in returns.last("serving")["partners"], "served")
    installation.say_back(late, "x" * 22, "DECEASED")
    eventually(lambda: refusals(installation) == [(late, "unknown_customer")], "heard")
    returns.stop()


def test_a_former_partner_still_acknowledges(installation: Installation) -> None:
    with installation.processor():
        installation.update("crm:1")
        eventually(lambda: installation.has(ADRESSO, "crm:1"), "shared")
        (installation.contracts_folder / f"{ADRESSO}.yaml").unlink()
        installation.provision()
        (message,) = eventually(lambda: installation.control(ADRESSO), "told")
    assert message["type"] == "CONTRACT_ENDED"
    returns = installation.start_returns()
    installation.acknowledge(ADRESSO, message)
    state = {"partner": ADRESSO, "state": "acknowledged"}
    eventually(lambda: returns.metric("sluice_recalls", **state) == 1, "acknowledged")
    returns.stop()
