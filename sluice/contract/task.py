"""What a service provider is asked to do, and what may come back of it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from sluice.contract.quantity import Duration, Moment, in_millis
from sluice.document import Strict
from sluice.law.document import Purpose
from sluice.law.minimisation import Category
from sluice.model import Millis

ReplyValue: TypeAlias = "bool | int | float | str | None"


class ReplyField(Strict):
    """One field of a reply. Null, that nothing was found, is always allowed."""

    type: Literal["text", "one_of", "number", "boolean", "date"]
    """A date comes as text, 2026-11-23."""
    category: Category
    """What kind of data it is; no special category, and nothing that a law calls sensitive."""
    longest: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Characters of a text; 200 unless said otherwise."""
    values: list[str] = Field(default_factory=list)
    """What a `one_of` can be."""
    at_least: float | int | None = None
    """Of a number."""
    at_most: float | int | None = None
    """Of a number."""

    @model_validator(mode="after")
    def _consistent(self) -> ReplyField:
        bounds = {
            "longest": (self.longest is not None, "text"),
            "values": (bool(self.values), "one_of"),
            "at_least": (self.at_least is not None, "number"),
            "at_most": (self.at_most is not None, "number"),
        }
        for name, (there, kind) in bounds.items():
            if there and self.type != kind:
                raise ValueError(f"`{name}` is for the type `{kind}`, and this is a `{self.type}`")
        if self.type == "one_of" and not self.values:
            raise ValueError("a `one_of` needs `values`")
        return self

    def allows(self, value: ReplyValue) -> bool:
        match self.type:
            case _ if value is None:
                return True
            case "text":
                return isinstance(value, str) and len(value) <= (self.longest or 200)
            case "one_of":
                return value in self.values
            case "boolean":
                return isinstance(value, bool)
            case "date":
                return isinstance(value, str) and _is_day(value)
            case "number":
                return self._is_number_within(value)

    def _is_number_within(self, value: ReplyValue) -> bool:
        if isinstance(value, bool | str) or value is None or value != value:  # noqa: PLR0124 - not a number
            return False
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


class Licence(Strict):
    """Under what the provider's answers may be used."""

    source: Annotated[str, Field(min_length=1)]
    """Whose data it is and under which licence, as it has to be named."""
    until: Moment | None = None
    """From when on answers may no longer be used; a date is midnight UTC."""

    @property
    def until_ms(self) -> Millis | None:
        return None if self.until is None else in_millis(self.until, "UTC")


class Task(Strict):
    """The contract's purpose, done for each customer whom the provider holds; its name is that of the purpose."""

    reply: Annotated[dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")], ReplyField], Field(min_length=1)]
    """What may come back, and nothing else."""
    answer_within: Duration = timedelta(days=2)
    """After this time a request is void, and a reply to it is refused."""
    licence: Licence
    """Goes with every value that comes back."""
    purpose_limits: list[Purpose] = Field(default_factory=list)
    """What the values may be used for, and nothing else; the contract's own purpose unless others are named."""


class Campaigns(Strict):
    """A request names a campaign and a segment; the provider sends to those whom it holds when it sends."""

    segment: str
    """The shared field in which a customer's segments stand."""
    send_within: Duration = timedelta(days=2)
    """After this time a request to send is void."""


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
