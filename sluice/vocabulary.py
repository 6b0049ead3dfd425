"""The words that contracts and consents share: purposes and data categories (schemas/*.txt, after fideslang)."""

from __future__ import annotations

from functools import cache
from importlib import resources

EVERYTHING = "*"
"""Every purpose, or every data category."""


@cache
def purposes() -> frozenset[str]:
    return _words("purposes.txt")


@cache
def data_categories() -> frozenset[str]:
    return _words("data_categories.txt")


def _words(name: str) -> frozenset[str]:
    lines = resources.files("schemas").joinpath(name).read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))
