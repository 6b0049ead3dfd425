"""What tests of providers are made of: disclosures, agreements, replies and a book, by hand."""

from __future__ import annotations

from typing import Any

from sluice.avro import Record as AvroRecord
from sluice.contract.task import Task
from sluice.model import CustomerId, Millis, PartnerId, Pointer, Pseudonym
from stream_processors.providers.asking import Asked, TakenBack, reconcile
from stream_processors.providers.book import Agreements, Book, Pair, Work
from stream_processors.providers.reply import Arrival, RepliedValue, Reply

ADRESSO, OTHER = PartnerId("adresso"), PartnerId("other-house")
CUSTOMER = CustomerId("crm:1")
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOW = Millis(1_790_000_000_000)
TASK = Task.model_validate(
    {
        "reply": {
            "street": {"type": "text", "category": "user.contact.address.street", "longest": 20},
            "code": {"type": "one_of", "category": "user.contact.address", "values": ["Y", "N"]},
            "score": {"type": "number", "category": "user.contact.address", "at_least": 0, "at_most": 10},
            "moved": {"type": "boolean", "category": "user.contact.address"},
            "moved_on": {"type": "date", "category": "user.contact.address"},
        },
        "answer_within": "P2D",
        "licence": {"source": "G-NAF", "until": "2028-01-01"},
        "purpose_limits": [],
    },
    strict=False,
)
PURPOSE = "operations.address_hygiene"
AGREEMENTS = Agreements({ADRESSO: DAY_MS, OTHER: DAY_MS}, {one: Work(PURPOSE, TASK) for one in (ADRESSO, OTHER)})


def pseudonym(provider: str, customer: str = CUSTOMER) -> Pseudonym:
    return Pseudonym(f"{provider}~{customer}")


def entry(  # noqa: PLR0917 - an entry's fields
    action: str,
    decision: str,
    digest: bytes | None = b"a",
    provider: str = ADRESSO,
    customer: str = CUSTOMER,
    reason: str | None = None,
) -> AvroRecord:
    return {
        "partner": provider,
        "action": action,
        "reason": reason,
        "pseudonym": pseudonym(provider, customer),
        "digest": None if action == "RECALLED" else digest,
        "decision_id": decision,
    }


def disclosed(book: Book, *entries: AvroRecord, customer: str = CUSTOMER) -> None:
    book.disclose(CustomerId(customer), {"entries": list(entries)})


def shared(decision: str = "d-1", digest: bytes = b"a") -> Book:
    """One customer, held by one provider, and asked for."""
    book = Book()
    book.agree(AGREEMENTS)
    disclosed(book, entry("SHARED", decision, digest))
    reconciled(book)
    return book


def reconciled(book: Book, now: int = NOW) -> list[Asked | TakenBack]:
    """Everything that has to be done, done."""
    changes = []
    pairs: list[Pair] = [*book.touched]
    book.touched.clear()
    for pair in pairs:
        change = reconcile(book, pair, Millis(now))
        if isinstance(change, Asked):
            book.ask(change.request)
        elif change is not None:
            book.enrich(change.customer, change.left)
        if change is not None:
            changes.append(change)
    return changes


def reply(book: Book, provider: PartnerId = ADRESSO, customer: str = CUSTOMER, **fields: Any) -> Reply:  # noqa: ANN401
    """To the newest request about a customer."""
    name = pseudonym(provider, customer)
    one = book.holdings.get(name)
    request = one.asked.request_id if one and one.asked else "none"
    values = fields.pop("values", {"code": "Y"})
    said = {"reply_id": "r", "request_id": request, "customer": name, **fields}
    return Reply(**said, values=tuple(RepliedValue(field, value) for field, value in values.items()))


def arrival(offset: int = 0, provider: PartnerId = ADRESSO, at: int = NOW + HOUR_MS, value: bytes = b"") -> Arrival:
    return Arrival(provider, Pointer(f"partner.{provider}.replies", 0, offset), b"", value, Millis(at))
