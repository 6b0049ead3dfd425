"""Column mappings: the document that says which columns of a CSV file become which fields of the schema."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from sluice.document import Strict

_A_DAY = datetime(2001, 4, 30)  # noqa: DTZ001 - only to try a format


def _known_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"there is no time zone `{name}`; use an IANA name such as Asia/Tokyo") from None
    return name


def _strptime_format(written: str) -> str:
    try:
        datetime.strptime(_A_DAY.strftime(written), written)  # noqa: DTZ007 - only to try the format
    except ValueError:
        raise ValueError(f"`{written}` is no date format such as %Y-%m-%d") from None
    return written


Constant: TypeAlias = str | int | float | bool | date | datetime


class Column(Strict):
    """Where a field comes from: one column, several joined by a space, or a constant. A name alone is a column."""

    column: str | None = None
    columns: Annotated[list[str], Field(min_length=1)] | None = None
    value: Constant | None = None
    date: Annotated[str, AfterValidator(_strptime_format)] | None = None
    """How a date or time is written, as strptime has it."""
    timezone: Annotated[str, AfterValidator(_known_timezone)] | None = None
    """Of times that are written without an offset."""
    split: Annotated[str, Field(min_length=1)] | None = None
    """What stands between the items of an array."""
    invalid: Literal["null"] | None = None
    """`null`: a cell that does not fit the type counts as empty, where the row would be refused."""

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, written: Any) -> Any:  # noqa: ANN401 - whatever stands in the document
        return {"column": written} if isinstance(written, str) else written

    @model_validator(mode="after")
    def _consistent(self) -> Column:
        if sum(given is not None for given in (self.column, self.columns, self.value)) != 1:
            raise ValueError("a field needs exactly one of `column`, `columns` and `value`")
        if self.value is not None and any((self.date, self.timezone, self.split, self.invalid)):
            raise ValueError("a constant `value` takes no other key")
        return self

    @property
    def sources(self) -> list[str]:
        return self.columns or ([] if self.column is None else [self.column])


class ColumnMapping(Strict):
    customer_id: str
    """The column with the customer's id."""
    fields: Annotated[dict[str, Column], Field(min_length=1)]
    """By the field's dotted path."""
