"""What partners return, on a real broker: recalls acknowledged or overdue, withdrawals, refusals, kills."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sluice import topics
from sluice.demo.processes import total
from sluice.kafka.admin import high_watermarks
from sluice.kafka.clients import idempotent_producer
from sluice.local import stack
from sluice.local.stack import Endpoints
from sluice.model import PartnerId
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
from tests.integration.proof import assert_verified

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


def test_the_working_folder_stays_as_it_was(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container it cannot be written; Faust would make a folder there. Nor does anything stay elsewhere."""
    here, temporary = tmp_path / "here", tmp_path / "temporary"
    here.mkdir()
    temporary.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("TMPDIR", str(temporary))
    returns = installation.start_returns()
    assert [path.name[:15] for path in temporary.iterdir()] == ["sluice-returns-"]
    returns.stop()
    assert [*here.iterdir(), *temporary.iterdir()] == []


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
        assert returns.metric("sluice_recalls_due_total", partner=HOSHI, outcome="late") == 1
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
        assert_verified(installation)
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
    """Killed as soon as it has written something of a hundred returns, three times: nothing is lost or refused."""
    messages = recalled(installation, *(f"crm:{number}" for number in range(300)))
    read_again = 0.0
    for part in range(3):
        returns = installation.start_returns()
        before = accepted_so_far(installation)
        acknowledge_all(installation, messages[part * 100 : part * 100 + 100])
        _until_more_than(before, installation)
        read_again += total(returns.sampled(), "sluice_returns_total", outcome="settled")
        returns.kill()
    returns = installation.start_returns()
    eventually(lambda: recalls(returns, "acknowledged") == 300, "all are acknowledged", 60)
    assert recalls(returns, "open") == 0
    assert read_again + returns.metric("sluice_returns_total", outcome="settled") > 0, "it was killed in the middle"
    places: dict[str, set[tuple[int, int]]] = {}
    for one in installation.accepted():
        places.setdefault(one["decision_id"], set()).add((one["partition"], one["offset"]))
    assert places.keys() == {message["decision_id"] for message in messages}
    assert all(len(found) == 1 for found in places.values()), "what is written twice says the same"
    assert refusals(installation) == [], "what is read again is no repetition"
    returns.stop()


def _until_more_than(before: int, installation: Installation) -> None:
    eventually(lambda: accepted_so_far(installation) > before, "it has begun")


def accepted_so_far(installation: Installation) -> int:
    """Records, without reading them."""
    numbers = [(topics.ACCEPTED_RETURNS, number) for number in range(PARTITIONS)]
    return sum(high_watermarks(installation.admin, numbers).values())


def acknowledge_all(installation: Installation, messages: list[dict[str, Any]]) -> None:
    topic = topics.returns(HOSHI)
    producer, writer = idempotent_producer(installation.settings.client(HOSHI)), installation.writer(topic)
    for message in messages:
        said = {"type": "ACKNOWLEDGED", "decision_id": message["decision_id"], "customer": message["customer"], "at": 0}
        value = writer.write({"return_id": f"ack-{message['decision_id']}", **said})
        producer.produce(topic, value, message["customer"].encode())
    assert producer.flush(20) == 0


def test_a_partner_that_comes_later_is_heard(installation: Installation) -> None:
    """A contract that is provisioned while the processor runs needs no restart."""
    path = installation.contracts_folder / f"{LISTMART}.yaml"
    text = path.read_text(encoding="utf-8")
    returns = installation.start_returns()
    late = PartnerId("latecomer")
    (installation.contracts_folder / f"{late}.yaml").write_text(text.replace(LISTMART, late), encoding="utf-8")
    installation.apply()
    eventually(lambda: late in returns.last("serving")["partners"], "served")
    installation.say_back(late, "x" * 22, "DECEASED")
    eventually(lambda: refusals(installation) == [(late, "unknown_customer")], "heard")
    returns.stop()


def test_a_former_partner_still_acknowledges(installation: Installation) -> None:
    with installation.processor():
        installation.update("crm:1")
        eventually(lambda: installation.has(ADRESSO, "crm:1"), "shared")
        (installation.contracts_folder / f"{ADRESSO}.yaml").unlink()
        installation.apply()
        (message,) = eventually(lambda: installation.control(ADRESSO), "told")
    assert message["type"] == "CONTRACT_ENDED"
    returns = installation.start_returns()
    installation.acknowledge(ADRESSO, message)
    state = {"partner": ADRESSO, "state": "acknowledged"}
    eventually(lambda: returns.metric("sluice_recalls", **state) == 1, "acknowledged")
    returns.stop()


def test_the_partners_own_command_and_the_operators_agree(installation: Installation) -> None:
    recalled(installation, "crm:1", "crm:2")
    returns = installation.start_returns()

    def told(*more: str) -> list[dict[str, Any]]:
        done = installation.run("recalls", "--json", *more)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    (before,) = told("--partner", HOSHI)
    assert (before["recalls"], before["open"], before["overdue"]) == (2, 2, 0)
    assert before["oldest_deadline"] == min(message["deadline"] for message in installation.control(HOSHI))
    for answered in (2, 0):
        done = installation.run("acknowledge", HOSHI)
        assert json.loads(done.stdout) == {"partner": HOSHI, "acknowledged": answered}, done.stderr
    eventually(lambda: recalls(returns, "acknowledged") == 2, "acknowledged")
    (after,) = told("--partner", HOSHI)
    assert (after["recalls"], after["acknowledged"], after["open"], after["oldest_deadline"]) == (2, 2, 0, None)
    assert [one["partner"] for one in told()] == [ADRESSO, HOSHI, LISTMART]
    returns.stop()


def test_two_returns_processors_and_one_dies(installation: Installation) -> None:
    messages = recalled(installation, *(f"crm:{number}" for number in range(200)))
    first, second = installation.start_returns(), installation.start_returns()
    eventually(lambda: recalls(first, "open") == recalls(second, "open") == 200, "both know")
    acknowledge_all(installation, messages[:100])
    eventually(lambda: accepted_so_far(installation) > 0, "it has begun")
    first.kill()
    acknowledge_all(installation, messages[100:])
    eventually(lambda: recalls(second, "acknowledged") == 200, "the other takes over", 60)
    assert refusals(installation) == []
    second.stop()


def test_broker_away_while_partners_answer(endpoints: Endpoints, installation: Installation) -> None:
    messages = recalled(installation, *(f"crm:{number}" for number in range(20)))
    returns, state = installation.start_returns(), endpoints.clients.parent
    acknowledge_all(installation, messages[:10])
    stack.stop(state, ("broker",), patience=0)
    eventually(lambda: returns.said("unavailable"), "it waits")
    stack.start(state)
    acknowledge_all(installation, messages[10:])
    eventually(lambda: recalls(returns, "acknowledged") == 20, "all are acknowledged", 90)
    assert refusals(installation) == []
    returns.stop()
