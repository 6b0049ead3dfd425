"""Narrowing now, widening when safe (LOOP 12 to 14, 22): on the real broker, with the processor stopped in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sluice import topics
from sluice.avro import Writer
from sluice.local import stack
from sluice.local.stack import Endpoints
from sluice.partitioning import partition_of
from tests.integration.installation import HOSHI, LISTMART, PARTITIONS, Installation, eventually, now_ms
from tests.integration.upstream import Upstream

pytestmark = pytest.mark.broker


def test_grant_never_shares_what_a_later_update_deletes(installation: Installation) -> None:
    """The grant is read at once, the updates behind a backlog: nothing is shared before the deletion was read."""
    installation.write_settings(batch=1)
    customer = "crm:1"
    other = next(f"crm:{n}" for n in range(2, 99) if _partition(f"crm:{n}") == _partition(customer))
    with installation.processor():
        installation.update(customer)
        installation.update(other)
    for number in range(200):
        installation.crm.produce(
            topics.CUSTOMER_UPDATES, installation.profile(other, given_name=f"N{number}"), other.encode()
        )
    assert installation.crm.flush(20) == 0
    installation.delete(customer)
    installation.say(customer, HOSHI, "GIVEN")
    installation.say(other, HOSHI, "GIVEN")
    with installation.processor():
        eventually(lambda: (installation.has(HOSHI, other) or {}).get("given_name") == "N199", "the other is shared")
    keys = {record.key for record in installation.read_as(HOSHI, topics.customers(HOSHI))}
    assert keys == {installation.pseudonym(HOSHI, other).encode()}
    assert len(installation.read_as(HOSHI, topics.customers(HOSHI))) == 1, "shared once, when the updates were read"


def test_open_upstream_transaction_stops_widening_and_nothing_else(installation: Installation) -> None:
    with installation.processor() as processor:
        installation.say("crm:1", HOSHI, "GIVEN")
        installation.say("crm:1", LISTMART, "GIVEN")
        installation.update("crm:1")
        eventually(lambda: installation.has(HOSHI, "crm:1"), "shared")
        other = next(f"crm:{n}" for n in range(2, 99) if _partition(f"crm:{n}") == _partition("crm:1"))
        installation.say(other, HOSHI, "GIVEN")
        upstream = Upstream(installation)
        upstream.consent(LISTMART, "WITHDRAWN")
        stopped = {"partition": str(_partition("crm:1")), "reason": "open_transaction"}
        eventually(lambda: processor.metric("sluice_widening_stopped", **stopped) == 1, "noticed")
        installation.update(other)
        installation.delete("crm:1")
        eventually(lambda: not installation.has(HOSHI, "crm:1"), "recalls go on")
        assert installation.has(HOSHI, other) is None
        upstream.commit()
        eventually(lambda: installation.has(HOSHI, other), "added once the transaction ended")


def test_backlog_of_consents_is_worked_off_in_pieces(installation: Installation) -> None:
    """More than one transaction takes: the updates wait, recalls do not, and everybody gets the last answer."""
    customers = [f"crm:{number}" for number in range(40)]
    with installation.processor():
        installation.say(customers[0], HOSHI, "GIVEN")
        installation.update(customers[0])
        eventually(lambda: installation.has(HOSHI, customers[0]), "shared")
    events = {c: installation.consent_writer.write(installation.consent(c, LISTMART, "GIVEN", at=1)) for c in customers}
    for _ in range(1_200):
        for customer, event in events.items():
            installation.crm.produce(topics.CONSENT_EVENTS, event, customer.encode())
        installation.crm.poll(0)
    assert installation.crm.flush(60) == 0
    installation.say(customers[0], HOSHI, "WITHDRAWN")
    for customer in customers:
        installation.update(customer)
    for customer in customers[1:]:
        installation.say(customer, HOSHI, "GIVEN")
    with installation.processor() as processor:
        eventually(lambda: len(installation.holds(HOSHI)) == len(customers) - 1, "everybody else shared", 90)
        assert installation.has(HOSHI, customers[0]) is None
        assert processor.metric("sluice_batches_total") > 2, "more than one piece"


def test_schema_unseen_while_the_registry_is_away(endpoints: Endpoints, installation: Installation) -> None:
    """What was seen goes on, the unknown waits and says so, recalls go on; when it is back the rest follows."""
    state = endpoints.clients.parent
    extended = _with_another_field(installation, topics.CUSTOMER_UPDATES)
    names = {"family_name": "Mori", "given_name": "Extended"}
    profile = {**names, "updated_at": 1, "residence": "AU", "address": {"country": "AU"}}
    answer = _with_another_field(installation, topics.CONSENT_EVENTS)
    with installation.processor() as processor:

        def lacks_registry() -> bool:
            return processor.metric("sluice_unavailable", needs="registry") == 1

        def recalls() -> float:
            return processor.metric("sluice_withdrawal_to_recall_seconds_count")

        for customer in ("crm:1", "crm:2"):
            installation.say(customer, HOSHI, "GIVEN")
            installation.update(customer)
        eventually(lambda: len(installation.holds(HOSHI)) == 2, "shared")
        stack.stop(state, ("registry",))
        try:
            assert not lacks_registry()
            installation.send(topics.CUSTOMER_UPDATES, b"crm:1", extended({"customer_id": "crm:1", **profile}))
            installation.update("crm:2", given_name="Still")
            seen = {"given_name": "Still"}.items()
            eventually(lambda: seen <= (installation.has(HOSHI, "crm:2") or {}).items(), "known schemas go on")
            installation.say("crm:1", HOSHI, "WITHDRAWN", at=now_ms())
            eventually(lambda: not installation.has(HOSHI, "crm:1"), "recalls go on")
            withdrawal = installation.consent("crm:2", HOSHI, "WITHDRAWN", at=now_ms())
            installation.send(topics.CONSENT_EVENTS, b"crm:2", answer(withdrawal))
            eventually(lacks_registry, "told")
            assert installation.has(HOSHI, "crm:2")
            assert recalls() == 1
            installation.say("crm:1", HOSHI, "GIVEN", at=now_ms() + 1, expression="explicit")
        finally:
            stack.start(state)
        eventually(lambda: (installation.has(HOSHI, "crm:1") or {}).get("given_name") == "Extended", "the rest follows")
        eventually(lambda: not installation.has(HOSHI, "crm:2"), "the recall, too")
        eventually(lambda: recalls() == 2, "counted as late as it was")
        eventually(lambda: not lacks_registry(), "nobody waits for it any more")


def _partition(customer: str) -> int:
    return partition_of(customer.encode(), PARTITIONS)


def _with_another_field(installation: Installation, topic: str) -> Callable[[dict[str, Any]], bytes]:
    """What writes the topic's records by a schema that no processor has seen."""
    _, text = installation.registry.latest(topics.subject(topic))
    schema = json.loads(text)
    schema["fields"].append({"name": "new", "type": ["null", "string"], "default": None})
    schema_id = installation.registry.register(f"extended-{topic}-value", json.dumps(schema), "NONE")
    writer = Writer(json.dumps(schema), schema_id)
    return lambda fields: writer.write({**fields, "new": "unlisted"})
