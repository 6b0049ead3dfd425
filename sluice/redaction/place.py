"""Less than an address or a point."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import blake2b
from importlib import resources
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from sluice.redaction.rule import UNICODE, Rule, TextRule, Untransformable, text_of
from sluice.source_schema import Leaf

_SPARSE = "000"
_BETWEEN = re.compile(r"[\s\-\u2010-\u2015\u2212\u30fc]")
"""What people write between the halves: spaces, dashes of every width, the Japanese length mark."""

_JP = re.compile(r"[0-9]{7}")
_US = re.compile(r"[0-9]{5}(?:[0-9]{4})?")
_GB = re.compile(r"(?P<outward>GIR|[A-Z]{1,2}[0-9][A-Z0-9]?)[0-9][A-Z]{2}")
_CA = re.compile(r"[ABCEGHJ-NPRSTVXY][0-9][ABCEGHJ-NPRSTV-Z][0-9][ABCEGHJ-NPRSTV-Z][0-9]")


class PostcodePrefix(TextRule):
    """The first `characters` letters and digits of a postcode, or what is customary in a `country`.

    A shorter postcode, or one that the country does not write so, has no prefix.
    """

    shorthand: ClassVar[str | None] = "characters"
    characters: Annotated[int, Field(ge=1, le=5)] | None = None
    country: Literal["CA", "GB", "JP", "US"] | None = None
    """JP: 3 digits; US: ZIP3, or 000 where few people live; GB: outward code; CA: forward sortation area."""

    @model_validator(mode="after")
    def _one_way(self) -> PostcodePrefix:
        if (self.characters is None) == (self.country is None):
            raise ValueError("`postcode_prefix` takes either `characters` (1 to 5) or `country` (CA, GB, JP or US)")
        return self

    @property
    def data_version(self) -> str:
        return f"{UNICODE}, {_sparse_version()}" if self.country == "US" else UNICODE

    def of(self, value: object) -> object:
        if self.country is not None:
            return _PREFIXES[self.country](_compact(value))
        code = re.sub(r"[\s\-]", "", text_of(value)).upper()
        if self.characters is None or len(code) <= self.characters or not code.isalnum():
            raise Untransformable("not a postcode, or no longer than its prefix")
        return code[: self.characters]


class GeoRound(Rule):
    """Degrees rounded to `decimals`: 2 are about 1.1 km, coarser than what laws call precise.

    A radius of 1,850 ft is precise in California (Civ. 1798.140(w)), of 1,750 ft in other states: three decimals would
    be. Both to be checked.
    """

    shorthand: ClassVar[str | None] = "decimals"
    decimals: Annotated[int, Field(ge=0, le=2)] = 2

    def refusal(self, leaf: Leaf) -> str | None:
        return None if leaf.branches in (("double",), ("float",)) else "applies to doubles and floats only"

    def of(self, value: object) -> object:
        if not isinstance(value, float) or not math.isfinite(value) or abs(value) > 180:
            raise Untransformable("not degrees")
        return round(value, self.decimals) + 0.0  # for -0.0 tells on which side of the line the point lies


def _compact(value: object) -> str:
    return _BETWEEN.sub("", unicodedata.normalize("NFKC", text_of(value))).upper()


def _japan(code: str) -> str:
    return _matched(_JP, code)[0][:3]


def _united_states(code: str) -> str:
    prefix = _matched(_US, code)[0][:3]
    return _SPARSE if prefix in _sparse() else prefix


def _united_kingdom(code: str) -> str:
    return _matched(_GB, code)["outward"]


def _canada(code: str) -> str:
    return _matched(_CA, code)[0][:3]


def _matched(form: re.Pattern[str], code: str) -> re.Match[str]:
    match = form.fullmatch(code)
    if match is None:
        raise Untransformable("not a postcode of that country")
    return match


_PREFIXES: Mapping[str, Callable[[str], str]] = {
    "CA": _canada,
    "GB": _united_kingdom,
    "JP": _japan,
    "US": _united_states,
}


@cache
def _sparse() -> frozenset[str]:
    lines = resources.files(__package__).joinpath("sparse_zip3.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


@cache
def _sparse_version() -> str:
    return "sparse ZIP3 " + blake2b(" ".join(sorted(_sparse())).encode(), digest_size=8).hexdigest()
