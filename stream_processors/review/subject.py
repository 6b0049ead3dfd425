"""One customer as the recorded inputs tell of them, and what could not be read on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sluice.model import CustomerId
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
