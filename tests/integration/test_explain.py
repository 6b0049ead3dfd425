"""`sluice explain` over the topics: the processor's own decision, what the partner holds, and no value unasked."""

from __future__ import annotations

import json

import pytest

from tests.integration.installation import HOSHI, Installation, eventually

pytestmark = pytest.mark.broker


def test_what_is_held_and_why_it_is_no_longer_allowed(installation: Installation) -> None:
    with installation.processor():
        installation.say("crm:1", HOSHI, "GIVEN")
        installation.update("crm:1", email="hana@example.com")
        installation.update("crm:2")
        eventually(lambda: installation.has(HOSHI, "crm:1"), "shared")
    installation.say("crm:1", HOSHI, "WITHDRAWN")
    result = installation.run("explain", "crm:1", "--partner", HOSHI, "--json")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["outcome"], told["reason"]) == ("withheld", "withdrawn")
    assert [rule["cite"] for category in told["categories"][:1] for rule in category["rules"]] == ["policy default"]
    assert {consent["bearing"] for consent in told["consents"]} == {"refuses", "decides nothing here"}
    assert told["holds"]["pseudonym"] == installation.pseudonym(HOSHI, "crm:1"), "nobody has recalled it yet"
    assert "hana@example.com" not in result.stdout
    text = installation.run("explain", "crm:1", "--partner", HOSHI, "--values").stdout
    assert "hana@example.com" in text
    unknown = installation.run("explain", "crm:3")
    assert unknown.returncode == 1
    assert "Nothing is recorded of crm:3" in unknown.stderr
