"""What is to be asked of whom, and what to be taken back: so that both agree with what is held. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sluice.model import CustomerId, Millis
from stream_processors.providers.book import Appended, Book, Holding, Pair, Request, request_id, source

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to be written."""

    customer: CustomerId
    holding: Holding
    request: Request


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A provider's values may not stand any more."""

    customer: CustomerId
    left: tuple[Appended, ...]
    """What others have found out."""


def reconcile(book: Book, pair: Pair, now: Millis) -> Asked | TakenBack | None:
    """What has to be done about one customer at one provider.

    1. What a provider has appended stands only while it holds the customer.
    2. It is asked once for each state of the data that it holds: not again when the same data stands on another basis,
       nor when it is back before anything else was asked.
    3. It is asked nothing about whom it may not use.
    """
    partner, customer = pair
    pseudonym = book.held_as.get(pair)
    if pseudonym is None:  # 1
        if not book.appended_by(*pair):
            return None
        left = (one for one in book.enrichments[customer] if one.source != source(partner))
        return TakenBack(customer, tuple(left))
    one = book.holdings[pseudonym]
    work = book.in_force.work.get(partner) if book.in_force else None
    if work is None or one.decision_id is None or one.is_restricted or one.is_asked:  # 2, 3
        return None
    request = Request(
        request_id=request_id(partner, one.decision_id),
        task=work.purpose,
        customer=pseudonym,
        decision_id=one.decision_id,
        issued_at=now,
        expires_at=Millis(now + work.task.answer_within // _MILLISECOND),
    )
    return Asked(customer, one, request)
