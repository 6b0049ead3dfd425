"""The words that contracts and consents share: purposes and data categories (schemas/*.txt, after fideslang)."""

from __future__ import annotations

from collections.abc import Mapping
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


@cache
def countries() -> frozenset[str]:
    """Assigned codes of ISO 3166-1 alpha-2."""
    return _words("countries.txt")


@cache
def obligations() -> Mapping[str, str]:
    """What partners may promise: the word, and the sentence in which it is read aloud."""
    return {word: sentence for word, _, sentence in (line.partition(" ") for line in _lines("obligations.txt"))}


def _words(name: str) -> frozenset[str]:
    return frozenset(_lines(name))


def _lines(name: str) -> list[str]:
    lines = resources.files("schemas").joinpath(name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]
