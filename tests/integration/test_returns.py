"""What partners return, on a real broker: recalls acknowledged or overdue, withdrawals, refusals, kills."""

from __future__ import annotations

import pytest

from tests.integration.installation import ADRESSO, HOSHI, LISTMART, Installation, eventually

pytestmark = pytest.mark.broker


def recalled(installation: Installation, *customers: str) -> list[dict[str, object]]:
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


def test_a_recall_is_acknowledged(installation: Installation) -> None:
    first, second = recalled(installation, "crm:1", "crm:2")
    returns = installation.start_returns()
    eventually(lambda: returns.metric("sluice_recalls", partner=HOSHI, state="open") == 2, "both are open")
    installation.acknowledge(HOSHI, first)
    eventually(lambda: returns.metric("sluice_recalls", partner=HOSHI, state="acknowledged") == 1, "one acknowledged")
    assert returns.metric("sluice_recalls", partner=HOSHI, state="open") == 1
    (accepted,) = installation.accepted()
    assert (accepted["decision_id"], accepted["partner"]) == (first["decision_id"], HOSHI)
    assert installation.refused() == []
    returns.stop()
