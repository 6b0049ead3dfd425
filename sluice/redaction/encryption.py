"""What can be turned back by who holds the keys."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from string import ascii_lowercase, digits
from typing import Annotated, ClassVar, Literal

from ffx import FF1, FFXError
from pydantic import Field

from sluice.redaction.rule import Customer, IdentifierRule, Target, TextRule, Untransformable, identifier_of, text_of
from sluice.redaction.sealing import LARGEST_BLOCK, NotOpened, Place, open_gcm, open_siv, seal_gcm, seal_siv

_ALPHABETS: Mapping[str, str] = {"digits": digits, "alnum": digits + ascii_lowercase}
_MOST_CHARACTERS = 128
"""Of a value to be encrypted in its own form: no number on a card, account or form is longer."""


class FormatPreserving(TextRule):
    """As many characters of the same alphabet: FF1 with AES-256 (NIST SP 800-38G).

    The tweak names partner and field. A value of under a million possibilities has no answer (SP 800-38G revision 1,
    draft), and neither has one with any other character; `alnum` are digits and lower-case letters a to z.
    """

    shorthand: ClassVar[str | None] = "alphabet"
    alphabet: Literal["digits", "alnum"] = "digits"

    def apply(self, value: object, target: Target, customer: Customer) -> object:  # noqa: ARG002
        text = text_of(value)
        if len(text) > _MOST_CHARACTERS:
            raise Untransformable("longer than what is encrypted in its own form")
        try:
            return self._cipher(target).encrypt(text, tweak=_tweak(target))
        except FFXError:
            raise Untransformable("outside the alphabet, or of too few possibilities") from None

    def open(self, sealed: str, target: Target) -> str:
        """The value that `apply` took. Raises NotOpened for what it cannot have given."""
        try:
            return self._cipher(target).decrypt(sealed, tweak=_tweak(target))
        except FFXError:
            raise NotOpened("This is not what the transform gives: another alphabet, or too short.") from None

    def _cipher(self, target: Target) -> FF1:
        return _ff1(target.keys.of("fpe_ff1"), _ALPHABETS[self.alphabet])


class _Sealed(IdentifierRule):
    """Bound to partner, field and record."""

    needs_customer_key: ClassVar[bool] = True

    pad_to: Annotated[int, Field(ge=16, le=LARGEST_BLOCK)] = 64
    """The text is padded to a multiple of so many bytes, by one at least."""


class AesSiv(_Sealed):
    """AES-SIV (RFC 5297): base64url text that opens with the field's key and the customer's own."""

    def apply(self, value: object, target: Target, customer: Customer) -> object:
        place = place_of(target, customer)
        return seal_siv(target.keys.of("aes_siv"), customer.key(), place, identifier_of(value), self.pad_to)

    def open(self, sealed: str, target: Target, customer: Customer) -> str:
        """Raises NotOpened, and Untransformable when the customer has no key, or none any more."""
        return open_siv(target.keys.of("aes_siv"), customer.key(), place_of(target, customer), sealed, self.pad_to)


class AesGcm(_Sealed):
    """AES-GCM, its nonce derived: base64url text that opens with the field's key and the customer's own."""

    def apply(self, value: object, target: Target, customer: Customer) -> object:
        place = place_of(target, customer)
        return seal_gcm(target.keys.of("aes_gcm"), customer.key(), place, identifier_of(value), self.pad_to)

    def open(self, sealed: str, target: Target, customer: Customer) -> str:
        """Raises NotOpened, and Untransformable when the customer has no key, or none any more."""
        return open_gcm(target.keys.of("aes_gcm"), customer.key(), place_of(target, customer), sealed, self.pad_to)


def place_of(target: Target, customer: Customer) -> Place:
    return Place(target.keys.partner, target.keys.path, customer.record_key)


def _tweak(target: Target) -> bytes:
    # A partner's name has no bar in it, so no two places share a tweak.
    return f"{target.keys.partner}|{target.keys.path}".encode()


@lru_cache(maxsize=1024)
def _ff1(key: bytes, alphabet: str) -> FF1:
    """Prepared once a field: the key schedule costs more than a value."""
    return FF1(key, alphabet=alphabet)
