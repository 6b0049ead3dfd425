"""Customers who are alike before the laws get the same answer: it is decided once, and rests on each one's own records.

Alike are customers of whom everything is the same that `decide` reads: the facts, and of each consent event all but its
ids and times. Of times it matters only on which side of one another they lie, so that is what is compared. Who is like
nobody as a whole, because many partners were each told something else, is like others before each of them: what names
partners concerns no other (`sluice.decision.addressees`). Pure.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from sluice.consent import CLOCK_TOLERANCE_MS, ConsentRecord, Statement
from sluice.decision import Customer, Denied, Permitted, addressees, dates_of, decide
from sluice.facts import Facts, birthdays
from sluice.law.pack import Law
from sluice.model import Millis, PartnerId
from sluice.terms import Terms

_MOST = 1 << 14
"""So many are kept, and so many of each partner; customers are as alike as the forms they filled in, and who is like
nobody is not worth a place."""
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


@dataclass(frozen=True, slots=True, eq=False)
class Denials:
    """The refusals that a customer was given. Customers who are alike share theirs: it is the same object."""

    by_partner: Mapping[PartnerId, Denied]


class Answers(NamedTuple):
    """To each partner one of both."""

    until: Millis | None
    """Time alone changes nothing before; None: never."""
    permitted: Mapping[PartnerId, Permitted]
    denials: Denials


@dataclass(frozen=True, slots=True)
class _Asked:
    """A customer, at a time."""

    customer: Customer
    circumstances: Hashable
    """All that is read of the customer but what was said: the same for customers who are alike in that."""
    turns: Sequence[int]
    """The days between any two of which no rule begins or ends to apply to the customer."""
    now: Millis


@dataclass(frozen=True, slots=True)
class _Precedent:
    permissions: tuple[tuple[PartnerId, _Permission], ...]
    denials: Denials


class Precedents:
    """The answers that were given under one set of contracts and laws."""

    def __init__(self, terms: Mapping[PartnerId, Terms], law: Law, acknowledged: Collection[str]) -> None:
        self._terms = terms
        self._law = law
        self._acknowledged = acknowledged
        self._dates = dates_of(terms.values(), law)
        self._starts = sorted({one.valid_from for one in terms.values()})
        self._ages = law.age_bounds
        self._given: dict[object, _Precedent] = {}
        self._given_by_one: dict[PartnerId, dict[object, _Permission | Denied]] = {}
        self._addressees: dict[tuple[bytes, bool], frozenset[str] | None] = {}

    def answers(self, facts: Facts, consents: ConsentRecord, now: Millis) -> Answers:
        """What `decide` says to each partner."""
        said = consents.statements
        until = next_change(self._dates, self._ages, said, facts.born, now)
        turns = () if facts.born is None else birthdays(facts.born, self._ages)
        circumstances = self._circumstances(facts, consents, turns, now)
        asked = _Asked(Customer(facts, consents, self._acknowledged), circumstances, turns, now)
        if len(said) > _LONG or not _are_told_apart(said):
            return self._one_by_one(asked, until)
        likeness = circumstances, self._likeness(said, asked)
        known = self._given.get(likeness)
        if known is None:
            decided = self._one_by_one(asked, until)
            if len(self._given) >= _MOST:
                self._given.clear()
            permissions = tuple(
                (partner, self._without_records(partner, one, said)) for partner, one in decided.permitted.items()
            )
            self._given[likeness] = _Precedent(permissions, decided.denials)
            return decided
        permitted = {partner: _for_this_customer(permission, said) for partner, permission in known.permissions}
        return Answers(until, permitted, known.denials)

    def _one_by_one(self, asked: _Asked, until: Millis | None) -> Answers:
        """To each partner what somebody was told of whom all is the same that concerns this partner."""
        said = asked.customer.consents.statements
        to_all, by_name = self._addressed(said)
        permitted: dict[PartnerId, Permitted] = {}
        denied: dict[PartnerId, Denied] = {}
        for partner, terms in self._terms.items():
            places = sorted([*to_all, *by_name.get(partner, ())])
            heard = tuple([said[place] for place in places])
            if len(heard) > _LONG or not _are_told_apart(heard):
                answer = decide(terms, self._law, asked.customer, asked.now)  # like nobody, or not told apart by ids
            else:
                answer = self._answer(partner, heard, asked)
            if isinstance(answer, Permitted):
                permitted[partner] = answer
            else:
                denied[partner] = answer
        return Answers(until, permitted, Denials(denied))

    def _answer(self, partner: PartnerId, heard: tuple[Statement, ...], asked: _Asked) -> Permitted | Denied:
        """`heard`: what concerns this partner. That there is anything at all concerns every one."""
        says_something = bool(asked.customer.consents.statements)
        likeness = asked.circumstances, says_something, self._likeness(heard, asked)
        of_partner = self._given_by_one.setdefault(partner, {})
        known = of_partner.get(likeness)
        if known is None:
            answer = decide(self._terms[partner], self._law, asked.customer, asked.now)
            if len(of_partner) >= _MOST:
                of_partner.clear()
            kept = self._without_records(partner, answer, heard) if isinstance(answer, Permitted) else answer
            of_partner[likeness] = kept
            return answer
        return known if isinstance(known, Denied) else _for_this_customer(known, heard)

    def _addressed(self, said: tuple[Statement, ...]) -> tuple[list[int], dict[str, list[int]]]:
        """Places of what concerns everybody, and of what concerns each partner that it names."""
        to_all: list[int] = []
        by_name: dict[str, list[int]] = {}
        for place, one in enumerate(said):
            key = one.content, one.guardian_ref is None
            if key not in self._addressees:
                if len(self._addressees) >= _MOST:
                    self._addressees.clear()
                self._addressees[key] = addressees(one.event)
            named = self._addressees[key]
            if named is None:
                to_all.append(place)
            else:
                for partner in named:
                    by_name.setdefault(partner, []).append(place)
        return to_all, by_name

    def _circumstances(self, facts: Facts, consents: ConsentRecord, turns: Sequence[int], now: Millis) -> Hashable:
        """All but what was said."""
        return (
            facts.residence,
            facts.collected_in,
            facts.restricted,
            facts.deceased,
            facts.born is None,
            bisect_right(turns, now),
            any(place not in self._acknowledged for place in consents.unreadable),
            bisect_right(self._dates, now),
        )

    def _likeness(self, statements: tuple[Statement, ...], asked: _Asked) -> object:
        """The same for what was said alike, and for nothing else."""
        turns, now = asked.turns, asked.now
        times = [one.effective_time for one in statements]
        numbers = sorted({one.sequence or 0 for one in statements})
        said = tuple(
            [
                (
                    one.content,
                    one.guardian_ref is None,
                    (one.sequence is not None, numbers.index(one.sequence or 0)),
                    bisect_right(self._starts, at),
                    at > now + CLOCK_TOLERANCE_MS,
                    one.valid_from is not None and (now < one.valid_from, at < one.valid_from),
                    one.valid_until is not None and (now >= one.valid_until,),
                    bisect_right(turns, at),
                )
                for one, at in zip(statements, times, strict=True)
            ]
        )
        return said, tuple([earlier == later for earlier, later in pairwise(times)])  # they stand in their times' order

    def _without_records(self, partner: PartnerId, answer: Permitted, statements: tuple[Statement, ...]) -> _Permission:
        grants = tuple(place for place, one in enumerate(statements) if one.record_id in answer.consents)
        return _Permission(answer.fields, grants, answer.rules, self._terms[partner].valid_until)


def _are_told_apart(statements: tuple[Statement, ...]) -> bool:
    """By their ids."""
    return len({one.record_id for one in statements}) == len(statements)


def _for_this_customer(permission: _Permission, statements: tuple[Statement, ...]) -> Permitted:
    """It ends with the contract or the first of the grants that it rests on."""
    until = permission.contract_until
    records = []
    for place in permission.grants:
        grant = statements[place]
        records.append(grant.record_id)
        if grant.valid_until is not None and (until is None or grant.valid_until < until):
            until = grant.valid_until
    return Permitted(permission.fields, tuple(sorted(records)), permission.rules, until)


def next_change(
    dates: Sequence[Millis],
    age_bounds: tuple[int, ...],
    statements: Sequence[Statement],
    born: int | None,
    now: Millis,
) -> Millis | None:
    """The first instant after `now` at which time alone may change an answer; None: there is none.

    Until then the same customer gets the same answer under the same contracts and laws. `dates`: as `dates_of` them.
    """
    instants: list[Millis] = []
    at = bisect_right(dates, now)
    if at < len(dates):
        instants.append(dates[at])
    for said in statements:
        turns = (Millis(said.effective_time - CLOCK_TOLERANCE_MS), said.valid_from, said.valid_until)
        instants += [instant for instant in turns if instant is not None and instant > now]
    if born is not None:
        older = birthdays(born, age_bounds)
        at = bisect_right(older, now)
        instants += older[at : at + 1]
    return min(instants) if instants else None
