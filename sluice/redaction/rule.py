"""What every transform is: a rule of a contract that turns one value into what the partner gets.

A function of value, keys and customer alone: no clock, no other field, no other customer, so that the view can be
recomputed.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import ClassVar

from sluice.avro import Json
from sluice.document import Strict
from sluice.keys import CustomerKey, FieldKeys, NoKey
from sluice.model import CustomerId
from sluice.source_schema import Leaf

UNICODE = f"unicode {unicodedata.unidata_version}"
"""What text in NFC and lower case depends on."""

_LONGS = range(-(1 << 63), 1 << 63)
"""64 bits and a sign among them (Avro specification 1.11, primitive types)."""


class Untransformable(Exception):
    """The transform has no answer for this value; the field becomes null. Holds no value."""


@dataclass(frozen=True, slots=True)
class Target:
    """One field on its way to one partner, as its contract and the source schema describe it."""

    keys: FieldKeys
    category: str
    """The source field's data category."""


@dataclass(slots=True)
class Customer:
    """Whose value it is. Not to be changed; to be frozen costs too much."""

    id: CustomerId
    record_key: str
    """What the partner knows the customer by: the key of its records."""
    own_key: CustomerKey = field(repr=False)

    def key(self) -> bytes:
        """The customer's own key. Raises Untransformable when there is none, and says why."""
        if isinstance(self.own_key, NoKey):
            raise Untransformable(self.own_key.value)
        return self.own_key


class Rule(Strict):
    """What a contract says about one field. `required`: a partner without this field gets no record at all.

    A transform that needs neither key nor customer defines `of`, another one defines `apply`.
    """

    required: bool = False

    shorthand: ClassVar[str | None] = None
    """The option that a bare value sets: `truncate: 10`."""
    shared: ClassVar[bool] = True
    needs_customer_key: ClassVar[bool] = False

    @property
    def data_version(self) -> str:
        """Names the version of what the answer depends on beside the options. Part of the contract's digest."""
        return ""

    def refusal(self, leaf: Leaf) -> str | None:  # noqa: ARG002
        """Why this transform does not apply to such a field, or None: completes "this transform of `x` ..."."""
        return None

    def output(self, leaf: Leaf) -> tuple[Json, ...]:
        """The Avro types, but null, that `apply` can give."""
        return leaf.branches

    def apply(self, value: object, target: Target, customer: Customer) -> object:  # noqa: ARG002
        """The value that the partner gets, from one that is not None. Raises Untransformable.

        Both are Avro's own, without logical types: a date is its days since 1970-01-01.
        """
        return self.of(value)

    def of(self, value: object) -> object:
        """`apply`, for what depends on the value alone."""
        raise NotImplementedError


class TextRule(Rule):
    """Takes text, gives text."""

    @property
    def data_version(self) -> str:
        return UNICODE

    def refusal(self, leaf: Leaf) -> str | None:
        return None if leaf.is_text else "applies to strings only"

    def output(self, leaf: Leaf) -> tuple[Json, ...]:  # noqa: ARG002
        return ("string",)


class IdentifierRule(TextRule):
    """Takes text and whole numbers, gives text."""

    def refusal(self, leaf: Leaf) -> str | None:
        return None if leaf.is_text or leaf.is_integer else "applies to strings and integers only"


def text_of(value: object) -> str:
    """The value as text in NFC, so that equal characters count the same however they are composed.

    Raises Untransformable for what is no text, or holds half a surrogate pair, which no encoding has bytes for (Unicode
    Standard, D76).
    """
    if not isinstance(value, str):
        raise Untransformable("not text")
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Untransformable("not text that can be written") from None
    return unicodedata.normalize("NFC", value)


def identifier_of(value: object) -> str:
    """A whole number is its decimal digits. Raises Untransformable for any other value that is no text."""
    if isinstance(value, int) and value in _LONGS:
        return str(value)
    return text_of(value)
