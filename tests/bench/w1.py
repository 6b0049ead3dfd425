"""Workload W1: records that others can make and measure too.

100,000 customers with 400,000 updates, uniform keys; 23 flat fields of about 230 bytes, strings mostly nullable, two
numbers, one array; three partners, to each of which a customer consents with probability one half; partner records of
6, 5 and 7 fields plus the pseudonym. A `Variant` is the same with something otherwise. Pure: the same seed gives the
same bytes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from schemas import catalogue
from sluice.avro import FRAME_BYTES, Writer

START_MS = 1_767_225_600_000
"""2026-01-01: when everybody said what they said."""
Wanted = Mapping[str, Any]
"""What a partner wants the data for, and which of it."""
PARTNERS: Mapping[str, Wanted] = {
    "aiko-mail": {
        "purpose": "marketing.communications.email",
        "fields": ("given_name", "family_name", "email", "language", "loyalty_tier", "segment"),
    },
    "beni-post": {
        "purpose": "operations.address_hygiene",
        "fields": ("street", "city", "postal_code", "state", "country"),
    },
    "chiyo-list": {
        "purpose": "marketing.advertising.third_party.targeted",
        "fields": ("given_name", "family_name", "company", "phone", "email", "city", "country"),
    },
}
_CATEGORIES = {
    "customer_id": "user.unique_id",
    "source_system": "system.operations",
    "title": "user.name",
    "given_name": "user.name.first",
    "family_name": "user.name.last",
    "company": "user.contact.organization",
    "email": "user.contact.email",
    "phone": "user.contact.phone_number",
    "street": "user.contact.address.street",
    "street2": "user.contact.address.street",
    "city": "user.contact.address.city",
    "postal_code": "user.contact.address.postal_code",
    "state": "user.contact.address.state",
    "country": "user.contact.address.country",
    "residence": "user.contact.address.country",
    "language": "user.demographic.language",
    "birth_date": "user.demographic.date_of_birth",
    "loyalty_tier": "user.account",
    "segment": "user.account",
    "note": "user.content.private",
}
_NUMBERS = {"points": ("int", "user.account"), "updated_at": ("long", "system.operations")}
_BODIES, _BIRTHDAYS = 4_096, 64
"""Different snapshots, which are made once: the generator must not be what is measured. A customer is born once."""
_GIVEN = ("Aiko", "Daichi", "Emi", "Haruto", "Kaori", "Mio", "Ren", "Sakura", "Takumi", "Yui")
_FAMILY = ("Fujita", "Hayashi", "Ishikawa", "Kobayashi", "Matsumoto", "Nakamura", "Saito", "Tanaka", "Watanabe")
_CITIES = ("Sapporo", "Sendai", "Yokohama", "Nagoya", "Kyoto", "Osaka", "Hiroshima", "Fukuoka", "Kitakyushu")
_SEGMENTS = ("frequent", "seasonal", "gift_buyer", "outlet", "new", "dormant")


@dataclass(frozen=True, slots=True)
class Variant:
    """W1, and what may be otherwise."""

    partners: int = 3
    """More than three want what one of the three wants."""
    applying: int | None = None
    """So many of them, the first, are anybody's to consent to; None: all."""
    consenting: float = 0.5
    """The probability that a customer consents to one of them."""
    note_bytes: int | None = None
    """How long the field is that nobody gets; None: 27, in three of five."""

    @property
    def parties(self) -> dict[str, Wanted]:
        """The partners by name."""
        kinds = list(PARTNERS.items())
        return {
            name if number < len(kinds) else f"{name}-{number + 1}": wanted
            for number in range(self.partners)
            for name, wanted in [kinds[number % len(kinds)]]
        }


W1 = Variant()


def schema() -> str:
    """The source's Avro schema."""
    text = ["null", "string"]
    fields: list[dict[str, Any]] = [
        {"name": name, "type": "string" if name in ("customer_id", "family_name") else text, "data_category": category}
        for name, category in _CATEGORIES.items()
    ]
    fields += [{"name": name, "type": kind, "data_category": category} for name, (kind, category) in _NUMBERS.items()]
    interests = {"type": "array", "items": "string"}
    fields.append({"name": "interests", "type": interests, "data_category": "user.behavior.purchase_history"})
    return json.dumps({"type": "record", "name": "Customer", "namespace": "w1", "fields": fields})


def contract(partner: str, wanted: Wanted) -> dict[str, Any]:
    """What may be shared with the partner, as its file says it."""
    return {
        "partner": partner,
        "name": partner,
        "recipient": "corporate_partner",
        "purpose": wanted["purpose"],
        "country": "JP",
        "valid": {"from": date(2026, 1, 1)},
        "fields": {"customer_id": "pseudonym", **dict.fromkeys(wanted["fields"], "keep")},
        "evidence": ["notice_names_recipient", "third_party_contract", "dns_link"],
    }


@dataclass(frozen=True, slots=True)
class Keyed:
    """One record for an input topic."""

    key: bytes
    value: bytes


Records = Iterator[Keyed]


class Workload:
    """The records, made as they are asked for."""

    def __init__(self, profile_id: int, consent_id: int, variant: Variant = W1, seed: int = 1) -> None:
        """Ids under which `schema()` and our consent event's schema are registered."""
        self._random = random.Random(seed)
        self._variant = variant
        self._frame = Writer(schema(), profile_id)
        self._consents = Writer(catalogue.text("consent_event"), consent_id)
        first = (seed - 1) * _BODIES  # no two seeds have a snapshot in common
        self._bodies = [self._body(number) for number in range(first, first + _BODIES)]

    def updates(self, customers: int, count: int) -> Records:
        """`count` snapshots of customers drawn alike; nobody's first is left out when there are enough of them."""
        draw = self._random
        order = list(range(customers))
        draw.shuffle(order)
        for number in range(count):
            customer = order[number] if number < customers else int(draw.random() * customers)
            yield self.update(customer)

    def update(self, customer: int) -> Keyed:
        """A snapshot of the customer with this number, another one each time."""
        key = customer_id(customer).encode()
        drawn = int(self._random.random() * (_BODIES // _BIRTHDAYS))
        frame, body = self._bodies[drawn * _BIRTHDAYS + customer % _BIRTHDAYS]
        return Keyed(key, b"%b%c%b%b" % (frame, len(key) * 2, key, body))

    def consents(self, customers: int) -> Records:
        """A grant of each customer to each partner, or not."""
        variant = self._variant
        applying = list(variant.parties.items())[: variant.applying]
        for number in range(customers):
            customer = customer_id(number)
            for partner, wanted in applying:
                if self._random.random() < variant.consenting:
                    yield Keyed(customer.encode(), self._consents.write(_grant(customer, partner, wanted["purpose"])))

    def _body(self, number: int) -> tuple[bytes, bytes]:
        """A snapshot's frame, and what stands behind its first field."""
        person = _person(self._random, number)
        if self._variant.note_bytes is not None:
            person["note"] = "x" * self._variant.note_bytes
        whole = self._frame.write(person)
        return whole[:FRAME_BYTES], whole[FRAME_BYTES + 1 :]


def customer_id(number: int) -> str:
    return f"w1:{number:07}"


def _person(draw: random.Random, number: int) -> dict[str, Any]:
    given, family = draw.choice(_GIVEN), draw.choice(_FAMILY)
    maybe = {
        "title": draw.choice(("Dr", "Ms", "Mr")),
        "company": f"{draw.choice(_FAMILY)} Trading",
        "street2": f"Apt {draw.randrange(100)}",
        "note": "prefers calls in the evening",
        "segment": draw.choice(_SEGMENTS),
    }
    return {
        "customer_id": "",
        "source_system": "w1",
        "given_name": given,
        "family_name": family,
        "email": f"{given}.{family}{number}@example.com".lower(),
        "phone": f"+81355{draw.randrange(10_000_000):07}",
        "street": f"{draw.randrange(1, 9)}-{draw.randrange(1, 30)}-{draw.randrange(1, 20)} Chuo",
        "city": draw.choice(_CITIES),
        "postal_code": f"{draw.randrange(10_000_000):07}",
        "state": draw.choice(("Hokkaido", "Miyagi", "Kanagawa", "Aichi", "Kyoto", "Osaka")),
        "country": "JP",
        "residence": "JP",
        "language": "ja",
        "birth_date": (date(1940, 1, 1) + timedelta(days=22_000 * (number % _BIRTHDAYS) // _BIRTHDAYS)).isoformat(),
        "loyalty_tier": draw.choice(("NONE", "BRONZE", "SILVER", "GOLD", "PLATINUM")),
        **{name: value if draw.random() < 0.6 else None for name, value in maybe.items()},
        "points": draw.randrange(50_000),
        "updated_at": START_MS + draw.randrange(86_400_000),
        "interests": draw.sample(_SEGMENTS, draw.randrange(4)),
    }


def _grant(customer: str, partner: str, purpose: str) -> dict[str, Any]:
    return {
        "record_id": f"{customer}-{partner}",
        "subject_id": customer,
        "purpose": purpose,
        "recipient_scope": {"category": "partner", "partner_ids": [partner]},
        "data_scope": ["*"],
        "state": "GIVEN",
        "expression": "explicit",
        "actor": "subject",
        "jurisdiction": "JP",
        "event_time": START_MS,
        "recorded_at": START_MS,
        "notice": {"id": partner, "version": "1", "language": "ja", "names_recipients": [partner]},
    }
