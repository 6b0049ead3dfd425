"""One customer as the recorded inputs tell of them, and what could not be read on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import msgspec

from sluice.consent import CLOCK_TOLERANCE_MS
from sluice.model import CustomerId, Millis
from sluice.store import Row
from stream_processors.sharing.pipeline import Profile


class Problem(NamedTuple):
    """A row or record that could not be read, and why, in a sentence without any value of it."""

    source: str
    """The file, or topic and partition."""
    place: int
    """Line or offset."""
    sentence: str
    nameless: bool
    """It tells nobody's id, so its customer is judged without it."""

    def __str__(self) -> str:
        return f"{self.source}:{self.place}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class Subject:
    """One customer, with all inputs folded."""

    order: int
    """Where the customer comes in the inputs: all answers are given in this order."""
    customer: CustomerId
    row: Row
    profile: Profile


def as_of(subject: Subject, at: Millis) -> Subject:
    """The customer as known then: what was recorded later is left out. Of the profile only the newest is known."""
    consents = subject.row.consents
    known = tuple(event for event in consents.events if event.recorded_at <= at + CLOCK_TOLERANCE_MS)
    row = msgspec.structs.replace(subject.row, consents=consents.with_events(*known))
    return replace(subject, row=row)


class Inputs(Protocol):
    """Recorded inputs that were dealt out to shards, so that each customer lies in one of them."""

    def subjects(self, shard: int) -> Iterator[Subject | Problem]:
        """The shard's customers in their order, and what of it could not be read."""


@dataclass(frozen=True, slots=True)
class Dealt:
    """What dealing out gave. Travels to the processes that judge."""

    inputs: Inputs
    shards: int
    problems: tuple[Problem, ...]
    """Of what names nobody and so lies in no shard."""
