"""A plan: what to do, what is left over, and what no step can mend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec

from sluice.document import nearest
from sluice.errors import SluiceError
from sluice.planning.steps import Removal, Step


@dataclass(frozen=True, slots=True)
class Finding:
    """What no step can mend."""

    address: str
    says: str
    stops: bool = False
    """Nothing may be applied before somebody has seen to it."""


@dataclass(frozen=True, slots=True)
class Plan:
    steps: tuple[Step, ...]
    """In an order in which a failure half-way leaves nothing unsafe."""
    left_over: tuple[Removal, ...]
    """What no contract asks for, in the order in which it may be removed."""
    findings: tuple[Finding, ...]
    contract_set: str
    """Digest of the set that would be in force, were there nothing to create, whatever the master key."""

    @property
    def is_empty(self) -> bool:
        """Everything is as the contracts ask, and there is nothing beside it."""
        return not (self.steps or self.left_over or self.findings)

    @property
    def digest(self) -> str:
        """The same as long as what the plan saw is as it was."""
        parts = [self.contract_set, *(_whole(one) for one in (*self.steps, *self.left_over, *self.findings))]
        return blake2b(msgspec.json.encode(parts, order="sorted"), digest_size=16).hexdigest()

    def stopping(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.stops)

    def removals(self, addresses: Iterable[str]) -> tuple[Removal, ...]:
        """What these addresses name: one thing each, or all of a partner (`partner/ID`). Raises SluiceError."""
        wanted = set(addresses)
        known = {one.address for one in self.left_over} | {f"partner/{p.partner}" for p in self.left_over if p.partner}
        for address in sorted(wanted - known):
            raise SluiceError(
                f"Nothing that is left over has the address {address}{nearest(address, sorted(known))}: `sluice plan` "
                "lists what can be removed."
            )
        return tuple(one for one in self.left_over if wanted & {one.address, f"partner/{one.partner}"})

    def as_json(self) -> dict[str, Any]:
        return {
            "digest": self.digest,
            "steps": [_told(step) for step in self.steps],
            "left_over": [_told(removal) for removal in self.left_over],
            "findings": [msgspec.to_builtins(finding) for finding in self.findings],
        }


def summary(steps: Iterable[Step | Removal]) -> str:
    """`8 topics, 5 users, 57 rights`; empty for no steps."""
    counts = Counter(step.noun for step in steps)
    return ", ".join(
        f"{count} {noun[:-1] if count == 1 and noun.endswith('s') else noun}" for noun, count in counts.items()
    )


def _told(step: Step | Removal) -> dict[str, str]:
    return {"do": type(step).__name__, "sign": step.sign, "address": step.address, "says": step.says}


def _whole(one: Step | Removal | Finding) -> list[Any]:
    return [type(one).__name__, msgspec.to_builtins(one, order="sorted")]
