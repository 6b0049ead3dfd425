"""Contracts are edited and applied while the processor runs: everybody is reconciled, and partners are told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pytest

from sluice import keys, topics
from sluice.keys import PartnerKeys, load_master_key
from sluice.model import PartnerId
from tests.integration.installation import ADRESSO, HOSHI, LISTMART, Installation, eventually, now_ms
from tests.integration.proof import assert_verified

pytestmark = pytest.mark.broker

CUSTOMERS = [f"crm:{number}" for number in range(6)]
NEWCOMER = PartnerId("newcomer")
EMAIL_LINE = "  email: keep\n"


def share(installation: Installation, customers: Collection[str] = CUSTOMERS) -> None:
    """With the card, and with the address checker, who asks nobody."""
    for customer in customers:
        installation.say(customer, HOSHI, "GIVEN")
        installation.update(customer, email=f"{customer.replace(':', '-')}@example.com")
    eventually(lambda: len(installation.holds(HOSHI)) == len(customers), "shared with the card", 60)
    eventually(lambda: len(installation.holds(ADRESSO)) == len(customers), "shared with the address checker", 60)


def fields(installation: Installation, name: str) -> set[Any]:
    """What the card has in one field, of all customers."""
    return {record.get(name) for record in installation.holds(HOSHI).values()}


def reasons(installation: Installation, partner: PartnerId) -> set[str]:
    """Of the recalls that were disclosed."""
    entries = [
        e for r in installation.read(topics.DISCLOSURES) for e in installation.registry.decode(r.value)["entries"]
    ]
    return {entry["reason"] for entry in entries if (entry["partner"], entry["action"]) == (partner, "RECALLED")}


def kinds(installation: Installation, partner: PartnerId) -> Mapping[str, int]:
    """Control messages by type."""
    told = [message["type"] for message in installation.control(partner)]
    return {kind: told.count(kind) for kind in set(told)}


def test_a_narrowed_contract_takes_the_field_from_everybody(installation: Installation) -> None:
    with installation.processor() as processor:
        share(installation)
        assert None not in fields(installation, "email")
        installation.edit(HOSHI, EMAIL_LINE, "")
        eventually(lambda: fields(installation, "email") == {None}, "the field is gone")
        assert len(installation.holds(HOSHI)) == len(CUSTOMERS)
        assert installation.control(HOSHI) == [], "a smaller record, no recall"
        assert processor.said("contract_set_changed")
        assert_verified(installation)


def test_a_partner_that_is_taken_out_gives_everything_back(installation: Installation) -> None:
    with installation.processor() as processor:
        share(installation)
        (installation.contracts_folder / "hoshi-card.yaml").unlink()
        installation.apply()
        eventually(lambda: installation.holds(HOSHI) == {}, "everything recalled")
        eventually(lambda: kinds(installation, HOSHI) == {"CONTRACT_ENDED": len(CUSTOMERS)}, "told, each once")
        assert reasons(installation, HOSHI) == {"contract_ended"}
        assert not any(HOSHI in held for held in installation.disclosed().values())
        assert len(installation.holds(ADRESSO)) == len(CUSTOMERS), "others keep theirs"
        ended = {"partner": HOSHI, "outcome": "recalled", "reason": "contract_ended"}
        assert processor.metric("sluice_outcomes_total", **ended) == len(CUSTOMERS)
        installation.update("crm:0", given_name="Late")
        installation.say("crm:7", HOSHI, "GIVEN")
        installation.update("crm:7")
        eventually(lambda: installation.has(ADRESSO, "crm:7"), "later input was read")
        assert installation.holds(HOSHI) == {}, "and nothing more is given"
        assert_verified(installation)


def test_a_partner_that_is_added_gets_whom_it_may(installation: Installation) -> None:
    """A new one, whose topics, user and schemas are made while the processor runs."""
    to_newcomer = {"category": "third_party_sale", "partner_ids": [NEWCOMER]}
    with installation.processor():
        share(installation)
        installation.say("crm:1", LISTMART, "GIVEN", recipient_scope=to_newcomer)
        text = (installation.contracts_folder / "listmart.yaml").read_text(encoding="utf-8")
        added = text.replace("partner: listmart", "partner: newcomer").replace("ListMart Data", "Newcomer Data")
        (installation.contracts_folder / "newcomer.yaml").write_text(added, encoding="utf-8")
        installation.apply()
        key = eventually(lambda: list(installation.holds(NEWCOMER)), "shared with the newcomer")
        assert key == [installation.pseudonym(NEWCOMER, "crm:1")]
        assert_verified(installation)


def test_a_paused_contract_adds_nobody_and_keeps_what_is_held_up_to_date(installation: Installation) -> None:
    with installation.processor() as processor:
        share(installation)
        installation.edit(HOSHI, "country: JP\n", "country: JP\npaused: true\n")
        eventually(lambda: processor.said("contract_set_changed"), "the pause is known")
        installation.say("crm:9", HOSHI, "GIVEN")
        installation.update("crm:9")
        installation.update("crm:0", given_name="Later")
        installation.say("crm:1", HOSHI, "WITHDRAWN", at=now_ms())
        eventually(lambda: (installation.has(HOSHI, "crm:0") or {}).get("given_name") == "Later", "kept up to date")
        eventually(lambda: not installation.has(HOSHI, "crm:1"), "recalled as ever")
        held_back = {"partner": HOSHI, "outcome": "withheld", "reason": "contract_paused"}
        eventually(lambda: processor.metric("sluice_outcomes_total", **held_back) >= 1, "withheld")
        assert installation.has(HOSHI, "crm:9") is None
        assert len(installation.holds(HOSHI)) == len(CUSTOMERS) - 1
        assert_verified(installation)
        installation.edit(HOSHI, "paused: true\n", "")
        eventually(lambda: installation.has(HOSHI, "crm:9"), "added when the pause is over")
        assert_verified(installation)


def test_a_contract_that_has_ended_gives_everything_back(installation: Installation) -> None:
    with installation.processor():
        share(installation)
        installation.edit(HOSHI, "until: 2028-01-01", "until: 2026-02-01")
        eventually(lambda: installation.holds(HOSHI) == {}, "everything recalled")
        eventually(lambda: kinds(installation, HOSHI) == {"CONTRACT_ENDED": len(CUSTOMERS)}, "told, each once")
        assert reasons(installation, HOSHI) == {"contract_not_in_force"}
        assert_verified(installation)


def test_another_pseudonym_epoch_replaces_every_record(installation: Installation) -> None:
    with installation.processor():
        share(installation)
        before = set(installation.holds(HOSHI))
        installation.edit(HOSHI, "country: JP\n", "country: JP\npseudonym_epoch: 2\n")
        record_key = PartnerKeys.of(load_master_key(installation.settings.master_key), HOSHI, 2).record
        expected = {keys.pseudonym(record_key, customer) for customer in CUSTOMERS}
        eventually(lambda: set(installation.holds(HOSHI)) == expected, "under the new pseudonyms alone")
        assert before.isdisjoint(expected)
        assert {message["customer"] for message in installation.control(HOSHI)} == before
        assert kinds(installation, HOSHI) == {"WITHDRAW": len(CUSTOMERS)}
        assert reasons(installation, HOSHI) == {"pseudonym_replaced"}
        held = [row[HOSHI] for row in installation.disclosed().values()]
        assert {one.key_epoch for one in held} == {2}
        assert {one.pseudonym for one in held} == expected
        installation.say("crm:0", HOSHI, "WITHDRAWN", at=now_ms())
        eventually(lambda: len(installation.holds(HOSHI)) == len(CUSTOMERS) - 1, "recalled under the new one")
        assert_verified(installation)


def test_a_second_change_while_the_first_is_being_carried_out(installation: Installation) -> None:
    """The last set holds for everybody, whoever's turn had come under the one before."""
    customers = [f"crm:{number}" for number in range(1_500)]
    with installation.processor() as processor:
        for customer in customers:
            event = installation.consent_writer.write(installation.consent(customer, HOSHI, "GIVEN"))
            installation.crm.produce(topics.CONSENT_EVENTS, event, customer.encode())
            profile = installation.profile(customer, email="a@example.com")
            installation.crm.produce(topics.CUSTOMER_UPDATES, profile, customer.encode())
        assert installation.crm.flush(30) == 0
        eventually(lambda: len(installation.holds(HOSHI)) == len(customers), "shared", 60)
        installation.edit(HOSHI, EMAIL_LINE, "")
        eventually(lambda: processor.said("contract_set_changed"), "the first change is known")
        installation.edit(HOSHI, "  given_name: keep\n", "  given_name: {truncate: 1}\n  email: keep\n")
        as_of_the_second = {("H", "a@example.com")}
        eventually(lambda: _pairs(installation) == as_of_the_second, "everybody is under the second", 90)
        changes = [event for event in processor.events() if event["event"] == "contract_set_changed"]
        assert len(changes) == 2
        assert len(installation.holds(HOSHI)) == len(customers)
        assert_verified(installation)


def _pairs(installation: Installation) -> set[tuple[Any, Any]]:
    return {(one["given_name"], one.get("email")) for one in installation.holds(HOSHI).values()}


def test_contracts_that_changed_while_nobody_ran(installation: Installation) -> None:
    with installation.processor():
        share(installation)
    installation.edit(HOSHI, EMAIL_LINE, "")
    with installation.processor() as processor:
        eventually(lambda: fields(installation, "email") == {None}, "the field is gone")
        eventually(lambda: processor.metric("sluice_catching_up") == 0, "and everybody was seen")
        assert processor.said("folded") is None, "and no log was read again for it"
        assert_verified(installation)


def test_a_restart_in_the_middle_of_a_change(installation: Installation) -> None:
    customers = [f"crm:{number}" for number in range(600)]
    processor = installation.start_processor()
    for customer in customers:
        installation.crm.produce(topics.CUSTOMER_UPDATES, installation.profile(customer), customer.encode())
    assert installation.crm.flush(30) == 0
    eventually(lambda: len(installation.holds(ADRESSO)) == len(customers), "shared", 60)
    installation.edit(ADRESSO, "  address.street: keep\n", "  address.street: {truncate: 1}\n")
    eventually(lambda: processor.said("contract_set_changed"), "the change is known")
    processor.kill()
    with installation.processor():
        streets = {"1"}
        eventually(lambda: {r["address_street"] for r in installation.holds(ADRESSO).values()} == streets, "all", 60)
        assert_verified(installation)


def test_contracts_that_were_edited_and_not_applied_are_not_in_force(installation: Installation) -> None:
    path = installation.contracts_folder / "hoshi-card.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace(EMAIL_LINE, ""), encoding="utf-8")
    with installation.processor():
        share(installation, CUSTOMERS[:1])
        assert fields(installation, "email") == {"crm-0@example.com"}


def test_a_wrong_word_in_a_contract_is_refused_when_it_is_applied(installation: Installation) -> None:
    with installation.processor() as processor:
        path = installation.contracts_folder / "hoshi-card.yaml"
        good = path.read_text(encoding="utf-8")
        path.write_text(good.replace("birth_year", "birth_yaer"), encoding="utf-8")
        refused = installation.run("apply", "--yes")
        assert refused.returncode == 1
        assert "did you mean `birth_year`?" in refused.stderr
        share(installation, CUSTOMERS[:1])
        assert processor.said("contract_set_changed") is None, "and the set in force stays"
