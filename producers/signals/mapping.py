"""The mapping document: which of our purposes and partners the vendors and categories of consent tools are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from sluice import vocabulary
from sluice.consent import RecipientKind
from sluice.document import DocumentError, Loc, Strict, load, nearest

Kinds = Mapping[str, RecipientKind]
"""The partners that have a contract, with what kind of recipient they are."""


def _known_purpose(purpose: str) -> str:
    if purpose not in vocabulary.purposes():
        raise ValueError(f"there is no purpose `{purpose}`{nearest(purpose, sorted(vocabulary.purposes()))}")
    return purpose


def _listed(written: Any) -> Any:  # noqa: ANN401 - whatever stands in the document
    return [written] if isinstance(written, str) else written


def _number(largest: int) -> AfterValidator:
    def check(written: str) -> str:
        if not (written.isascii() and written.isdigit() and 1 <= int(written) <= largest and written[0] != "0"):
            raise ValueError(f"`{written}` is no number from 1 to {largest}")
        return written

    return AfterValidator(check)


Purposes = Annotated[
    list[Annotated[str, AfterValidator(_known_purpose)]], BeforeValidator(_listed), Field(min_length=1)
]
"""One, or several."""
VendorNumber = Annotated[str, _number(0xFFFF)]
"""Of the Global Vendor List."""
PurposeNumber = Annotated[str, _number(11)]
"""TCF purposes 1 to 11."""


class ShownNotice(Strict):
    """The text that consent tools show beside their categories; grants refer to it."""

    id: Annotated[str, Field(min_length=1)]
    version: str | None = None


class Category(Strict):
    purposes: Purposes
    partners: list[str] = Field(default_factory=list)
    """Whom the notice names. Left out: a no is one to everybody, and a yes reaches nobody."""
    expression: Literal["explicit", "opt_in", "implied"] = "implied"
    """How people say yes there. Tools also report `true` for people who only were informed, so it has to be said."""


class Categories(Strict):
    """By the id that the tool uses."""

    segment: dict[str, Category] = Field(default_factory=dict)
    rudderstack: dict[str, Category] = Field(default_factory=dict)
    onetrust: dict[str, Category] = Field(default_factory=dict)


class SignalMapping(Strict):
    vendors: dict[VendorNumber, str] = Field(default_factory=dict)
    """TCF vendors that are partners."""
    purposes: dict[PurposeNumber, Purposes] = Field(default_factory=dict)
    """What TCF purposes are in our words."""
    categories: Categories = Field(default_factory=Categories)
    notice: ShownNotice | None = None

    @model_validator(mode="after")
    def _evidenced(self) -> SignalMapping:
        if self.notice is None and any(loc[0] == "categories" for loc, _ in self.partners()):
            raise ValueError("categories that name partners need a `notice`: the text that named them to people")
        return self

    def partners(self) -> Iterator[tuple[Loc, str]]:
        """Every partner that is named, with where."""
        for number, partner in self.vendors.items():
            yield ("vendors", number), partner
        for tool in Categories.model_fields:
            for name, category in getattr(self.categories, tool).items():
                for index, partner in enumerate(category.partners):
                    yield ("categories", tool, name, "partners", index), partner


def load_mapping(path: Path, kinds: Kinds) -> SignalMapping:
    """The mapping, all of whose partners have a contract. Raises DocumentError with every problem found.

    A misspelt partner would be a refusal that nobody heeds.
    """
    mapping, source = load(path, SignalMapping)
    problems = [
        source.problem(loc, f"there is no contract of a partner `{partner}`{nearest(partner, kinds)}")
        for loc, partner in mapping.partners()
        if partner not in kinds
    ]
    if problems:
        raise DocumentError("\n".join(problems))
    return mapping
