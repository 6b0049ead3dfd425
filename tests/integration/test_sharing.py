"""The main path on a real broker, registry and processor: who gets what, and who loses it again."""

from __future__ import annotations

import pytest

from sluice.model import CustomerId
from tests.integration.installation import ADRESSO, HOSHI, LISTMART, Installation, eventually

pytestmark = pytest.mark.broker


def test_each_partner_gets_its_fields_and_nothing_that_the_law_wants_asked(installation: Installation) -> None:
    """A service provider needs a contract, a card and a list buyer need the customer's yes (ZZ-R1, ZZ-R0)."""
    with installation.processor():
        installation.say("crm:1", HOSHI, "GIVEN")
        installation.say("crm:1", LISTMART, "GIVEN")
        installation.update("crm:1", email="hana@example.com", note="likes tea")
        installation.update("crm:2")
        eventually(lambda: installation.has(LISTMART, "crm:1"), "shared with the list buyer")
    key = installation.pseudonym(HOSHI, "crm:1")
    assert installation.holds(HOSHI) == {
        key: {
            "customer_id": key,
            "given_name": "Hana",
            "family_name": "Mori",
            "email": "hana@example.com",
            "birth_date": 1980,
            "address_postal_code": "305",
            "address_country": "AU",
            "loyalty_tier": None,
        }
    }
    assert installation.holds(LISTMART) == {
        installation.pseudonym(LISTMART, "crm:1"): {
            "given_name": "H",
            "family_name": "M******i",
            "birth_date": 1980,
            "address_postal_code": "30",
            "address_state": "VIC",
            "note": None,
        }
    }
    assert installation.holds(ADRESSO).keys() == {installation.pseudonym(ADRESSO, c) for c in ("crm:1", "crm:2")}


def test_withdrawal_recalls_with_tombstone_and_control_message(installation: Installation) -> None:
    with installation.processor() as processor:
        installation.say("crm:1", HOSHI, "GIVEN")
        installation.update("crm:1")
        eventually(lambda: installation.has(HOSHI, "crm:1"), "shared")
        installation.say("crm:1", HOSHI, "WITHDRAWN")
        eventually(lambda: not installation.has(HOSHI, "crm:1"), "recalled")
        (message,) = installation.control(HOSHI)
        assert message["type"] == "WITHDRAW"
        assert message["customer"] == installation.pseudonym(HOSHI, "crm:1")
        assert message["deadline"] - message["issued_at"] == 3 * 24 * 60 * 60 * 1000
        assert processor.metric("sluice_withdrawal_to_recall_seconds_count") == 1
        assert processor.metric("sluice_outcomes_total", partner=HOSHI, outcome="recalled", reason="withdrawn") == 1
    assert HOSHI not in installation.disclosed()[CustomerId("crm:1")]


def test_deletion_at_the_source_recalls_everywhere(installation: Installation) -> None:
    with installation.processor():
        for partner in (ADRESSO, HOSHI, LISTMART):
            installation.say("crm:1", partner, "GIVEN")
        installation.update("crm:1")
        eventually(lambda: all(installation.has(p, "crm:1") for p in (ADRESSO, HOSHI, LISTMART)), "shared")
        installation.delete("crm:1")
        eventually(lambda: not any(installation.holds(p) for p in (ADRESSO, HOSHI, LISTMART)), "recalled")
    assert [installation.control(p)[0]["type"] for p in (ADRESSO, HOSHI, LISTMART)] == ["ERASE"] * 3


def test_update_before_consent_and_consent_before_update_give_the_same(installation: Installation) -> None:
    with installation.processor():
        installation.update("crm:1")
        eventually(installation.input_ends, "read")
        installation.say("crm:1", HOSHI, "GIVEN")
        installation.say("crm:2", HOSHI, "GIVEN")
        installation.update("crm:2")
        eventually(lambda: len(installation.holds(HOSHI)) == 2, "both shared")
    one, two = installation.holds(HOSHI).values()
    assert {**one, "customer_id": None} == {**two, "customer_id": None}
