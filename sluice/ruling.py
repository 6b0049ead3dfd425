"""All partners' answers for one customer, kept until something that they depend on changes. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import msgspec

from sluice.consent import ConsentRecord
from sluice.decision import Customer, Denied, Permitted, RulesNamed, decide
from sluice.facts import Facts
from sluice.law.pack import Law
from sluice.model import Millis, PartnerId
from sluice.precedents import Precedents
from sluice.terms import Terms


class Ruling(msgspec.Struct, frozen=True, array_like=True):
    """What `decide` said of one customer for every partner, and for how long it holds.

    A changed consent record takes it away, as does another policy; a profile with the same facts does not.
    """

    facts: Facts
    until: Millis | None
    """Time alone changes nothing before; None: never."""
    answers: dict[PartnerId, Permitted | Denied]
    made_under: bytes = b""
    """The stamp of the policy that it was made under."""

    def holds(self, facts: Facts, now: Millis, stamp: bytes) -> bool:
        return facts == self.facts and (self.until is None or now < self.until) and self.made_under == stamp


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
        change = self._precedents.next_change(facts, consents, now)
        return Ruling(facts, change, self._precedents.answers(facts, consents, now), self.stamp)

    def rule_on(
        self, terms: Terms, facts: Facts | Collection[str], consents: ConsentRecord, now: Millis
    ) -> Permitted | Denied:
        """One answer on narrower terms; with the ids of rules instead of facts while the profile cannot be read."""
        known = facts if isinstance(facts, Facts) else RulesNamed(frozenset(facts))
        return decide(terms, self.law, Customer(known, consents, self.acknowledged), now)
