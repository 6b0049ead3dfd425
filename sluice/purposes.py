"""The purposes that contracts and consents may name: fideslang's data uses and our own (schemas/purposes.txt)."""

from __future__ import annotations

from functools import cache
from importlib import resources

EVERY_PURPOSE = "*"
"""What a refusal of everything names."""


@cache
def known() -> frozenset[str]:
    lines = resources.files("schemas").joinpath("purposes.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))
