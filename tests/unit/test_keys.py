"""Keys: what the standards say, computed a second time with the standard library alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from itertools import combinations

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from sluice.keys import (
    RECORD_KEY,
    MasterKey,
    PartnerKeys,
    combined,
    keyed_digest,
    pseudonym,
    table_key,
)
from sluice.model import PartnerId

MASTER = MasterKey(bytes(range(32)))
HOSHI, ADRESSO = PartnerId("hoshi-card"), PartnerId("adresso")


def hkdf(secret: bytes, info: bytes, length: int = 32) -> bytes:
    """RFC 5869 with SHA-256 and no salt, for one block."""
    extracted = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()[:length]


def prefixed(*parts: str) -> bytes:
    return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)


def test_the_second_implementation_passes_the_standards_own_vector() -> None:
    """RFC 5869, A.3: no salt, no info."""
    okm = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
    assert hkdf(b"\x0b" * 22, b"").hex() == okm


@given(st.binary(min_size=32, max_size=32), st.lists(st.text(max_size=9), max_size=4))
def test_derived_keys_are_rfc_5869_over_length_prefixed_info(secret: bytes, info: list[str]) -> None:
    assert MasterKey(secret).derive(*info) == hkdf(secret, prefixed(*info))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        (("ab",), ("a", "b")),
        (("a", ""), ("a",)),
        (("a",), ("", "a")),
        (("a", "b"), ("b", "a")),
        ((), ("",)),
        (("a\x00\x00\x00\x01b",), ("a", "b")),
    ],
)
def test_no_two_uses_share_a_key(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert MASTER.derive(*one) != MASTER.derive(*other)


def test_a_partners_keys_are_of_its_name_its_epoch_and_its_fields() -> None:
    keys = PartnerKeys.of(MASTER, HOSHI, 3)
    assert keys.record == hkdf(MASTER.secret, prefixed("pseudonym", "hoshi-card", "customer_id", "3"))
    assert keys.digest == hkdf(MASTER.secret, prefixed("digest", "hoshi-card", "3"))
    assert keys.field("email").of("pseudonym") == hkdf(MASTER.secret, prefixed("pseudonym", "hoshi-card", "email", "3"))
    assert keys.field(RECORD_KEY).of("pseudonym") == keys.record, (
        "a shared pseudonym of the customer's id equals the record's key"
    )


def _keys_of(keys: PartnerKeys) -> list[bytes]:
    fields = [keys.field(path).of(use) for path in ("a", "b") for use in ("pseudonym", "salt")]
    return [*fields, keys.record, keys.digest]


def test_pseudonyms_cannot_be_linked_across_masters_partners_epochs_and_fields() -> None:
    others = [
        PartnerKeys.of(MASTER, HOSHI, 1),
        PartnerKeys.of(MASTER, HOSHI, 11),
        PartnerKeys.of(MASTER, ADRESSO, 1),
        PartnerKeys.of(MasterKey(bytes(32)), HOSHI, 1),
    ]
    all_keys = [key for keys in others for key in _keys_of(keys)]
    assert len(set(all_keys)) == len(all_keys)
    assert len({pseudonym(key, "dell-crm:1") for key in all_keys}) == len(all_keys)


@given(st.binary(min_size=1, max_size=64), st.text())
def test_a_pseudonym_is_half_an_hmac_in_22_characters(key: bytes, value: str) -> None:
    made = pseudonym(key, value)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", made)
    assert base64.urlsafe_b64decode(made + "==") == hmac.new(key, value.encode(), hashlib.sha256).digest()[:16]


def test_the_hmac_is_that_of_the_standard() -> None:
    """RFC 4231, test case 2."""
    expected = bytes.fromhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    cut = base64.urlsafe_b64encode(expected[:16]).decode().rstrip("=")
    assert pseudonym(b"Jefe", "what do ya want for nothing?") == cut


def test_a_combined_key_is_that_of_the_standard() -> None:
    """RFC 5869, A.1 for what was made here, with its salt; and it takes both keys."""
    okm = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    info = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9")
    assert HKDF(SHA256(), 42, bytes(range(13)), info).derive(b"\x0b" * 22).hex() == okm
    field_key, customer_key = bytes(32), bytes(range(32))
    made = combined(field_key, customer_key, "use", 32)
    prk = hmac.new(field_key, customer_key, hashlib.sha256).digest()
    assert made == hmac.new(prk, b"use\x01", hashlib.sha256).digest()
    others = [combined(customer_key, field_key, "use", 32), combined(field_key, customer_key, "other", 32)]
    assert made not in others


def test_a_tables_key_is_the_same_for_every_partner_and_another_for_every_table() -> None:
    one, other = PartnerKeys.of(MASTER, HOSHI, 1).field("a"), PartnerKeys.of(MASTER, ADRESSO, 2).field("b")
    assert one.of_table("loyalty") == other.of_table("loyalty") == table_key(MASTER, "loyalty")
    assert one.of_table("loyalty") != one.of_table("members")
    assert one.of_table("loyalty") != one.of("loyalty") != one.of("tokens")


def test_different_customers_have_different_pseudonyms() -> None:
    key = PartnerKeys.of(MASTER, HOSHI, 1).record
    assert len({pseudonym(key, f"dell-crm:{n}") for n in range(1_000)}) == 1_000


def test_a_digest_is_keyed_blake2b_of_128_bits() -> None:
    keys = PartnerKeys.of(MASTER, HOSHI, 1)
    digest = keyed_digest(keys.digest, b"record")
    assert digest == hashlib.blake2b(b"record", key=keys.digest, digest_size=16).digest()
    assert len(digest) == 16
    assert digest != keyed_digest(PartnerKeys.of(MASTER, ADRESSO, 1).digest, b"record")
    assert digest != keyed_digest(keys.digest, b"recorD")


def test_fingerprints_tell_master_keys_apart_and_nothing_else() -> None:
    masters = [MASTER, MasterKey(bytes(32)), MasterKey(b"\x01" + bytes(31))]
    assert all(a.fingerprint != b.fingerprint for a, b in combinations(masters, 2))
    assert MASTER.fingerprint == hkdf(MASTER.secret, prefixed("fingerprint")).hex()[:16]
    assert MASTER.secret.hex()[:16] not in MASTER.fingerprint


def test_a_key_never_stands_in_what_is_printed() -> None:
    """Tracebacks and logs print objects; a printed master key would undo every pseudonym there is."""
    keys = PartnerKeys.of(MASTER, HOSHI, 1)
    field = keys.field("a")
    for secret in (MASTER.secret, keys.record, keys.digest, field.of("salt"), field.of_table("t")):
        assert repr(secret)[2:-1] not in f"{MASTER} {MASTER!r} {keys} {keys!r} {field} {field!r}"
