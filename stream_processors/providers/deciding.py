"""What becomes of one reply: exactly one of three outcomes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from sluice.contract.task import Task
from sluice.model import CustomerId
from stream_processors.providers.book import Appended, Book, Holding, Work, request_id, source
from stream_processors.providers.reply import Arrival, RefusedFor, RepliedValue, Reply


@dataclass(frozen=True, slots=True)
class TakenIn:
    customer: CustomerId
    appended: tuple[Appended, ...]
    """All that stands of the customer from now on, other providers' values too."""


@dataclass(frozen=True, slots=True)
class Discarded:
    """The customer was recalled from the provider meanwhile: the recall is told again, as an erasure."""

    customer: CustomerId
    recall: str
    """Its decision id."""


@dataclass(frozen=True, slots=True)
class Refused:
    cause: RefusedFor


Outcome = TakenIn | Discarded | Refused


def label(outcome: Outcome) -> tuple[str, str]:
    """Its name and cause, as metric labels."""
    match outcome:
        case TakenIn():
            return "taken_in", ""
        case Discarded():
            return "discarded", RefusedFor.WITHDRAWN.value
        case Refused(cause=cause):
            return "refused", cause.value
        case _:
            assert_never(outcome)


def decide(arrival: Arrival, said: Reply | RefusedFor, book: Book) -> Outcome:
    """What becomes of a reply, by a book that knows everything that was written before it was asked.

    1. A pseudonym is this provider's, or the reply is refused.
    2. Of whom the provider may not hold any more, nothing is taken in, and it is told to erase what it has made.
    3. It answers the newest request about that customer, which is about what the provider holds now,
       4. in time, and once.
    5. It says nothing but what the contract in force has agreed, or all of it is refused.
    """
    if isinstance(said, RefusedFor):
        return Refused(said)
    one = book.holdings.get(said.customer)
    if one is None:  # 1
        return Refused(RefusedFor.UNKNOWN_CUSTOMER)
    if one.partner != arrival.provider:
        return Refused(RefusedFor.CUSTOMER_OF_ANOTHER_PARTNER)
    if one.decision_id is None:  # 2
        return Discarded(one.customer, one.recall or "")
    work = book.in_force.work.get(arrival.provider) if book.in_force else None
    if work is None:
        return Refused(RefusedFor.NO_TASK)
    cause = _misplaced(arrival, said, one, book) or _misfit(said, work.task)  # 3, 4, 5
    if cause is not None:
        return Refused(cause)
    others = (known for known in book.enrichments.get(one.customer, ()) if known.source != source(one.partner))
    return TakenIn(one.customer, (*others, *_appended(arrival, said, work)))


def _misplaced(arrival: Arrival, said: Reply, one: Holding, book: Book) -> RefusedFor | None:
    if one.asked is None or one.asked.request_id != said.request_id:  # 3
        former = (request_id(one.partner, decision) for decision in one.digests)
        return RefusedFor.SUPERSEDED if said.request_id in former else RefusedFor.UNKNOWN_REQUEST
    if not one.is_asked:
        return RefusedFor.SUPERSEDED
    if arrival.logged_at >= one.asked.expires_at:  # 4
        return RefusedFor.EXPIRED
    return RefusedFor.REPEATED if book.is_answered(one) else None


def _misfit(said: Reply, task: Task) -> RefusedFor | None:
    names = {one.field for one in said.values}
    if not names <= task.reply.keys() or len(names) < len(said.values):  # 5
        return RefusedFor.FIELD_NOT_AGREED
    fits = (task.reply[one.field].allows(one.value) and _is_a_share(one) for one in said.values)
    return None if said.values and all(fits) else RefusedFor.VALUE_NOT_AGREED


def _is_a_share(one: RepliedValue) -> bool:
    return one.confidence is None or 0 <= one.confidence <= 1


def _appended(arrival: Arrival, said: Reply, work: Work) -> tuple[Appended, ...]:
    task = work.task
    return tuple(
        Appended(
            field=one.field,
            category=task.reply[one.field].category,
            value=one.value,
            source=source(arrival.provider),
            obtained_at=arrival.logged_at,
            purpose_limits=tuple(task.purpose_limits or [work.purpose]),
            licence=task.licence.source,
            licence_until=task.licence.until_ms,
            confidence=one.confidence,
            request_id=said.request_id,
        )
        for one in said.values
    )
