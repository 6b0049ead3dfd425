"""Sealing text to its place and opening it again: AES-SIV and AES-GCM, composed from the library's.

A sealed text is base64url without its padding. The text itself is padded (PKCS #7: RFC 5652, 6.3), so that its length
tells little. Who opens needs the field's key, which a partner may be given once, and the customer's own, which can be
destroyed.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.padding import PKCS7

from sluice.errors import SluiceError
from sluice.keys import combined, joined

_KEY_BYTES = 32
_NONCE_BYTES = 12
"""96 bits (NIST SP 800-38D, 5.2.1.1)."""

LARGEST_BLOCK = 255
"""Bytes; the padding counts itself in one byte."""


class NotOpened(SluiceError):
    """This sealed text does not open: not ours, changed, of another place, or with other keys. Holds no value."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a sealed text is bound to: it opens nowhere else."""

    partner: str
    path: str
    record_key: str

    @property
    def associated(self) -> bytes:
        return joined(self.partner, self.path, self.record_key)


def seal_siv(field_key: bytes, customer_key: bytes, place: Place, text: str, pad_to: int) -> str:
    """Deterministic authenticated encryption (RFC 5297), AES-256."""
    siv = AESSIV(combined(field_key, customer_key, "aes_siv", 2 * _KEY_BYTES))
    return _written(siv.encrypt(_padded(text, pad_to), [place.associated]))


def open_siv(field_key: bytes, customer_key: bytes, place: Place, sealed: str, pad_to: int) -> str:
    """The text that `seal_siv` sealed. Raises NotOpened."""
    siv = AESSIV(combined(field_key, customer_key, "aes_siv", 2 * _KEY_BYTES))
    try:
        return _unpadded(siv.decrypt(_read(sealed), [place.associated]), pad_to)
    except (InvalidTag, ValueError):
        raise _not_opened() from None


def seal_gcm(field_key: bytes, customer_key: bytes, place: Place, text: str, pad_to: int) -> str:
    """AES-256-GCM (NIST SP 800-38D), the nonce before the ciphertext.

    The nonce is an HMAC of place and text with a key of its own: equal texts seal to equal bytes, for the view is
    recomputed, and different texts of one customer's field do not meet with the same nonce.
    """
    key, nonce_key = _gcm_keys(field_key, customer_key)
    padded = _padded(text, pad_to)
    nonce = hmac.digest(nonce_key, len(place.associated).to_bytes(8, "big") + place.associated + padded, "sha256")
    nonce = nonce[:_NONCE_BYTES]
    return _written(nonce + AESGCM(key).encrypt(nonce, padded, place.associated))


def open_gcm(field_key: bytes, customer_key: bytes, place: Place, sealed: str, pad_to: int) -> str:
    """The text that `seal_gcm` sealed. Raises NotOpened."""
    key, _ = _gcm_keys(field_key, customer_key)
    try:
        data = _read(sealed)
        opened = AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], place.associated)
        return _unpadded(opened, pad_to)
    except (InvalidTag, ValueError):
        raise _not_opened() from None


def _gcm_keys(field_key: bytes, customer_key: bytes) -> tuple[bytes, bytes]:
    both = combined(field_key, customer_key, "aes_gcm", 2 * _KEY_BYTES)
    return both[:_KEY_BYTES], both[_KEY_BYTES:]


def _padded(text: str, pad_to: int) -> bytes:
    padder = PKCS7(pad_to * 8).padder()
    return padder.update(text.encode()) + padder.finalize()


def _unpadded(data: bytes, pad_to: int) -> str:
    unpadder = PKCS7(pad_to * 8).unpadder()
    return (unpadder.update(data) + unpadder.finalize()).decode()


def _written(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _read(sealed: str) -> bytes:
    """Raises ValueError."""
    data = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
    if _written(data) != sealed:
        raise binascii.Error  # bits that nobody reads were changed
    return data


def _not_opened() -> NotOpened:
    return NotOpened("This sealed text does not open with these keys at this place: check partner, field and record.")
