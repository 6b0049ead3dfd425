"""Parts of a text."""

from __future__ import annotations

from typing import Annotated, ClassVar

import grapheme
from pydantic import Field, model_validator

from sluice.redaction.rule import UNICODE, TextRule, text_of

Count = Annotated[int, Field(ge=0, le=1000)]


class Mask(TextRule):
    """`first` and `last` characters between stars, always `length` long, so that the length tells nothing."""

    first: Count = 0
    last: Count = 0
    length: Annotated[int, Field(ge=1, le=1000)] = 8

    @model_validator(mode="after")
    def _leaves_something_masked(self) -> Mask:
        if self.first + self.last >= self.length:
            raise ValueError(f"`length` ({self.length}) must be above `first` + `last` ({self.first + self.last})")
        return self

    def of(self, value: object) -> object:
        text = text_of(value)
        if len(text) <= self.first + self.last:
            return "*" * self.length
        stars = "*" * (self.length - self.first - self.last)
        return text[: self.first] + stars + text[len(text) - self.last :]


class Truncate(TextRule):
    """The first `to` characters, as people count them: extended grapheme clusters (Unicode Standard Annex 29)."""

    shorthand: ClassVar[str | None] = "to"
    to: Annotated[int, Field(ge=1, le=1000)]

    @property
    def data_version(self) -> str:
        return f"{UNICODE}, graphemes {grapheme.UNICODE_VERSION}"

    def of(self, value: object) -> object:
        text = text_of(value)
        if text.isascii() and "\r" not in text:
            # Each is a cluster of its own, but carriage return with line feed (rule GB3).
            return text[: self.to]
        return str(grapheme.slice(text, 0, self.to))
