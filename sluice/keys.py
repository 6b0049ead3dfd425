"""Keys, all derived from one master key, so that what a partner gets is a function of the inputs.

HKDF-SHA256 (RFC 5869) with length-prefixed info: no two purposes, partners, fields or epochs can share a key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sluice.errors import SluiceError
from sluice.model import PartnerId, Pseudonym

MASTER_KEY_BYTES = 32
RECORD_KEY = "customer_id"
"""The field whose pseudonym is also the key of the partner's records (for ids in NFC, as fields are normalised)."""


@dataclass(frozen=True, slots=True)
class MasterKey:
    secret: bytes = field(repr=False)

    def derive(self, *info: str) -> bytes:
        """32 bytes for one use; `info` names the use, the partner, the field and the epoch."""
        joined = b"".join(len(part).to_bytes(4, "big") + part for part in (text.encode() for text in info))
        return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=joined).derive(self.secret)

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

    def field(self, path: str) -> bytes:
        """Key of the pseudonyms of one field."""
        return self.master.derive("pseudonym", self.partner, path, str(self.epoch))


def pseudonym(key: bytes, value: str) -> Pseudonym:
    """HMAC-SHA256 cut to 128 bits, base64url without padding: 22 characters, without linkage across keys."""
    tag = hmac.digest(key, value.encode(), "sha256")[:16]
    return Pseudonym(base64.urlsafe_b64encode(tag).rstrip(b"=").decode())


def keyed_digest(key: bytes, data: bytes) -> bytes:
    """BLAKE2b-128: tells whether a partner's record changed, and nothing to who has no key (RFC 7693)."""
    return hashlib.blake2b(data, digest_size=16, key=key).digest()


def create_master_key(path: Path) -> None:
    """Write a new random master key, readable by its owner alone, unless there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x") as file:
            path.chmod(0o600)
            file.write(secrets.token_hex(MASTER_KEY_BYTES) + "\n")
    except FileExistsError:
        return


def load_master_key(path: Path) -> MasterKey:
    try:
        secret = bytes.fromhex(path.read_text().strip())
    except FileNotFoundError:
        raise SluiceError(f"There is no master key at {path}: run `sluice provision`, or restore the file.") from None
    except OSError as error:
        raise SluiceError(f"The master key at {path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise SluiceError(f"The master key at {path} is not hexadecimal: restore the file from your backup.") from None
    if len(secret) != MASTER_KEY_BYTES:
        raise SluiceError(
            f"The master key at {path} has {len(secret)} bytes, not {MASTER_KEY_BYTES}: restore the file."
        )
    return MasterKey(secret)
