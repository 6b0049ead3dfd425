"""Tokens: random stand-ins that only a table knows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, PrivateAttr, ValidationInfo, model_validator

from sluice.errors import SluiceError
from sluice.redaction.rule import UNICODE, Customer, IdentifierRule, Target, Untransformable, identifier_of
from sluice.token_table import TokenTable, load_table, table_path


class Token(IdentifierRule):
    """The value's token in a table; a value without one has no answer.

    The table is read once, with the contract: it lies beside it, as `tokens/<table>.csv`.
    """

    shorthand: ClassVar[str | None] = "table"
    table: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
    _tokens: TokenTable = PrivateAttr()

    @model_validator(mode="after")
    def _load(self, info: ValidationInfo) -> Token:
        folder = (info.context or {}).get("folder")
        if not isinstance(folder, Path):
            raise ValueError("`token` needs a contract that lies in a file: its table is beside it")  # noqa: TRY004 - pydantic's
        try:
            self._tokens = load_table(table_path(folder, self.table))
        except SluiceError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def data_version(self) -> str:
        return f"{UNICODE}, tokens {self._tokens.version}"

    def apply(self, value: object, target: Target, customer: Customer) -> object:  # noqa: ARG002
        token = self._tokens.token_of(target.keys.of_table(self.table), identifier_of(value))
        if token is None:
            raise Untransformable("no token was issued for this value")
        return token
