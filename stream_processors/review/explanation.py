"""Why one partner may hold one customer or may not: the decision as a chain that a lawyer can follow, as data.

It holds the judgement that the processor decides by; `replayed` gives the decision again from what was told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sluice.consent import ConsentEvent
from sluice.decision import Denied, Judgement, Permitted, conclude
from sluice.model import CustomerId, PartnerId, Pseudonym


class FactsTold(msgspec.Struct, frozen=True, omit_defaults=True):
    """What laws ask about the customer."""

    residence: str | None
    collected_in: str | None
    age: int | None
    """Whole years; None: the birth date is not known."""
    restricted: bool
    deceased: bool
    born: int | None = None
    """Days since 1970-01-01, only with values."""


class DutyTold(msgspec.Struct, frozen=True):
    """What the law asks beside the decision."""

    duty: str
    trigger: tuple[str, ...]
    effect: tuple[str, ...]
    deadline: str | None
    cite: str


class LawTold(msgspec.Struct, frozen=True):
    jurisdiction: str
    name: str
    law: str
    because: tuple[str, ...]
    """What brings it in."""
    duties: tuple[DutyTold, ...]


class RuleTold(msgspec.Struct, frozen=True):
    """What one rule asks, and whether it is passed."""

    rule: str
    jurisdiction: str
    test: str
    cite: str
    confidence: str
    as_of: str
    passed: bool
    reason: str | None
    consents: tuple[str, ...]
    """Records that it rests on, or that refuse."""
    missing: tuple[str, ...]
    alternative: str | None
    lifted_by: str | None
    note: str | None


class CategoryTold(msgspec.Struct, frozen=True):
    category: str
    fields: tuple[str, ...]
    passed: bool
    reason: str | None
    rules: tuple[RuleTold, ...]


class ConsentTold(msgspec.Struct, frozen=True):
    """One answer of the customer, with its notice, and whether it decides here."""

    bearing: str
    """`permits`, `refuses`, or `decides nothing here`."""
    said_at: str
    event: ConsentEvent


class FieldTold(msgspec.Struct, frozen=True, omit_defaults=True):
    field: str
    category: str
    transform: str
    outcome: str
    """`shared`, `empty` (the source has no value, or the transform no answer), or `withheld`."""
    reason: str | None
    """Why it is not shared; or, where values are told, why the given one cannot be."""
    source_value: object = None
    given_value: object = None


class ConditionTold(msgspec.Struct, frozen=True):
    condition: str
    passed: bool


class HoldsTold(msgspec.Struct, frozen=True):
    """What the partner holds now, by the disclosures."""

    pseudonym: Pseudonym
    fields: tuple[str, ...]
    contract: str
    """Digest of the contract that it was shared under."""
    consents: tuple[str, ...]
    rules: tuple[str, ...]
    expires_at: str | None
    restricted: bool
    """It was told to keep it unused."""


class Explanation(msgspec.Struct, frozen=True):
    """One customer at one partner. Holds values only when asked to."""

    customer: CustomerId
    partner: PartnerId
    name: str
    recipient: str
    purpose: str
    country: str
    at: str
    outcome: str
    reason: str | None
    in_force: tuple[str, str | None]
    evidence: tuple[str, ...]
    alt_basis: tuple[str, ...]
    obligations: tuple[str, ...]
    facts: FactsTold | None
    """None: there is no profile, or it cannot be read."""
    laws: tuple[LawTold, ...]
    categories: tuple[CategoryTold, ...]
    consents: tuple[ConsentTold, ...]
    unreadable: tuple[str, ...]
    row_filter: tuple[ConditionTold, ...]
    retained_until: str | None
    """When the contract's retention ends for this customer; None: it has none."""
    fields: tuple[FieldTold, ...]
    holds: HoldsTold | None
    """None: nothing, or the inputs are files."""
    judgement: Judgement | None


def replayed(told: Mapping[str, Any]) -> Permitted | Denied | None:
    """The decision again, from an explanation as JSON has it; None where it did not come to one."""
    return None if told["judgement"] is None else conclude(msgspec.convert(told["judgement"], Judgement))
