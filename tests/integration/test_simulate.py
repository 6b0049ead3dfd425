"""`sluice simulate` over the topics: it says what the processor shares, and leaves no trace."""

from __future__ import annotations

import json

import pytest

from sluice import topics
from tests.integration.installation import HOSHI, Installation, eventually

pytestmark = pytest.mark.broker


def test_a_simulation_of_the_topics_says_what_the_processor_shares(installation: Installation) -> None:
    customers = [f"crm:{number}" for number in range(20)]
    expected = {installation.pseudonym(HOSHI, customer) for customer in customers[5::2]}
    with installation.processor():
        for number, customer in enumerate(customers):
            installation.update(customer)
            if number % 2:
                installation.say(customer, HOSHI, "GIVEN")
        installation.delete(customers[1])
        installation.say(customers[3], HOSHI, "WITHDRAWN")
        eventually(lambda: set(installation.holds(HOSHI)) == expected, "shared")
    ends = installation.input_ends()
    result = installation.run("simulate", "--json")
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    told = {line["customer"]: line for line in lines if line["partner"] == HOSHI}
    assert set(told) == set(customers)
    shared = {customer for customer, line in told.items() if line["outcome"] == "shared"}
    assert {installation.pseudonym(HOSHI, customer) for customer in shared} == expected
    assert told[customers[1]]["reason"] == "deleted_at_source"
    assert told[customers[3]]["reason"] == "withdrawn"
    assert installation.input_ends() == ends


def test_a_record_that_names_nobody_is_told_with_its_place(installation: Installation) -> None:
    installation.send(topics.CONSENT_EVENTS, None, b"?")
    result = installation.run("simulate", "--json")
    assert result.returncode == 1
    assert f"{topics.CONSENT_EVENTS}/" in result.stderr
    assert "names nobody" in result.stderr
