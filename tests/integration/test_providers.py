"""Round trips with a service provider, on a real broker: asked, answered, refused, withdrawn meanwhile, killed."""

from __future__ import annotations

from typing import Any

import pytest

from sluice import topics
from tests.integration.installation import ADRESSO, Installation, eventually

pytestmark = pytest.mark.broker


def refusals(installation: Installation) -> list[str]:
    return sorted(installation.registry.decode(r.value)["cause"] for r in installation.read(topics.REFUSED_REPLIES))


def asked(installation: Installation, *customers: str) -> dict[str, dict[str, Any]]:
    """The requests about these customers, once each was shared with the provider."""
    for customer in customers:
        installation.update(customer)
    names = {customer: installation.pseudonym(ADRESSO, customer) for customer in customers}

    def found() -> dict[str, dict[str, Any]] | None:
        by_name = {request["customer"]: request for request in installation.requests(ADRESSO)}
        mine = {customer: by_name[name] for customer, name in names.items() if name in by_name}
        return mine if len(mine) == len(customers) else None

    return eventually(found, "all are asked for")  # type: ignore[no-any-return]


def test_a_round_trip(installation: Installation) -> None:
    """Asked when shared, answered with where it is from, not asked again for the same data, asked again for other."""
    providers = installation.start_providers()
    with installation.processor():
        request = asked(installation, "crm:1")["crm:1"]
        assert request["task"] == "operations.address_hygiene"
        assert request["expires_at"] - request["issued_at"] == 2 * 24 * 60 * 60 * 1000
        values = {"street": {"value": "1 LONG ST", "confidence": 0.9}, "moved": {"value": False}}
        installation.reply(ADRESSO, request, values=values)
        eventually(lambda: len(installation.enrichments().get("crm:1", ())) == 2, "taken in")
        moved, street = installation.enrichments()["crm:1"]
        assert (street["field"], street["value"], street["confidence"]) == ("street", "1 LONG ST", 0.9)
        assert (moved["field"], moved["value"], moved["confidence"]) == ("moved", False, None)
        assert street["source"] == "append:adresso"
        assert street["request_id"] == request["request_id"]
        assert street["purpose_limits"] == ["operations.address_hygiene"]
        installation.update("crm:1")
        installation.update("crm:1", email="nothing@that.it.holds")
        installation.update("crm:1", address={"street": "2 Short Street", "postal_code": "3056", "country": "AU"})
        eventually(lambda: len(installation.requests(ADRESSO)) == 2, "asked about the other address")
        assert installation.requests(ADRESSO)[1]["request_id"] != request["request_id"]
    assert refusals(installation) == []
    assert providers.metric("sluice_provider_requests_total", partner=ADRESSO) == 2
    assert providers.metric("sluice_provider_replies_total", outcome="taken_in") == 1
    providers.stop()
