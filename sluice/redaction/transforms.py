"""All transforms by the name that contracts give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo

from sluice.document import nearest
from sluice.redaction.dates import AgeBand, BirthYear
from sluice.redaction.digests import PseudonymOf, SaltedHash
from sluice.redaction.encryption import AesGcm, AesSiv, FormatPreserving
from sluice.redaction.match_key import MatchKey
from sluice.redaction.place import GeoRound, PostcodePrefix
from sluice.redaction.rule import Rule
from sluice.redaction.text import Mask, Truncate
from sluice.redaction.token import Token
from sluice.redaction.whole import Drop, Keep, Null

VERSION = "2"
"""Part of the contract set's digest: raise it when a transform gives another result for the same value."""

TRANSFORMS: Mapping[str, type[Rule]] = {
    "keep": Keep,
    "drop": Drop,
    "null": Null,
    "mask": Mask,
    "truncate": Truncate,
    "birth_year": BirthYear,
    "age_band": AgeBand,
    "postcode_prefix": PostcodePrefix,
    "geo_round": GeoRound,
    "pseudonym": PseudonymOf,
    "salted_hash": SaltedHash,
    "match_key": MatchKey,
    "fpe_ff1": FormatPreserving,
    "aes_siv": AesSiv,
    "aes_gcm": AesGcm,
    "token": Token,
}


def parse_rule(written: object, context: Any = None) -> Rule:  # noqa: ANN401 - pydantic's, passed on
    """A field's rule from what a contract says: `keep`, `{truncate: 10}`, `{mask: {first: 1, last: 2}}`.

    `context` names the contract's `folder`. Raises ValueError with a sentence, and pydantic's ValidationError for wrong
    options.
    """
    if isinstance(written, Rule):
        return written
    name, options = _named(written)
    transform = TRANSFORMS.get(name)
    if transform is None:
        raise ValueError(f"there is no transform `{name}`{nearest(name, TRANSFORMS)}")
    if not isinstance(options, Mapping):
        if transform.shorthand is None:
            raise ValueError(f"`{name}` takes named options: {', '.join(transform.model_fields)}")
        options = {transform.shorthand: options}
    return transform.model_validate(dict(options), context=context)


def _named(written: object) -> tuple[str, object]:
    """Name and options. YAML reads a bare `null` as None."""
    if isinstance(written, Mapping) and len(written) == 1:
        ((name, options),) = written.items()
        return str(name), options
    if isinstance(written, str) or written is None:
        return ("null" if written is None else written), {}
    raise ValueError("a field takes one transform: a name, or a name with its options")


def _field_rule(written: object, info: ValidationInfo) -> Rule:
    return parse_rule(written, info.context)


FieldRule = Annotated[Rule, BeforeValidator(_field_rule)]
