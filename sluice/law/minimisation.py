"""What a recipient may be given for a purpose, whatever customers agree to: `minimisation.yaml`, with citations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import as_file, files
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from sluice import vocabulary
from sluice.consent import RecipientKind, within
from sluice.document import Strict, load, nearest
from sluice.law.document import Cited, Kind, Purpose


def _known_category(category: str) -> str:
    known = vocabulary.data_categories()
    if category not in known:
        raise ValueError(f"there is no data category `{category}`{nearest(category, sorted(known))}")
    return category


Category = Annotated[str, AfterValidator(_known_category)]


class MinimisationRule(Cited):
    """`purpose` and categories include what lies below them."""

    purpose: Purpose | None = None
    recipient: Annotated[list[Kind], Field(min_length=1)]
    only: list[Category] = Field(default_factory=list)
    never: list[Category] = Field(default_factory=list)
    coarse: dict[Category, list[str]] = Field(default_factory=dict)
    """Categories that have to go through one of these transforms."""

    @model_validator(mode="after")
    def _says_something(self) -> MinimisationRule:
        if not self.only and not self.never:
            raise ValueError("a rule needs `only` or `never`")
        return self

    def applies(self, kind: RecipientKind, purpose: str) -> bool:
        return kind in self.recipient and (self.purpose is None or within(purpose, self.purpose))

    def refusal(self, category: str, transform: str) -> str | None:
        """What completes "`email` ..."; or None. A category that may be a forbidden one counts as such."""
        forbidden = [never for never in self.never if within(category, never) or within(never, category)]
        if forbidden:
            return f"is `{category}`, and {', '.join(forbidden)} must not go to this recipient {self.source}"
        if self.only and not any(within(category, only) for only in self.only):
            return f"is `{category}`, and this purpose needs only {', '.join(self.only)} {self.source}"
        for coarse, transforms in self.coarse.items():
            if within(category, coarse) and transform not in transforms:
                return f"is `{category}`, which this purpose needs only as {' or '.join(transforms)} {self.source}"
        return None

    @property
    def source(self) -> str:
        return f"({self.cite}; {self.confidence.value.replace('_', ' ')})"


class Minimisation(Strict):
    rules: list[MinimisationRule]

    def refusals(self, kind: RecipientKind, purpose: str, fields: Mapping[str, tuple[str, str]]) -> Mapping[str, str]:
        """By path, why a field may not be listed. `fields`: data category and transform by path."""
        rules = [rule for rule in self.rules if rule.applies(kind, purpose)]
        first = {path: _first(rule.refusal(*field) for rule in rules) for path, field in fields.items()}
        return {path: text for path, text in first.items() if text is not None}


def _first(refusals: Iterable[str | None]) -> str | None:
    return next((text for text in refusals if text is not None), None)


@cache
def shipped_minimisation() -> Minimisation:
    """The rules that come with Sluice. Raises DocumentError."""
    with as_file(files("sluice.law").joinpath("minimisation.yaml")) as path:
        return load(path, Minimisation)[0]
