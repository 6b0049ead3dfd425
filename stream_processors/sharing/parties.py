"""Who is served: partners, as their contracts have it, and those whose contract is gone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sluice.keys import PartnerKeys
from sluice.law.pack import Law
from sluice.model import PartnerId
from sluice.projection import Projector
from sluice.terms import Terms


@dataclass(frozen=True, slots=True)
class Partnership:
    """One partner, as the processor serves it."""

    partner: PartnerId
    terms: Terms
    contract: str
    """The contract's digest."""
    keys: PartnerKeys
    projector: Projector
    acknowledge_within_ms: int
    paused: bool = False
    """Nobody and nothing is added; what is held is maintained and recalled as ever."""


@dataclass(frozen=True, slots=True)
class FormerPartnership:
    """A partner whose contract is gone: whatever it still holds is recalled."""

    partner: PartnerId
    acknowledge_within_ms: int


Party = Partnership | FormerPartnership


def asked_paths(law: Law, parties: Iterable[Party]) -> frozenset[str]:
    """All that is asked of a profile: the facts that laws are about, and what contracts name."""
    facts = {*law.paths.stated, law.paths.updated_at}
    return frozenset(facts).union(*(one.projector.paths for one in parties if isinstance(one, Partnership)))
