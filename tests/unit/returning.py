"""What tests of returns are made of: disclosures, contract sets and returns, by hand."""

from __future__ import annotations

from typing import Any

from sluice.avro import Record as AvroRecord
from sluice.consent import RecipientKind
from sluice.model import CustomerId, Millis, PartnerId, Pointer, Pseudonym
from stream_processors.returns.book import Agreements, Book, Conditions
from stream_processors.returns.partner_return import Arrival, PartnerReturn, ReturnType

HOSHI, LISTMART = PartnerId("hoshi-card"), PartnerId("listmart")
DAY_MS = 24 * 60 * 60 * 1000
NOW = Millis(1_790_000_000_000)
SET = "c0"
CONDITIONS = {
    HOSHI: Conditions(RecipientKind.PARTNER, "marketing.communications.email", pause_when_overdue=True),
    LISTMART: Conditions(RecipientKind.THIRD_PARTY_SALE, "marketing.advertising"),
}
AGREEMENTS = Agreements(SET, {HOSHI: 3 * DAY_MS, LISTMART: DAY_MS}, CONDITIONS)


def pseudonym(partner: str, customer: str) -> Pseudonym:
    return Pseudonym(f"{partner}~{customer}")


def disclosure(
    customer: str, *entries: tuple[str, str], at: int = NOW, decision: str | None = None, reason: str | None = None
) -> AvroRecord:
    """`entries`: partner and action of each."""
    return {
        "decided_at": at,
        "contract_set": SET,
        "entries": [
            {
                "partner": partner,
                "action": action,
                "reason": "withdrawn" if action == "RECALLED" else reason,
                "pseudonym": pseudonym(partner, customer),
                "fields": [] if action == "RECALLED" else ["given_name", "address.city"],
                "decision_id": decision or f"{partner}/{customer}/{at}",
            }
            for partner, action in entries
        ],
    }


def book(*disclosures: tuple[str, AvroRecord]) -> Book:
    made = Book()
    made.agree(AGREEMENTS)
    for customer, one in disclosures:
        made.disclose(CustomerId(customer), one)
    return made


def two_customers() -> Book:
    """Both partners were given crm:1 and crm:2, and crm:1 was recalled from both a second later."""
    everybody = (HOSHI, "SHARED"), (LISTMART, "SHARED")
    return book(
        ("crm:1", disclosure("crm:1", *everybody)),
        ("crm:2", disclosure("crm:2", *everybody)),
        ("crm:1", disclosure("crm:1", (HOSHI, "RECALLED"), (LISTMART, "RECALLED"), at=NOW + 1000, decision="d-1")),
    )


def said(kind: str, customer: str = "crm:1", partner: str = HOSHI, **fields: Any) -> PartnerReturn:  # noqa: ANN401
    named = {"return_id": f"r-{kind}", "at": Millis(NOW + 5000), "customer": pseudonym(partner, customer), **fields}
    return PartnerReturn(type=ReturnType(kind), **named)


def arrival(offset: int = 0, partner: PartnerId = HOSHI, at: int = NOW + 6000, value: bytes = b"") -> Arrival:
    return Arrival(partner, Pointer(f"partner.{partner}.returns", 0, offset), b"", value, Millis(at))
