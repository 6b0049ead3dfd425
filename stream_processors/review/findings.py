"""What the proof says: of each customer at each partner one state, and of each difference its causes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from enum import StrEnum
from typing import Any

import msgspec

from sluice.model import PartnerId

LISTED = 1_000


class State(StrEnum):
    """Of one customer at one partner. Exactly one."""

    EQUAL = "equal"
    """Topic, disclosures and recomputation say the same; most often that nothing is held."""
    DIFFERENT = "different"
    WAITING = "waiting"
    """Held is less than what is allowed, in a partition where something may still wait for its turn (LOOP 12)."""
    PENDING = "pending"
    """Held is something else than what is allowed, in a partition whose customers are still being reconciled."""
    MOVING = "moving"
    """Disclosed anew after the cut whenever it was looked at."""
    INDETERMINATE = "indeterminate"
    """The evidence does not say what may be held: see Doubt."""


UNRESOLVED = frozenset({State.WAITING, State.PENDING, State.MOVING, State.INDETERMINATE})


class Doubt(StrEnum):
    """Why something is indeterminate."""

    SUPERSEDED = "superseded"
    """Compaction may have removed the update that counts, for a newer one that the processor has not read yet."""
    KEY_DESTROYED = "key_destroyed"
    """A field may still be sealed with the customer's own key, which was destroyed since."""


class Fault(StrEnum):
    """Why held and allowed differ. A closed set, the gravest first."""

    NOT_DISCLOSED = "not_disclosed"
    """In the partner's topic, and in no disclosure."""
    HELD_WITHOUT_REASON = "held_without_reason"
    EXPIRED = "expired"
    """Held on, after the time when its basis ended."""
    RESTRICTION_DIFFERS = "restriction_differs"
    """Used on, while processing is restricted; or kept unused, though it is not."""
    WRONG_PARTITION = "wrong_partition"
    """The record lies in another partition than everything else about its customer."""
    DISCLOSURE_UNREADABLE = "disclosure_unreadable"
    MISSING_IN_TOPIC = "missing_in_topic"
    """Disclosed, and not in the partner's topic."""
    WITHHELD_WITHOUT_REASON = "withheld_without_reason"
    """Allowed, and neither disclosed nor in the partner's topic."""
    FIELDS_DIFFER = "fields_differ"
    """Other fields were disclosed than may be held."""
    RECORD_UNREADABLE = "record_unreadable"
    VALUE_DIFFERS = "value_differs"
    SCHEMA_DIFFERS = "schema_differs"
    """The same values, written with another schema."""
    DIGEST_DIFFERS = "digest_differs"
    """The bytes in the partner's topic are not those that were disclosed."""
    PSEUDONYM_DIFFERS = "pseudonym_differs"
    KEY_EPOCH_DIFFERS = "key_epoch_differs"
    CONTRACT_DIFFERS = "contract_differs"
    """Disclosed under another contract than the one in force."""
    BASIS_DIFFERS = "basis_differs"
    """Disclosed on other consents or rules, or with another end."""


_GRAVITY = {fault: at for at, fault in enumerate(Fault)}


class HoldingTold(msgspec.Struct, frozen=True):
    """What a partner holds by the newest disclosure, or may hold as recomputed."""

    pseudonym: str
    key_epoch: int
    contract: str
    fields: tuple[str, ...]
    consents: tuple[str, ...]
    rules: tuple[str, ...]
    expires_at: int | None


class Places(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the evidence stands, as `topic/partition@offset`."""

    update: str | None = None
    consents: tuple[str, ...] = ()
    """Record ids of the customer's consent events, the newest last; of those that cannot be read, the place."""
    disclosure: str | None = None
    delivered: tuple[str, ...] = ()


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """One customer at one partner, or one record that belongs to nobody."""

    partition: int
    partner: str | None
    customer: str | None
    pseudonym: str | None
    faults: tuple[Fault, ...]
    """The gravest first."""
    held: HoldingTold | None = None
    allowed: HoldingTold | None = None
    refused: str | None = None
    """Why nothing may be held."""
    refusing: tuple[str, ...] = ()
    """Ids of the rules that refuse."""
    fields: tuple[str, ...] = ()
    """Names of the fields that differ in the partner's record."""
    values: dict[str, tuple[Any, Any]] = {}
    """What is held and what is allowed in them, only if asked for."""
    evidence: Places = Places()

    @property
    def fault(self) -> Fault:
        return self.faults[0]


def gravest_first(faults: Collection[Fault]) -> tuple[Fault, ...]:
    return tuple(sorted(faults, key=_GRAVITY.__getitem__))


class Figures(msgspec.Struct):
    """Counted in customers at partners."""

    states: dict[PartnerId, dict[State, int]] = {}
    held: dict[PartnerId, int] = {}
    """Of the equal ones: those that the partner holds."""
    faults: dict[Fault, int] = {}
    doubts: dict[Doubt, int] = {}
    differences: list[Difference] = []
    """The first so many."""

    def count(self, partner: PartnerId, state: State, *, holds: bool = False, doubt: Doubt | None = None) -> None:
        _bump(self.states.setdefault(partner, {}), state)
        self.held[partner] = self.held.get(partner, 0) + (1 if holds and state is State.EQUAL else 0)
        if doubt is not None:
            _bump(self.doubts, doubt)

    def differ(self, difference: Difference) -> None:
        for fault in difference.faults:
            _bump(self.faults, fault)
        if len(self.differences) < LISTED:
            self.differences.append(difference)

    def instead(self, before: Difference, after: Difference) -> None:
        """More is known of a difference that was counted."""
        self.faults = dict(Counter(self.faults) - Counter(before.faults) + Counter(after.faults))

    def add(self, other: Figures) -> None:
        for partner, states in other.states.items():
            mine = self.states.setdefault(partner, {})
            for state, number in states.items():
                mine[state] = mine.get(state, 0) + number
            self.held[partner] = self.held.get(partner, 0) + other.held.get(partner, 0)
        self.faults = dict(Counter(self.faults) + Counter(other.faults))
        self.doubts = dict(Counter(self.doubts) + Counter(other.doubts))
        self.differences = [*self.differences, *other.differences][:LISTED]

    def total(self, state: State) -> int:
        return sum(states.get(state, 0) for states in self.states.values())


def _bump(counts: dict[Any, int], key: object) -> None:
    counts[key] = counts.get(key, 0) + 1
