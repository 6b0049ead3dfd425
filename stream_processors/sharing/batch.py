"""What one batch knows of one partition, and what it makes of it."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sluice.log import Ends, Record
from sluice.model import Cause, CustomerId, Millis, Outcome, PartnerId, Pointer
from sluice.store import Row
from stream_processors.sharing.output import Output
from stream_processors.sharing.parties import Party
from stream_processors.sharing.pipeline import Profile


class Moment(NamedTuple):
    """When a batch is judged: the decision's time, and a clock that only goes forward (milliseconds)."""

    now: Millis
    monotonic_ms: float


class Situation(NamedTuple):
    """What the barrier of a batch found for one partition."""

    ends: Ends
    reached: int
    """The offset that the updates have been read to, those of the batch included."""
    complete: bool
    """Every consent event below the ends was judged, or is in the batch; otherwise nothing may be added."""
    moment: Moment
    allowance: int
    """How many customers that no input names may be reconciled in this batch."""
    requested: Sequence[CustomerId] = ()
    """Customers that an operator wants reconciled."""


@dataclass(slots=True)
class Touched:
    """One customer in one batch."""

    before: Row
    after: Row
    covers: list[Pointer] = field(default_factory=list)
    asked: bool = False
    """A consent event of this customer is in the batch."""
    consent_timestamp: int = 0
    """Of the newest consent event that was read in this batch; 0: none was."""
    update: Record | None = None
    """The newest update in the batch."""
    profile: Profile | None = None
    """Of that update, when it has been read already."""


@dataclass(slots=True)
class Batch:
    """What one batch makes of one partition; applied only when its transaction is committed."""

    outputs: list[Output] = field(default_factory=list)
    rows: dict[CustomerId, tuple[Row, Row]] = field(default_factory=dict)
    standing: dict[CustomerId, bytes] = field(default_factory=dict)
    """What stands for who has a row here."""
    repeated: dict[CustomerId, bytes] = field(default_factory=dict)
    """Rows of those for whom an answer stood, as they are stored."""
    outcomes: list[tuple[Party, Outcome]] = field(default_factory=list)
    came: Tally[tuple[PartnerId, str, str]] = field(default_factory=Tally)
    """How many outcomes there were beside these, as `sluice.model.label` has them."""
    refused: Tally[bytes] = field(default_factory=Tally)
    """Why partners hold nothing who have no outcome of their own (`stream_processors.sharing.refusals`), how often."""
    rejects: list[tuple[Record, Cause]] = field(default_factory=list)
    recall_timestamps: list[int] = field(default_factory=list)
    """Of the consent events that caused recalls."""
    blockers: list[str] = field(default_factory=list)
    misplaced: list[tuple[Record, int]] = field(default_factory=list)
    """To be written again where they belong, before anything moves past them (LOOP 15)."""
    updates: dict[int, bool] = field(default_factory=dict)
    """By offset: whether the update is rejected, as a whole or for a partner."""
    updated: set[CustomerId] = field(default_factory=set)
    customers: int = 0
    """How many were reconciled."""
    background: int = 0
    """How many customers were reconciled that no input names."""
    scanned_to: CustomerId | None = None
    scanned: int = 0
    scan_ended: bool = False
    waited_to: bytes | None = None
    unread: bool = False
    as_of: Millis | None = None
    """Every update from before this instant is read once this is applied; None: no newer instant is known."""
    settled: bool = False
    """Once this is applied, the view is what the inputs say: nobody waits for their turn."""
