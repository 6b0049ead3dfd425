"""The simulated provider: the same answers whenever it is asked, and to whom a campaign goes."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.contract import load_contracts
from sluice.model import PartnerId
from sluice.simulated_provider import email_house, hygiene
from tests.unit.test_contract import DEMO


@pytest.mark.parametrize(("street", "within", "found", "code"), [
    ("1 Long  street", None, "1 LONG ST", "Y"),
    ("8 stanley street", "unit 3", "8 STANLEY ST", "D"),
    ("8 stanley street", "miami", "8 STANLEY ST", "S"),
    ("stanley street", None, "STANLEY ST", "N"),
    (None, None, "", "N"),
])  # fmt: skip
def test_an_address_is_put_into_one_form(street: str | None, within: str | None, found: str, code: str) -> None:
    record = {
        "address_street": street,
        "address_street2": within,
        "address_city": " box  hill",
        "address_postal_code": "3128",
    }
    values = {one["field"]: one["value"] for one in hygiene.standardised(record)}
    assert (values["street"], values["city"], values["deliverability"]) == (found, "BOX HILL", code)
    assert values["moved"] is (values["moved_on"] is not None)


def test_what_it_says_is_what_the_demos_contract_agrees_to() -> None:
    task = load_contracts(DEMO)[PartnerId("adresso")][0].task
    assert task is not None
    for number in range(100):
        record = {"address_street": f"{number} x lane", "address_city": "y", "address_postal_code": "3000"}
        said = hygiene.standardised(record)
        assert {one["field"] for one in said} == set(task.reply)
        assert all(task.reply[one["field"]].allows(one["value"]) for one in said)


def test_a_campaign_goes_to_those_of_the_segment_who_are_held() -> None:
    held: dict[str, dict[str, Any]] = {
        "a": {"segments": ["frequent", "new"]},
        "b": {"segments": ["new"]},
        "c": {"segments": None},
    }
    assert [*email_house.chosen(held, "frequent")] == ["a"]
    assert [*email_house.chosen(held, None)] == ["a", "b", "c"]
    del held["a"]
    assert [*email_house.chosen(held, "frequent")] == []


def test_of_most_mails_nothing_comes_and_of_some_the_same_always() -> None:
    came = [email_house.came_of("spring", f"p-{number}") for number in range(1_000)]
    assert came == [email_house.came_of("spring", f"p-{number}") for number in range(1_000)]
    assert 30 < came.count("BOUNCED") < 200
    assert 30 < came.count("UNSUBSCRIBED") < 200
