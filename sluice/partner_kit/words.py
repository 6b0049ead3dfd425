"""Transforms in plain words, for somebody who has never seen a contract."""

from __future__ import annotations

from sluice.redaction import Keep, PseudonymOf, Rule
from sluice.redaction.dates import AgeBand, BirthYear
from sluice.redaction.digests import SaltedHash
from sluice.redaction.encryption import AesGcm, AesSiv, FormatPreserving
from sluice.redaction.match_key import MatchKey
from sluice.redaction.place import GeoRound, PostcodePrefix
from sluice.redaction.text import Mask, Truncate
from sluice.redaction.token import Token
from sluice.redaction.whole import Null

_SEALED = "encrypted; it is bound to its record, and opens with keys that you do not have"


def in_words(rule: Rule) -> str:  # noqa: C901, PLR0911, PLR0912 - a case for each transform
    """What the partner finds in the field."""
    match rule:
        case Keep():
            return "as our source has it"
        case Null():
            return "always empty"
        case Mask(first=first, last=last, length=length):
            return (
                f"masked, {length} characters long: the first {first} and the last {last} stand, the others are stars"
            )
        case Truncate(to=to):
            return f"its beginning, {to} characters at the most"
        case BirthYear():
            return "the year alone"
        case AgeBand(on=on):
            return f"the band of the age on {on.isoformat()}"
        case PostcodePrefix(country=None, characters=characters):
            return f"its first {characters} letters and digits"
        case PostcodePrefix(country=country):
            return f"its beginning, as is customary in {country}"
        case GeoRound(decimals=decimals):
            return f"degrees, rounded to {decimals} decimals"
        case PseudonymOf():
            return "a pseudonym: equal values are equal in your records, and in nobody else's"
        case SaltedHash():
            return "a hash with a salt of the customer's own: it joins with nothing"
        case MatchKey(platform=platform):
            return f"SHA-256 of the value, written as {platform} wants it: still personal data"
        case FormatPreserving(alphabet=alphabet):
            return f"encrypted, as many characters of the same alphabet ({alphabet})"
        case AesSiv() | AesGcm():
            return _SEALED
        case Token():
            return "a random token that stands for the value"
    raise NotImplementedError(f"{type(rule).__name__} has no words yet")
