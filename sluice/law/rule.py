"""One rule of a law: to whom, for what, about which data and ages it applies, and what it asks (DOMAIN A3, A4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sluice.consent import Actor, RecipientKind, within
from sluice.model import Millis


class Mode(StrEnum):
    """The test that a rule puts. Tests, not a ladder: each applicable rule is judged by itself (A4.1)."""

    ALLOW = "ALLOW"
    OPT_OUT = "OPT_OUT"
    LIMIT = "LIMIT"
    OPT_IN = "OPT_IN"
    OPT_IN_EXPLICIT = "OPT_IN_EXPLICIT"
    FORBID = "FORBID"


class Confidence(StrEnum):
    """Whether somebody has seen the text of the law for this rule, or it still has to be checked."""

    SEEN = "seen"
    TO_BE_CHECKED = "to_be_checked"


GUARDIAN_CONSENT = "guardian_consent"
"""Evidence that lies in the customer's own record: a grant in force by the guardian."""
NOTICE = "notice"
"""Evidence that the notice given names the recipient's kind."""
NOTICE_NAMES_RECIPIENT = "notice_names_recipient"


@dataclass(frozen=True, slots=True)
class Ages:
    """Whole years from `start` up to but not including `below`; None: the law's own age of a child."""

    start: int
    below: int | None

    def holds(self, age: int, child_age: int) -> bool:
        return self.start <= age < (child_age if self.below is None else self.below)


@dataclass(frozen=True, slots=True)
class Entitled:
    """Who alone may consent for customers of these ages."""

    ages: Ages
    actor: Actor


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another lawful basis, which counts only when a contract switches it on and evidences what it requires."""

    name: str
    mode: Mode
    requires: frozenset[str]
    recipients: frozenset[RecipientKind]
    not_for: str | None
    """A class of data that this basis never covers."""


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    mode: Mode
    recipients: frozenset[RecipientKind]
    purposes: tuple[str, ...]
    """Taxonomy keys, each with everything below it; empty: every purpose."""
    data_class: str | None
    """The class of data that the rule is about; None: all data."""
    ages: Ages | None
    outside: bool
    """Applies only when the data goes to a country for which the law has no mechanism."""
    requires: frozenset[str]
    otherwise: Mode | None
    """The test instead, when `requires` is not evidenced; None: refused."""
    unless: frozenset[str]
    """Evidence, any of which lifts the rule."""
    entitled: tuple[Entitled, ...]
    alternatives: tuple[Alternative, ...]
    start: Millis | None
    end: Millis | None
    cite: str
    confidence: Confidence
    as_of: date
    note: str | None = None

    @property
    def is_general(self) -> bool:
        """Whether it answers for all data, ages and destinations."""
        return self.data_class is None and self.ages is None and not self.outside

    def concerns(self, kind: RecipientKind, purpose: str, classes: frozenset[str]) -> bool:
        """Whether it is about data of these classes for such a recipient and purpose."""
        return (
            kind in self.recipients
            and (not self.purposes or any(within(purpose, own) for own in self.purposes))
            and (self.data_class is None or self.data_class in classes)
        )

    def in_force(self, now: Millis) -> bool:
        return (self.start is None or self.start <= now) and (self.end is None or now < self.end)
