"""The value as it is, or nothing of it."""

from __future__ import annotations

from typing import ClassVar

from sluice.redaction.rule import Rule
from sluice.source_schema import Leaf


class Keep(Rule):
    """The value as it is."""

    def of(self, value: object) -> object:
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

    def of(self, value: object) -> object:  # noqa: ARG002
        return None
