"""`sluice run sharing --until-end`: what there is to do is done, told, and then the process ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice import topics
from tests.integration.installation import ADRESSO, HOSHI, Installation

pytestmark = pytest.mark.broker


def until_end(installation: Installation, status: int = 0) -> dict[str, Any]:
    done = installation.run("run", "sharing", "--until-end", "--metrics-port", "0")
    assert done.returncode == status, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_what_there_is_is_done_and_told(installation: Installation) -> None:
    customers = [f"crm:{number}" for number in range(40)]
    for customer in customers:
        installation.say(customer, HOSHI, "GIVEN")
        installation.update(customer)
    installation.say("crm:0", HOSHI, "WITHDRAWN")
    done = until_end(installation)
    assert done | {"seconds": 0, "transactions": 0} == {
        "updates": 40,
        "consents": 41,
        "deliveries": 40 + 39,
        "rejected": 0,
        "transactions": 0,
        "seconds": 0,
        "held_up": {},
    }
    assert 0 < done["seconds"] < 60
    assert len(installation.holds(ADRESSO)) == 40
    assert len(installation.holds(HOSHI)) == 39
    again = until_end(installation)
    assert (again["updates"], again["consents"], again["deliveries"]) == (0, 0, 0)
    installation.say("crm:1", HOSHI, "WITHDRAWN")
    assert until_end(installation)["deliveries"] == 1


def test_what_somebody_has_to_mend_first_is_told(installation: Installation) -> None:
    installation.send(topics.CONSENT_EVENTS, b"\xff", b"of nobody")
    installation.update("crm:1")
    done = until_end(installation, status=1)
    assert list(done["held_up"].values()) == [["unreadable_consent_key"]]
    assert done["rejected"] == 1
