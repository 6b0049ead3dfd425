"""The partner topics recomputed from the inputs: whole records, no store, no projection code of ours.

Consent is decided by `sluice.decision`; how the demo's contracts turn a profile into a record is written out by hand.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sluice import topics
from sluice.consent import ConsentRecord, parse_event
from sluice.decision import Customer, Permitted, decide
from sluice.facts import Facts
from sluice.law.loading import shipped_law
from sluice.model import CustomerId, Millis, PartnerId
from tests.integration.installation import ADRESSO, HOSHI, LISTMART, PARTNERS, Installation, now_ms

View = dict[PartnerId, dict[str, dict[str, Any]]]


def recompute(installation: Installation) -> View:
    """What each partner should hold, by pseudonym."""
    profiles: dict[CustomerId, dict[str, Any]] = {}
    for record in installation.read(topics.CUSTOMER_UPDATES):
        customer = CustomerId((record.key or b"").decode())
        if record.value is None:
            profiles.pop(customer, None)
        else:
            profiles[customer] = installation.registry.decode(record.value)
    consents: dict[CustomerId, ConsentRecord] = {}
    for record in installation.read(topics.CONSENT_EVENTS):
        customer = CustomerId((record.key or b"").decode())
        event = parse_event(installation.registry.decode(record.value), customer, Millis(record.timestamp))
        consents[customer] = consents.get(customer, ConsentRecord()).with_event(event)
    view: View = {}
    law = shipped_law()
    for partner in PARTNERS:
        terms = installation.checked(partner).terms()
        allowed = {}
        for customer, profile in profiles.items():
            known = Customer(_facts(profile), consents.get(customer, ConsentRecord()))
            if isinstance(decide(terms, law, known, Millis(now_ms())), Permitted):
                allowed[customer] = _RECORDS[partner](installation.pseudonym(partner, customer), profile)
        view[partner] = {installation.pseudonym(partner, c): record for c, record in allowed.items() if record}
    return view


def _facts(profile: dict[str, Any]) -> Facts:
    names = ("residence", "collected_in", "birth_date", "restricted", "deceased")
    return Facts(*(profile[name] for name in names))


def _adresso(pseudonym: str, profile: dict[str, Any]) -> dict[str, Any] | None:
    address = profile["address"] or {}
    if not address.get("postal_code"):
        return None
    names = ("street", "street2", "city", "postal_code", "state", "country")
    return {"customer_id": pseudonym, **{f"address_{name}": address[name] for name in names}}


def _hoshi(pseudonym: str, profile: dict[str, Any]) -> dict[str, Any] | None:
    address = profile["address"] or {}
    if not profile["family_name"] or address.get("country") not in ("AU", "JP"):
        return None
    return {
        "customer_id": pseudonym,
        "given_name": profile["given_name"],
        "family_name": profile["family_name"],
        "email": profile["email"],
        "birth_date": _year(profile),
        "address_postal_code": _prefix(address.get("postal_code"), 3),
        "address_country": address["country"],
        "loyalty_tier": (profile["loyalty"] or {}).get("tier"),
    }


def _listmart(_pseudonym: str, profile: dict[str, Any]) -> dict[str, Any]:
    address = profile["address"] or {}
    given, family = profile["given_name"], profile["family_name"]
    masked = None if family is None else "*" * 8 if len(family) < 3 else f"{family[0]}******{family[-1]}"
    return {
        "given_name": None if given is None else given[:1],
        "family_name": masked,
        "birth_date": _year(profile),
        "address_postal_code": _prefix(address.get("postal_code"), 2),
        "address_state": address.get("state"),
        "note": None,
    }


def _year(profile: dict[str, Any]) -> int | None:
    days = profile["birth_date"]
    return None if days is None else (date(1970, 1, 1) + timedelta(days=days)).year


def _prefix(code: str | None, length: int) -> str | None:
    return code[:length] if code and len(code) > length else None


_RECORDS = {ADRESSO: _adresso, HOSHI: _hoshi, LISTMART: _listmart}
