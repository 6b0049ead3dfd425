"""What a decision needs to know of a contract."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from sluice.consent import RecipientKind
from sluice.model import Millis, PartnerId


@dataclass(frozen=True, slots=True)
class Terms:
    partner: PartnerId
    kind: RecipientKind
    purpose: str
    brand: str | None
    valid_from: Millis
    valid_until: Millis | None
    categories: Mapping[str, str]
    """Data category of each field the contract lists, by dotted path, in the contract's order."""
    country: str = "ZZ"
    """Where the data goes, ISO 3166-1."""
    evidence: frozenset[str] = frozenset()
    """What the contract's files prove, in the law packs' words."""
    alt_basis: frozenset[str] = frozenset()
    """Alternatives to a rule's test that a reviewer has switched on for this contract."""
    controller: str | None = None
    """Jurisdiction whose law follows the controller, wherever the customer lives."""
    retain_ms: int | None = None
    """How long after the source's last change the partner may hold a customer."""

    def __hash__(self) -> int:
        """What differs between contracts; the rest is compared."""
        return hash((self.partner, self.purpose, self.country, self.valid_from))

    def only(self, paths: Collection[str]) -> Terms:
        """The same for fewer fields."""
        return replace(self, categories={path: c for path, c in self.categories.items() if path in paths})

    @property
    def channel(self) -> str | None:
        """The channel that the purpose is about: `marketing.communications.email` is about email."""
        head, _, channel = self.purpose.rpartition(".")
        return channel if head == "marketing.communications" else None
