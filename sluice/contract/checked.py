"""Contracts that fit the source schema, the laws' words and each other: the only form that anything is shared under."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from hashlib import blake2b

from sluice import decision, redaction
from sluice.contract.document import Contract
from sluice.keys import MasterKey
from sluice.model import PartnerId
from sluice.row_filter import RowFilter
from sluice.source_schema import Leaf
from sluice.terms import Terms


@dataclass(frozen=True, slots=True)
class CheckedContract:
    contract: Contract
    leaves: Mapping[str, Leaf]
    """The source schema's leaves that the contract shares, in the contract's order."""
    evidence: frozenset[str] = frozenset()
    """The contract's evidence in the law packs' own words."""
    alt_basis: frozenset[str] = frozenset()
    filtered: Mapping[str, Leaf] = field(default_factory=dict)
    """The leaves that the row filter looks at."""

    @property
    def partner(self) -> PartnerId:
        return self.contract.partner

    @property
    def row_filter(self) -> RowFilter:
        return RowFilter.of(self.contract.where)

    def terms(self) -> Terms:
        controller = self.contract.controller
        return Terms(
            partner=self.partner,
            kind=self.contract.kind,
            purpose=self.contract.purpose,
            brand=self.contract.brand,
            valid_from=self.contract.valid.start_ms,
            valid_until=self.contract.valid.until_ms,
            categories={path: leaf.category for path, leaf in self.leaves.items()},
            country=self.contract.country,
            evidence=self.evidence,
            alt_basis=self.alt_basis,
            controller=controller.jurisdiction if controller else None,
            retain_ms=self.contract.limits.retain_ms,
        )

    def digest(self, master: MasterKey) -> str:
        """Changes whenever what this contract gives to whom can: terms, filter, transforms, keys, types, categories."""
        written = self.contract
        parts = {
            "contract": written.model_dump(
                mode="json", by_alias=True, exclude={"fields", "where", "task", "campaigns"}
            ),
            "evidence": [sorted(self.evidence), sorted(self.alt_basis)],
            "order": list(written.fields),
            "transforms": {path: type(rule).__name__ for path, rule in written.fields.items()},
            "options": {path: rule.model_dump(mode="json") for path, rule in written.fields.items()},
            "where": {path: [type(wanted).__name__, wanted.model_dump()] for path, wanted in written.where.items()},
            "types": _types(self.leaves),
            "filtered": _types(self.filtered),
            "data": {path: rule.data_version for path, rule in written.fields.items()},
            "version": redaction.VERSION,
            "key": master.fingerprint,
        }
        return _digest(parts)


@dataclass(frozen=True, slots=True)
class ContractSet:
    """All contracts in force together, in the order of their partners' names."""

    contracts: tuple[CheckedContract, ...]
    law: str = ""
    """Digest of the law packs that they are decided under."""

    def digest(self, master: MasterKey) -> str:
        return _digest([self.law, decision.VERSION, *(contract.digest(master) for contract in self.contracts)])


def _types(leaves: Mapping[str, Leaf]) -> Mapping[str, object]:
    return {path: [leaf.branches, leaf.category] for path, leaf in leaves.items()}


def _digest(parts: object) -> str:
    return blake2b(json.dumps(parts, sort_keys=True, default=_dated).encode(), digest_size=16).hexdigest()


def _dated(written: object) -> dict[str, str]:
    """A date, told from text that looks like one."""
    if not isinstance(written, date):
        raise TypeError(f"a digest of {type(written).__name__} is not defined")
    return {"date": written.isoformat()}
