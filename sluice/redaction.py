"""Transforms: what becomes of a field's value on its way to one partner.

Every transform is a function of value and key alone, so that the view can be recomputed. To add one: a class with
`apply`, a line in `TRANSFORMS`, a test.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, model_validator

from sluice import keys
from sluice.avro import Json
from sluice.document import Strict, nearest
from sluice.source_schema import Leaf

VERSION = "1"
"""Part of the contract set's digest: raise it when a transform gives another result for the same value."""

_EPOCH = date(1970, 1, 1)

Count = Annotated[int, Field(ge=0, le=1000)]


@dataclass(frozen=True, slots=True)
class Redacted:
    """A value that has been through its contract's transform. Made here only; the encoder takes nothing else."""

    value: object


class Untransformable(Exception):
    """The transform has no answer for this value; the field becomes null. Holds no value."""


class Rule(Strict):
    """What a contract says about one field. `required`: a partner without this field gets no record at all."""

    required: bool = False

    shorthand: ClassVar[str | None] = None
    """The option that a bare value sets: `truncate: 10`."""
    shared: ClassVar[bool] = True

    def refusal(self, leaf: Leaf) -> str | None:  # noqa: ARG002
        """Why this transform does not apply to such a field, or None."""
        return None

    def output(self, leaf: Leaf) -> tuple[Json, ...]:
        """The Avro types, but null, that `apply` can give."""
        return leaf.branches

    def apply(self, value: object, key: bytes) -> object:
        """The value that the partner gets, from one that is not None. Raises Untransformable.

        Both are Avro's own, without logical types: a date is its days since 1970-01-01.
        """
        raise NotImplementedError


class _TextRule(Rule):
    def refusal(self, leaf: Leaf) -> str | None:
        return None if leaf.is_text else "applies to strings only"

    def output(self, leaf: Leaf) -> tuple[Json, ...]:  # noqa: ARG002
        return ("string",)


class Keep(Rule):
    def apply(self, value: object, key: bytes) -> object:  # noqa: ARG002
        return value


class Drop(Rule):
    """The same as not listing the field, said aloud."""

    shared: ClassVar[bool] = False

    def refusal(self, leaf: Leaf) -> str | None:  # noqa: ARG002
        return "cannot be required" if self.required else None


class Null(Rule):
    """The field is there, for a reader that insists on it, and empty."""

    def refusal(self, leaf: Leaf) -> str | None:  # noqa: ARG002
        return "cannot be required" if self.required else None

    def apply(self, value: object, key: bytes) -> object:  # noqa: ARG002
        return None


class Mask(_TextRule):
    """`first` and `last` characters between stars, always `length` long, so that the length tells nothing."""

    first: Count = 0
    last: Count = 0
    length: Annotated[int, Field(ge=1, le=1000)] = 8

    @model_validator(mode="after")
    def _leaves_something_masked(self) -> Mask:
        if self.first + self.last >= self.length:
            raise ValueError(f"`length` ({self.length}) must be above `first` + `last` ({self.first + self.last})")
        return self

    def apply(self, value: object, key: bytes) -> object:  # noqa: ARG002
        text = _text(value)
        if len(text) <= self.first + self.last:
            return "*" * self.length
        stars = "*" * (self.length - self.first - self.last)
        return text[: self.first] + stars + text[len(text) - self.last :]


class Truncate(_TextRule):
    """The first `to` characters."""

    shorthand: ClassVar[str | None] = "to"
    to: Annotated[int, Field(ge=1, le=1000)]

    def apply(self, value: object, key: bytes) -> object:  # noqa: ARG002
        return _text(value)[: self.to]


class BirthYear(Rule):
    """The year of a date, or of text that begins with one in ISO 8601."""

    def refusal(self, leaf: Leaf) -> str | None:
        return None if leaf.is_date or leaf.is_text else "applies to dates and strings only"

    def output(self, leaf: Leaf) -> tuple[Json, ...]:  # noqa: ARG002
        return ("int",)

    def apply(self, value: object, key: bytes) -> object:  # noqa: ARG002
        try:
            day = _EPOCH + timedelta(days=value) if isinstance(value, int) else date.fromisoformat(_text(value)[:10])
        except (ValueError, OverflowError):
            raise Untransformable("not a date") from None
        return day.year


class PostcodePrefix(_TextRule):
    """The first `characters` letters and digits of a postcode; a shorter postcode has no prefix."""

    shorthand: ClassVar[str | None] = "characters"
    characters: Annotated[int, Field(ge=1, le=5)]

    def apply(self, value: object, key: bytes) -> object:  # noqa: ARG002
        code = re.sub(r"[\s\-]", "", _text(value)).upper()
        if len(code) <= self.characters or not code.isalnum():
            raise Untransformable("not a postcode, or no longer than its prefix")
        return code[: self.characters]


class PseudonymOf(Rule):
    """The partner's own pseudonym of the value: equal values are equal within the contract, and nowhere else."""

    def refusal(self, leaf: Leaf) -> str | None:
        return None if leaf.is_text or leaf.is_integer else "applies to strings and integers only"

    def output(self, leaf: Leaf) -> tuple[Json, ...]:  # noqa: ARG002
        return ("string",)

    def apply(self, value: object, key: bytes) -> object:
        return keys.pseudonym(key, _text(value) if isinstance(value, str) else str(value))


TRANSFORMS: Mapping[str, type[Rule]] = {
    "keep": Keep,
    "drop": Drop,
    "null": Null,
    "mask": Mask,
    "truncate": Truncate,
    "birth_year": BirthYear,
    "postcode_prefix": PostcodePrefix,
    "pseudonym": PseudonymOf,
}


def parse_rule(written: object) -> Rule:
    """A field's rule from what a contract says: `keep`, `{truncate: 10}`, `{mask: {first: 1, last: 2}}`.

    Raises ValueError with a sentence, and pydantic's ValidationError for wrong options.
    """
    if isinstance(written, Rule):
        return written
    if isinstance(written, Mapping) and len(written) == 1:
        ((name, options),) = written.items()
    elif isinstance(written, str) or written is None:
        name, options = ("null" if written is None else written), {}
    else:
        raise ValueError("a field takes one transform: a name, or a name with its options")
    transform = TRANSFORMS.get(str(name))
    if transform is None:
        raise ValueError(f"there is no transform `{name}`{nearest(str(name), TRANSFORMS)}")
    if not isinstance(options, Mapping):
        if transform.shorthand is None:
            raise ValueError(f"`{name}` takes named options: {', '.join(transform.model_fields)}")
        options = {transform.shorthand: options}
    return transform.model_validate(dict(options))


FieldRule = Annotated[Rule, BeforeValidator(parse_rule)]


def redact(rule: Rule, value: object, key: bytes) -> Redacted:
    """The value as the partner may see it. Total: a value that the transform cannot take becomes null."""
    if value is None:
        return Redacted(None)
    try:
        return Redacted(rule.apply(value, key))
    except Untransformable:
        return Redacted(None)


def _text(value: object) -> str:
    """The value as text in NFC, so that equal characters count the same however they are composed."""
    if not isinstance(value, str):
        raise Untransformable("not text")
    return unicodedata.normalize("NFC", value)
