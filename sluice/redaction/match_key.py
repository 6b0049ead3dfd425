"""Match keys: SHA-256 of a value that was normalised as an advertising platform does, for the platform to look up.

Rules: Google Ads API, customer match and enhanced conversions; Meta Conversions API, "Customer information parameters";
Snap Conversions API, which follows Meta's. Seen 2026-11. A match key is still personal data: anybody can compute it,
and all phone numbers can be tried.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Literal

import phonenumbers
from pydantic import AfterValidator

from sluice.document import nearest
from sluice.redaction.rule import UNICODE, Customer, Target, TextRule, Untransformable, text_of
from sluice.source_schema import Leaf

EMAIL = "user.contact.email"
PHONE = "user.contact.phone_number"
FIRST_NAME = "user.name.first"
LAST_NAME = "user.name.last"

_DOTLESS = frozenset({"gmail.com", "googlemail.com"})
"""Where dots before the @ make no difference, for Google."""

_ADDRESS = re.compile(r"[^@]+@[^@]+")
_MOST_CHARACTERS = 320
"""Of an address: 64 before the @, 255 behind (RFC 5321, 4.5.3.1). No number or name is longer."""


def _known_region(region: str) -> str:
    if region not in phonenumbers.SUPPORTED_REGIONS:
        near = nearest(region, sorted(phonenumbers.SUPPORTED_REGIONS))
        raise ValueError(f"there is no region `{region}` with phone numbers{near}; write it as in ISO 3166-1: JP")
    return region


class MatchKey(TextRule):
    """SHA-256 of the value, normalised as the platform does for what the field's data category says it holds."""

    shorthand: ClassVar[str | None] = "platform"
    platform: Literal["google", "meta", "snap"]
    region: Annotated[str, AfterValidator(_known_region)] | None = None
    """Where a phone number without + belongs; without a region it has no match key."""

    @property
    def data_version(self) -> str:
        return f"{UNICODE}, phonenumbers {phonenumbers.__version__}"

    def refusal(self, leaf: Leaf) -> str | None:
        if refusal := super().refusal(leaf):
            return refusal
        if leaf.category not in _NORMALISED:
            return f"applies to {', '.join(_NORMALISED)} only; the field's data category is {leaf.category}"
        if self.region is not None and leaf.category != PHONE:
            return "takes `region` for phone numbers only"
        return None

    def apply(self, value: object, target: Target, customer: Customer) -> object:  # noqa: ARG002
        normalise = _NORMALISED.get(target.category)
        text = text_of(value)
        if normalise is None or len(text) > _MOST_CHARACTERS:
            raise Untransformable("nothing that has match keys")
        normalised = normalise(text, self)
        if not normalised:
            raise Untransformable("nothing is left to match by")
        return hashlib.sha256(normalised.encode()).hexdigest()


def _email(text: str, rule: MatchKey) -> str:
    address = re.sub(r"\s", "", text).lower()
    if not _ADDRESS.fullmatch(address):
        raise Untransformable("not an e-mail address")
    local, _, domain = address.partition("@")
    if rule.platform == "google" and domain in _DOTLESS:
        return f"{local.replace('.', '')}@{domain}"
    return address


def _phone(text: str, rule: MatchKey) -> str:
    """E.164; without the plus sign but for Google."""
    try:
        number = phonenumbers.parse(text, rule.region)
    except phonenumbers.NumberParseException:
        raise Untransformable("not a phone number, or one whose country is not known") from None
    if not phonenumbers.is_possible_number(number):
        raise Untransformable("not a possible phone number")
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return written if rule.platform == "google" else written.removeprefix("+")


def _first_name(text: str, rule: MatchKey) -> str:
    """Google takes spaces out and leaves punctuation; for Meta see `_last_name`."""
    return re.sub(r"\s", "", text.lower()) if rule.platform == "google" else _last_name(text, rule)


def _last_name(text: str, rule: MatchKey) -> str:  # noqa: ARG001 - all platforms alike
    return "".join(letter for letter in text.lower() if not unicodedata.category(letter).startswith("P")).strip()


_NORMALISED: Mapping[str, Callable[[str, MatchKey], str]] = {
    EMAIL: _email,
    PHONE: _phone,
    FIRST_NAME: _first_name,
    LAST_NAME: _last_name,
}
