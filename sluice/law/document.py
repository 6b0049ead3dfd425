"""The files that law packs are written in: strict YAML, refused with file, line and column."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from sluice import vocabulary
from sluice.consent import Actor, RecipientKind
from sluice.document import Strict, nearest
from sluice.law.rule import Confidence, Mode

_CHILD_AGE = "child_age"


def _known_purpose(purpose: str) -> str:
    if purpose not in vocabulary.purposes():
        raise ValueError(f"there is no purpose `{purpose}`{nearest(purpose, sorted(vocabulary.purposes()))}")
    return purpose


Purpose = Annotated[str, AfterValidator(_known_purpose)]
Word = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
Code = Annotated[str, Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")]
"""A country of ISO 3166-1 or a subdivision of ISO 3166-2; EU and ZZ are ours."""
Id = Annotated[str, Field(pattern=r"^[A-Z]{2}(-[A-Za-z0-9]+)+$")]
Years = Annotated[int, Field(ge=0, le=150)]
Kind = Annotated[RecipientKind, Field(strict=False)]


class Cited(Strict):
    cite: Annotated[str, Field(min_length=1)]
    confidence: Annotated[Confidence, Field(strict=False)]
    note: str | None = None


class AgesDocument(Strict):
    start: Years = Field(0, alias="from")
    below: Years | Literal["child_age"]

    @model_validator(mode="after")
    def _holds_somebody(self) -> AgesDocument:
        if self.below_years is not None and self.below_years <= self.start:
            raise ValueError("`below` is not above `from`: nobody is that old")
        return self

    @property
    def below_years(self) -> int | None:
        return None if self.below == _CHILD_AGE else int(self.below)


class EntitledDocument(Strict):
    age: AgesDocument
    actor: Annotated[Actor, Field(strict=False)]


class AlternativeDocument(Strict):
    mode: Annotated[Mode, Field(strict=False)]
    requires: Annotated[list[Word], Field(min_length=1)]
    recipient: list[Kind] | None = None
    not_for: str | None = None
    """A data class."""
    note: str | None = None


class RuleDocument(Cited):
    id: Id
    recipient: list[Kind] | None = None
    """Left out: all but processors (A4.9)."""
    purpose: list[Purpose] = Field(default_factory=list)
    data_class: str | None = None
    age: AgesDocument | None = None
    destination: Literal["outside"] | None = None
    mode: Annotated[Mode, Field(strict=False)]
    requires: list[Word] = Field(default_factory=list)
    otherwise: Annotated[Mode, Field(strict=False)] | None = None
    unless: list[Word] = Field(default_factory=list)
    by: list[EntitledDocument] = Field(default_factory=list)
    alt_basis: dict[Word, AlternativeDocument] = Field(default_factory=dict)
    start: date | None = Field(None, alias="from")
    until: date | None = None
    toggle: Word | None = None
    legal_basis: Word | None = None
    records: Word | None = None
    as_of: date | None = None

    @model_validator(mode="after")
    def _sayable(self) -> RuleDocument:
        if self.otherwise is not None and not self.requires:
            raise ValueError("`otherwise` says what holds without what is required: it needs `requires`")
        if self.toggle is not None and self.start is not None:
            raise ValueError("a rule counts `from` a day or from its toggle's, not both")
        if self.start is not None and self.until is not None and self.until <= self.start:
            raise ValueError("`until` is not after `from`")
        return self


class SignalDocument(Cited):
    """A machine-readable signal that binds in this jurisdiction."""

    id: Id
    signal: Literal["gpc"]
    duty: list[Word] = Field(default_factory=list)


class DutyDocument(Cited):
    """What the law asks beside the decision: deadlines, records, answers. Told by `explain`; acted on elsewhere."""

    id: Id
    trigger: list[Word]
    effect: list[Word]
    deadline: str | None = None
    ledger_years: Years | None = None
    start: date | None = Field(None, alias="from")


class TransfersDocument(Cited):
    """Destinations that need no further mechanism; a code of another pack stands for all that it covers."""

    free: list[Code]
    adequate: list[Code]
    instruments: list[Word] = Field(default_factory=list)
    """Evidence that also opens other destinations here, beside what the rule itself names."""


class PermitsDocument(Cited):
    purposes: list[Purpose]


class TwoStepDocument(Cited):
    required: bool


class ToggleDocument(Strict):
    """A change of law that is not settled: rules that name it count from `in_force_from`, and not before it is set."""

    status: str
    cite: str
    in_force_from: date | None = None


class PackDocument(Strict):
    jurisdiction: Code | None = None
    """Left out: the file only offers rules, which others adopt."""
    name: str
    law: str
    as_of: date
    covers: list[Code] = Field(default_factory=list)
    subdivisions: list[Code] = Field(default_factory=list)
    """Of a country some of whose subdivisions have laws of their own: all there are, so that a slip is noticed."""
    child_age: Years = 13
    child_age_in: dict[Code, Years] = Field(default_factory=dict)
    sale_opt_out_reaches: list[Kind] = Field(default_factory=list)
    """Recipients that an opt-out of sale or sharing stops, beside partners and buyers (A4.7)."""
    advertising_opt_out: bool = False
    """An opt-out of advertising binds even where the law allows without asking (A4.5)."""
    two_step_opt_in: TwoStepDocument | None = None
    limit_permits: PermitsDocument | None = None
    transfers: TransfersDocument | None = None
    toggles: dict[Word, ToggleDocument] = Field(default_factory=dict)
    adopts: list[Id] = Field(default_factory=list)
    rules: list[RuleDocument] = Field(default_factory=list)
    signals: list[SignalDocument] = Field(default_factory=list)
    duties: list[DutyDocument] = Field(default_factory=list)


class EvidenceDocument(Strict):
    """`evidence.yaml`: what rules may require and contracts may prove, with what each word means."""

    words: dict[Word, str]
    aliases: dict[Word, Word] = Field(default_factory=dict)
    """Other words for the same."""

    @model_validator(mode="after")
    def _closed(self) -> EvidenceDocument:
        if unknown := sorted(set(self.aliases.values()) - self.words.keys()):
            raise ValueError(f"`aliases` name a word that is not there: `{unknown[0]}`")
        return self


class ClassesDocument(Strict):
    """`data_classes.yaml`: category keys, or names of other classes, by the class that laws name."""

    classes: dict[Word, list[str]]
