"""All partners' answers for one customer, kept until something that they depend on changes. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import msgspec

from sluice.consent import ConsentRecord
from sluice.decision import Customer, Denied, Permitted, RulesNamed, decide, next_change
from sluice.facts import Facts
from sluice.law.pack import Law
from sluice.model import Millis, PartnerId
from sluice.terms import Terms


class Ruling(msgspec.Struct, frozen=True, array_like=True):
    """What `decide` said of one customer for every partner, and for how long it holds.

    A changed consent record, contract or law takes it away; a profile with the same facts does not.
    """

    facts: Facts
    until: Millis | None
    """Time alone changes nothing before; None: never."""
    answers: dict[PartnerId, Permitted | Denied]

    def holds(self, facts: Facts, now: Millis) -> bool:
        return facts == self.facts and (self.until is None or now < self.until)


@dataclass(frozen=True, slots=True)
class Policy:
    """What every ruling depends on beside the customer."""

    terms: Mapping[PartnerId, Terms]
    law: Law
    acknowledged: Collection[str] = frozenset()
    """Unreadable consent events that an operator has looked into."""

    def rule(self, facts: Facts, consents: ConsentRecord, now: Millis) -> Ruling:
        """Holds for no time while a consent event is unreadable: whether it counts is the operator's to say."""
        customer = Customer(facts, consents, self.acknowledged)
        change = next_change(self.terms.values(), self.law, consents, facts.born, now)
        return Ruling(
            facts,
            now if consents.unreadable else change,
            {partner: decide(terms, self.law, customer, now) for partner, terms in self.terms.items()},
        )

    def rule_on(
        self, terms: Terms, facts: Facts | Collection[str], consents: ConsentRecord, now: Millis
    ) -> Permitted | Denied:
        """One answer on narrower terms; with the ids of rules instead of facts while the profile cannot be read."""
        known = facts if isinstance(facts, Facts) else RulesNamed(frozenset(facts))
        return decide(terms, self.law, Customer(known, consents, self.acknowledged), now)
