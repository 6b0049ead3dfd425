"""All partners' answers for one customer, on the facts of a profile. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple

from sluice.consent import ConsentRecord
from sluice.decision import Customer, Denied, Permitted, RulesNamed, decide
from sluice.facts import Facts
from sluice.law.pack import Law
from sluice.model import Millis, PartnerId
from sluice.precedents import Denials, Precedents
from sluice.terms import Terms


class Ruling(NamedTuple):
    """What `decide` said of one customer for every partner, and for how long it holds."""

    facts: Facts
    until: Millis | None
    """Time alone changes nothing before; None: never."""
    permitted: Mapping[PartnerId, Permitted]
    denials: Denials
    """All others."""

    def answer(self, partner: PartnerId) -> Permitted | Denied:
        permitted = self.permitted.get(partner)
        return self.denials.by_partner[partner] if permitted is None else permitted


@dataclass(frozen=True)
class Policy:
    """What every ruling depends on beside the customer."""

    terms: Mapping[PartnerId, Terms]
    law: Law
    acknowledged: Collection[str] = frozenset()
    """Unreadable consent events that an operator has looked into."""
    rules: str = ""
    """Digest of contracts and laws, and of what makes decisions of them."""

    @cached_property
    def stamp(self) -> bytes:
        """Changes whenever the same customer may get another answer."""
        return blake2b("\n".join((self.rules, *sorted(self.acknowledged))).encode(), digest_size=8).digest()

    @cached_property
    def _precedents(self) -> Precedents:
        return Precedents(self.terms, self.law, self.acknowledged)

    def rule(self, facts: Facts, consents: ConsentRecord, now: Millis) -> Ruling:
        until, permitted, denials = self._precedents.answers(facts, consents, now)
        return Ruling(facts, until, permitted, denials)

    def rule_on(
        self, terms: Terms, facts: Facts | Collection[str], consents: ConsentRecord, now: Millis
    ) -> Permitted | Denied:
        """One answer on narrower terms; with the ids of rules instead of facts while the profile cannot be read."""
        known = facts if isinstance(facts, Facts) else RulesNamed(frozenset(facts))
        return decide(terms, self.law, Customer(known, consents, self.acknowledged), now)
