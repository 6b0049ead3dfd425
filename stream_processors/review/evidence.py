"""What the proof looks at: the logs of one partition, cut where the processor last committed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sluice.log import Positions, Record
from sluice.model import CustomerId, Millis, PartnerId, Pseudonym
from stream_processors.sharing.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Cut:
    """One commit of the sharing group for one partition: everything before it counts, and nothing after."""

    partition: int
    positions: Positions
    checkpoint: Checkpoint

    @property
    def now(self) -> Millis:
        return self.checkpoint.now

    @property
    def settled(self) -> bool:
        return self.checkpoint.settled


class Delivered(NamedTuple):
    """The newest record of a key in a partner's topic; a value of None is a tombstone."""

    offset: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Testimony:
    """Everything that the logs say of one customer at a cut."""

    customer: CustomerId
    update: Record | None
    """The newest below the cut."""
    certain: bool
    """No newer update below the cut can have been compacted away; otherwise the profile is not known (FACTS)."""
    consents: tuple[Record, ...]
    """All below the cut."""
    disclosures: tuple[Record, ...]
    """All below the cut, from where the evidence begins."""
    moved: bool
    """Something was disclosed after the cut, so the partners' topics may be ahead of it."""


class Evidence(Protocol):
    """The logs of one partition at a cut."""

    @property
    def cut(self) -> Cut: ...

    def customers(self) -> Iterator[CustomerId]:
        """Everybody who is named by an update, a consent event or a disclosure, before the cut or after it."""

    def testimony(self, customer: CustomerId) -> Testimony: ...

    def delivered(self, partner: PartnerId, pseudonym: Pseudonym) -> Delivered | None: ...

    def name(self, partner: PartnerId, pseudonym: Pseudonym, customer: CustomerId) -> None:
        """This is what the partner calls the customer."""

    def strangers(self) -> Iterator[tuple[PartnerId, Pseudonym, Delivered]]:
        """What stands in partners' topics under a pseudonym of nobody that was named, tombstones left out."""

    def misplaced_disclosures(self) -> Iterator[Record]:
        """Below the cut, with a key that belongs into another partition, or that names nobody."""
