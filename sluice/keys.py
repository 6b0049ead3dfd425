"""Keys, all derived from one master key, so that what a partner gets is a function of the inputs.

HKDF-SHA256 (RFC 5869) with length-prefixed info: no two purposes, partners, fields or epochs can share a key.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sluice.errors import SluiceError
from sluice.model import CustomerId, PartnerId, Pseudonym

MASTER_KEY_BYTES = 32
PSEUDONYM_CHARACTERS = 22
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
RECORD_KEY = "customer_id"
"""The field whose pseudonym is also the key of the partner's records (for ids in NFC, as fields are normalised)."""


@dataclass(frozen=True, slots=True)
class MasterKey:
    secret: bytes = field(repr=False)

    def derive(self, *info: str) -> bytes:
        """32 bytes for one use; `info` names the use, the partner, the field and the epoch."""
        return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=joined(*info)).derive(self.secret)

    @property
    def fingerprint(self) -> str:
        """Tells master keys apart without telling anything about them."""
        return self.derive("fingerprint").hex()[:16]


@dataclass(frozen=True, slots=True)
class PartnerKeys:
    """One partner's keys in one epoch."""

    master: MasterKey
    partner: PartnerId
    epoch: int
    record: bytes = field(repr=False)
    """Key of the pseudonyms that are record keys."""
    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, master: MasterKey, partner: PartnerId, epoch: int) -> PartnerKeys:
        return cls(
            master, partner, epoch,
            record=master.derive("pseudonym", partner, RECORD_KEY, str(epoch)),
            digest=master.derive("digest", partner, str(epoch)),
        )  # fmt: skip

    def field(self, path: str) -> FieldKeys:
        return FieldKeys(self, path)


@dataclass(frozen=True, slots=True)
class FieldKeys:
    """The keys of one field at one partner in one epoch, one for each use, derived when first asked for."""

    partner_keys: PartnerKeys
    path: str
    _derived: dict[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    @property
    def partner(self) -> PartnerId:
        return self.partner_keys.partner

    def of(self, use: str) -> bytes:
        """This field's own key of 32 bytes for one use."""
        if use not in self._derived:
            keys = self.partner_keys
            self._derived[use] = keys.master.derive(use, keys.partner, self.path, str(keys.epoch))
        return self._derived[use]

    def of_table(self, table: str) -> bytes:
        """The key of a token table: the same for every field that uses it, and for who issues its tokens."""
        label = f"table {table}"
        if label not in self._derived:
            self._derived[label] = table_key(self.partner_keys.master, table)
        return self._derived[label]


class NoKey(Enum):
    """Why there is no key of a customer's own, as a sentence goes on."""

    DESTROYED = "the customer's key was destroyed"
    NOT_ISSUED = "no key was issued to the customer"


CustomerKey = bytes | NoKey
"""A customer's own key, 32 bytes, or why there is none."""


class CustomerKeys(Protocol):
    """Customers' own keys: random and stored, so that destroying one ends what was ever sealed with it."""

    def key_of(self, customer: CustomerId) -> CustomerKey:
        """The same whenever asked, made at the first time and durable by then; DESTROYED is for ever."""


def joined(*parts: str) -> bytes:
    """Texts as one byte string, each after its length: no two sequences give the same."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in (text.encode() for text in parts))


def table_key(master: MasterKey, table: str) -> bytes:
    """Key of the digests under which a token table files values."""
    return master.derive("tokens", table)


def combined(field_key: bytes, customer_key: bytes, use: str, length: int) -> bytes:
    """A key that takes both to make: HKDF-SHA256 of the customer's key, with the field's as salt (RFC 5869, 3.1)."""
    hkdf = HKDF(algorithm=hashes.SHA256(), length=length, salt=field_key, info=use.encode())
    return hkdf.derive(customer_key)


def pseudonym(key: bytes, value: str) -> Pseudonym:
    """HMAC-SHA256 cut to 128 bits, base64url without padding: 22 characters, without linkage across keys."""
    made = _hmac(key).copy()
    made.update(value.encode())
    return Pseudonym(short(made.digest()[:16]))


@lru_cache(1 << 10)
def _hmac(key: bytes) -> hmac.HMAC:
    """To be copied: the key is taken in once."""
    return hmac.new(key, digestmod="sha256")


def short(digest: bytes) -> str:
    """16 bytes as 22 characters: base64url without padding (RFC 4648, 5)."""
    return binascii.b2a_base64(digest, newline=False).translate(_URL_SAFE)[:PSEUDONYM_CHARACTERS].decode("ascii")


def keyed_digest(key: bytes, data: bytes) -> bytes:
    """BLAKE2b-128: tells whether a partner's record changed, and nothing to who has no key (RFC 7693)."""
    made = _keyed(key).copy()
    made.update(data)
    return made.digest()


@lru_cache(1 << 10)
def _keyed(key: bytes) -> hashlib.blake2b:
    """To be copied: the key is taken in once."""
    return hashlib.blake2b(digest_size=16, key=key)


def decision_id(key: bytes, *parts: str) -> str:
    """The same for the same decision, whenever it is taken again; means nothing to who has no key."""
    return short(keyed_digest(key, "\x1f".join(parts).encode()))


class KeySource(Protocol):
    """Where a master key is kept: what a key management service has to do for us, and no more."""

    def read(self) -> bytes:
        """64 hexadecimal digits, if all is well. Raises SluiceError, which never shows what was found."""

    def __str__(self) -> str:
        """The place, as it follows "the master key": `at /etc/sluice/master.key`."""


def load_master_key(source: KeySource) -> MasterKey:
    """Raises SluiceError, which never shows what was found."""
    try:
        secret = bytes.fromhex(source.read().decode("ascii").strip())
    except ValueError:
        raise SluiceError(f"The master key {source} is not hexadecimal: restore it from your backup.") from None
    if len(secret) != MASTER_KEY_BYTES:
        raise SluiceError(f"The master key {source} has {len(secret)} bytes, not {MASTER_KEY_BYTES}: restore it.")
    return MasterKey(secret)
