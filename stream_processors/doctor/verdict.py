"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    FINE = "fine"
    NOTICE = "notice"
    """In the ordinary course of things, and worth knowing."""
    TROUBLE = "trouble"
    UNSEEN = "unseen"
    """It could not be looked at, for something else comes first."""


@dataclass(frozen=True, slots=True)
class Verdict:
    check: str
    state: State
    says: str
    """One sentence; for trouble, with what to do."""

    def as_json(self) -> dict[str, str]:
        return {"check": self.check, "state": self.state.value, "says": self.says}
