"""Customers who are alike before the laws get the same answer: it is decided once, and rests on each one's own records.

Alike are customers of whom everything is the same that `decide` reads: the facts, and of each consent event all but its
ids and times. Of times it matters only on which side of one another they lie, so that is what is compared. Pure.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise

from msgspec.structs import replace

from sluice.consent import CLOCK_TOLERANCE_MS, ConsentEvent, ConsentRecord
from sluice.decision import Customer, Denied, Permitted, dates_of, decide, next_change
from sluice.facts import Facts, birthdays
from sluice.law.pack import Law
from sluice.model import Millis, PartnerId
from sluice.terms import Terms

_MOST = 1 << 14
"""So many are kept; customers are as alike as the forms they filled in, and who is like nobody is not worth a place."""
_LONG = 16
"""Who said more than so much is like nobody."""


@dataclass(frozen=True, slots=True)
class _Permission:
    """An answer without the records of the customer whom it was given to."""

    fields: tuple[str, ...]
    grants: tuple[int, ...]
    """Places of the events that it rests on."""
    rules: tuple[str, ...]
    contract_until: Millis | None


class Precedents:
    """The answers that were given under one set of contracts and laws."""

    def __init__(self, terms: Mapping[PartnerId, Terms], law: Law, acknowledged: Collection[str]) -> None:
        self._terms = terms
        self._law = law
        self._acknowledged = acknowledged
        self._dates = dates_of(terms.values(), law)
        self._starts = sorted({one.valid_from for one in terms.values()})
        self._ages = law.age_bounds
        self._given: dict[object, Mapping[PartnerId, _Permission | Denied]] = {}

    def answers(self, facts: Facts, consents: ConsentRecord, now: Millis) -> dict[PartnerId, Permitted | Denied]:
        """What `decide` says to each partner."""
        events = consents.events
        if len(events) > _LONG or len({event.record_id for event in events}) != len(events):
            return self._decided(facts, consents, now)  # like nobody; or the ids do not tell which event is meant
        likeness = self._likeness(facts, consents, now)
        known = self._given.get(likeness)
        if known is None:
            decided = self._decided(facts, consents, now)
            if len(self._given) >= _MOST:
                self._given.clear()
            self._given[likeness] = {name: self._without_records(name, one, events) for name, one in decided.items()}
            return decided
        return {partner: _for_this_customer(answer, events) for partner, answer in known.items()}

    def next_change(self, facts: Facts, consents: ConsentRecord, now: Millis) -> Millis | None:
        """Until when the answers hold, whatever they are."""
        return next_change(self._dates, self._ages, consents, facts.born, now)

    def _decided(self, facts: Facts, consents: ConsentRecord, now: Millis) -> dict[PartnerId, Permitted | Denied]:
        customer = Customer(facts, consents, self._acknowledged)
        return {partner: decide(terms, self._law, customer, now) for partner, terms in self._terms.items()}

    def _likeness(self, facts: Facts, consents: ConsentRecord, now: Millis) -> object:
        """The same for customers who are alike, and for nobody else."""
        events = consents.events
        times = [event.effective_time for event in events]
        numbers = sorted({event.sequence or 0 for event in events})
        # between two of these no rule begins or ends to apply to the customer
        turns = () if facts.born is None else birthdays(facts.born, self._ages)
        said = tuple(
            (
                _content(event),
                (event.sequence is not None, numbers.index(event.sequence or 0)),
                bisect_right(self._starts, at),
                at > now + CLOCK_TOLERANCE_MS,
                event.valid_from is not None and (now < event.valid_from, at < event.valid_from),
                event.valid_until is not None and (now >= event.valid_until,),
                bisect_right(turns, at),
            )
            for event, at in zip(events, times, strict=True)
        )
        return (
            facts.residence,
            facts.collected_in,
            facts.restricted,
            facts.deceased,
            facts.born is None,
            bisect_right(turns, now),
            any(place not in self._acknowledged for place in consents.unreadable),
            bisect_right(self._dates, now),
            said,
            tuple(earlier == later for earlier, later in pairwise(times)),  # they stand in the order of their times
        )

    def _without_records(
        self, partner: PartnerId, answer: Permitted | Denied, events: tuple[ConsentEvent, ...]
    ) -> _Permission | Denied:
        if isinstance(answer, Denied):
            return answer
        grants = tuple(place for place, event in enumerate(events) if event.record_id in answer.consents)
        return _Permission(answer.fields, grants, answer.rules, self._terms[partner].valid_until)


def _content(event: ConsentEvent) -> ConsentEvent:
    """What was said, without when and by whom."""
    nobody = Millis(0)
    return replace(
        event,
        record_id="",
        subject_id="",
        event_time=nobody,
        recorded_at=nobody,
        sequence=None,
        valid_from=None,
        valid_until=None,
        guardian_ref=None if event.guardian_ref is None else "",
    )


def _for_this_customer(answer: _Permission | Denied, events: tuple[ConsentEvent, ...]) -> Permitted | Denied:
    """A permission ends with the contract or the first of the grants that it rests on."""
    if isinstance(answer, Denied):
        return answer
    grants = [events[place] for place in answer.grants]
    ends = [end for end in (answer.contract_until, *(one.valid_until for one in grants)) if end is not None]
    return Permitted(
        answer.fields, tuple(sorted(one.record_id for one in grants)), answer.rules, min(ends, default=None)
    )
