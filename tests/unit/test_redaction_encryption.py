"""What can be turned back, and by whom: published vectors, and what opens and what does not."""

from __future__ import annotations

import base64
import string
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.padding import PKCS7
from ffx import FF1
from hypothesis import given
from hypothesis import strategies as st

from sluice.keys import NoKey, combined, joined
from sluice.redaction import Customer, Untransformable, parse_rule
from sluice.redaction.encryption import AesGcm, AesSiv, FormatPreserving
from sluice.redaction.sealing import NotOpened, Place, open_gcm, open_siv, seal_gcm, seal_siv
from tests.unit.transforming import HANAKO, TARO, KeysInMemory, customer, result, target

BASE36 = string.digits + string.ascii_lowercase
AES_128 = "2b7e151628aed2a6abf7158809cf4f3c"
AES_192 = AES_128 + "ef4359d8d580aa4f"
AES_256 = AES_192 + "7f036d6f04fc6a94"
A2_SEALED = (
    "7bdb6e3b432667eb06f4d14bff2fbd0fcb900f2fddbe404326601965c889bf17"
    "dba77ceb094fa663b7a3f748ba8af829ea64ad544a272e9c485b62a3fd5c0d"
)
TWEAK_10, TWEAK_36 = "39383736353433323130", "3737373770717273373737"

SIV, GCM = parse_rule("aes_siv"), parse_rule("aes_gcm")
assert isinstance(SIV, AesSiv)
assert isinstance(GCM, AesGcm)


# --- what the libraries compute is what the standards say


@pytest.mark.parametrize(
    ("key", "alphabet", "tweak", "plain", "cipher"),
    [
        (AES_128, string.digits, "", "0123456789", "2433477484"),
        (AES_128, string.digits, TWEAK_10, "0123456789", "6124200773"),
        (AES_128, BASE36, TWEAK_36, "0123456789abcdefghi", "a9tv40mll9kdu509eum"),
        (AES_192, string.digits, "", "0123456789", "2830668132"),
        (AES_192, string.digits, TWEAK_10, "0123456789", "2496655549"),
        (AES_192, BASE36, TWEAK_36, "0123456789abcdefghi", "xbj3kv35jrawxv32ysr"),
        (AES_256, string.digits, "", "0123456789", "6657667009"),
        (AES_256, string.digits, TWEAK_10, "0123456789", "1001623463"),
        (AES_256, BASE36, TWEAK_36, "0123456789abcdefghi", "xs8a0azh2avyalyzuwd"),
    ],
)
def test_ff1_gives_nists_samples(key: str, alphabet: str, tweak: str, plain: str, cipher: str) -> None:
    """NIST, examples with intermediate values for SP 800-38G, FF1 samples 1 to 9."""
    ff1 = FF1(bytes.fromhex(key), alphabet=alphabet)
    assert ff1.encrypt(plain, tweak=bytes.fromhex(tweak)) == cipher
    assert ff1.decrypt(cipher, tweak=bytes.fromhex(tweak)) == plain


@pytest.mark.parametrize(
    ("key", "associated", "plain", "sealed"),
    [
        (  # A.1
            "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
            ["101112131415161718191a1b1c1d1e1f2021222324252627"],
            "112233445566778899aabbccddee",
            "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c",
        ),
        (  # A.2
            "7f7e7d7c7b7a79787776757473727170404142434445464748494a4b4c4d4e4f",
            [
                "00112233445566778899aabbccddeeffdeaddadadeaddadaffeeddccbbaa99887766554433221100",
                "102030405060708090a0",
                "09f911029d74e35bd84156c5635688c0",
            ],
            "7468697320697320736f6d6520706c61696e7465787420746f20656e6372797074207573696e67205349562d414553",
            A2_SEALED,
        ),
    ],
    ids=["RFC 5297, A.1", "RFC 5297, A.2"],
)
def test_siv_gives_the_standards_examples(key: str, associated: list[str], plain: str, sealed: str) -> None:
    made = AESSIV(bytes.fromhex(key)).encrypt(bytes.fromhex(plain), [bytes.fromhex(part) for part in associated])
    assert made.hex() == sealed


def test_gcm_gives_nists_example() -> None:
    """NIST CAVP, gcmEncryptExtIV256: PTlen 128, AADlen 160, count 0."""
    gcm = AESGCM(bytes.fromhex("83688deb4af8007f9b713b47cfa6c73e35ea7a3aa4ecdb414dded03bf7a0fd3a"))
    nonce, plain = bytes.fromhex("0b459724904e010a46901cf3"), bytes.fromhex("33d893a2114ce06fc15d55e454cf90c3")
    sealed = gcm.encrypt(nonce, plain, bytes.fromhex("794a14ccd178c8ebfd1379dc704c5e208f9d8424"))
    assert sealed.hex() == "cc66bee423e3fcd4c0865715e95866960fb291bd3dba94a1dfd8b286cfb97ac5"


# --- FF1


def test_ff1_is_keyed_and_tweaked_by_partner_and_field() -> None:
    field = target("loyalty.number")
    ff1 = FF1(field.keys.of("fpe_ff1"), alphabet=string.digits)
    expected = ff1.encrypt("0123456789", tweak=b"hoshi-card|loyalty.number")
    assert result("fpe_ff1", "0123456789", field) == expected


@pytest.mark.parametrize(
    ("alphabet", "value"),
    [
        ("digits", "12345"),
        ("digits", ""),
        ("digits", "1234-5678"),
        ("digits", "\uff11\uff12\uff13\uff14\uff15\uff16\uff17"),
        ("digits", "9" * 129),
        ("digits", 1_234_567),
        ("alnum", "abc"),
        ("alnum", "ABCDEFG"),
        ("alnum", "abc def"),
    ],
)
def test_what_ff1_has_no_answer_for(alphabet: str, value: object) -> None:
    assert result({"fpe_ff1": alphabet}, value) is None


@given(st.text(string.digits, min_size=6, max_size=128))
def test_ff1_keeps_the_form_and_can_be_turned_back(number: str) -> None:
    rule = parse_rule("fpe_ff1")
    assert isinstance(rule, FormatPreserving)
    made = result(rule, number)
    assert len(made) == len(number)
    assert set(made) <= set(string.digits)
    assert rule.open(made, target()) == number


def test_what_ff1_cannot_have_given_is_not_turned_back() -> None:
    rule = parse_rule("fpe_ff1")
    assert isinstance(rule, FormatPreserving)
    with pytest.raises(NotOpened) as raised:
        rule.open("canary", target())
    assert "canary" not in str(raised.value)


# --- sealing


def test_how_siv_and_gcm_are_composed() -> None:
    """A second time with the library alone, so that somebody else can open what we seal."""
    field, whose = target("email"), customer(record_key="record")
    associated = joined("hoshi-card", "email", "record")
    padder = PKCS7(64 * 8).padder()
    padded = padder.update(b"hanako@example.com") + padder.finalize()
    siv = AESSIV(combined(field.keys.of("aes_siv"), whose.key(), "aes_siv", 64))
    assert _bytes(result(SIV, "hanako@example.com", field, whose)) == siv.encrypt(padded, [associated])
    sealed = _bytes(result(GCM, "hanako@example.com", field, whose))
    gcm = AESGCM(combined(field.keys.of("aes_gcm"), whose.key(), "aes_gcm", 64)[:32])
    assert gcm.decrypt(sealed[:12], sealed[12:], associated) == padded


@pytest.mark.parametrize("rule", [SIV, GCM], ids=["siv", "gcm"])
@given(value=st.text(max_size=200), pad_to=st.integers(16, 255))
def test_who_has_the_keys_opens_what_was_sealed(rule: AesSiv | AesGcm, value: str, pad_to: int) -> None:
    padding = rule.model_copy(update={"pad_to": pad_to})
    sealed = result(padding, value)
    assert result(padding, padding.open(sealed, target(), customer())) == sealed
    assert padding.open(sealed, target(), customer()) == value or not value.isascii()


@pytest.mark.parametrize("rule", [SIV, GCM], ids=["siv", "gcm"])
def test_the_length_tells_little(rule: AesSiv | AesGcm) -> None:
    lengths = {len(result(rule, "a" * n)) for n in range(64)}
    assert len(lengths) == 1
    assert len(result(rule, "a" * 64)) > lengths.pop()


@pytest.mark.parametrize("rule", [SIV, GCM], ids=["siv", "gcm"])
def test_sealed_text_opens_nowhere_else(rule: AesSiv | AesGcm) -> None:
    field, whose = target("email"), customer()
    sealed = result(rule, "hanako@example.com", field, whose)
    elsewhere = [
        (target("phone"), whose),
        (target("email", partner="adresso"), whose),
        (target("email", epoch=2), whose),
        (field, customer(record_key="another record")),
        (field, customer(TARO, record_key=whose.record_key)),
    ]
    for other_field, other in elsewhere:
        with pytest.raises(NotOpened):
            rule.open(sealed, other_field, other)
    assert rule.open(sealed, field, whose) == "hanako@example.com"


@pytest.mark.parametrize(("seal", "opened"), [(seal_siv, open_siv), (seal_gcm, open_gcm)], ids=["siv", "gcm"])
@pytest.mark.parametrize(
    "other", [Place("p", "f", "s"), Place("p", "g", "r"), Place("q", "f", "r"), Place("pf", "", "r")]
)
def test_sealed_text_is_bound_to_its_place_even_under_the_same_keys(
    seal: Callable[..., str], opened: Callable[..., str], other: Place
) -> None:
    sealed = seal(bytes(32), bytes(32), Place("p", "f", "r"), "hanako", 64)
    with pytest.raises(NotOpened):
        opened(bytes(32), bytes(32), other, sealed, 64)


@pytest.mark.parametrize("rule", [SIV, GCM], ids=["siv", "gcm"])
@given(data=st.data())
def test_changed_text_does_not_open_and_says_so_in_our_words(rule: AesSiv | AesGcm, data: st.DataObject) -> None:
    sealed = result(rule, "hanako@example.com")
    position = data.draw(st.integers(0, len(sealed) - 1))
    changed = sealed[:position] + data.draw(st.sampled_from("aZ-_=+/ é")) + sealed[position + 1 :]
    if changed == sealed:
        return
    with pytest.raises(NotOpened):
        rule.open(changed, target(), customer())


@pytest.mark.parametrize("rule", [SIV, GCM], ids=["siv", "gcm"])
@given(junk=st.text())
def test_no_text_raises_anything_but_that_it_does_not_open(rule: AesSiv | AesGcm, junk: str) -> None:
    with pytest.raises(NotOpened) as raised:
        rule.open(junk, target(), customer())
    assert str(raised.value) == (
        "This sealed text does not open with these keys at this place: check partner, field and record."
    )


@given(st.lists(st.text(max_size=80), unique=True, max_size=20))
def test_no_nonce_is_used_twice(values: list[str]) -> None:
    """Each text of a customer's field has a nonce of its own, and always the same."""
    sealed = {result(GCM, value) for value in values}
    assert len({text[:16] for text in sealed}) == len(sealed)


def test_nonces_of_two_places_differ() -> None:
    sealed = [seal_gcm(bytes(32), bytes(32), Place("p", path, "r"), "hanako", 64) for path in "fg"]
    assert sealed[0][:16] != sealed[1][:16]


@pytest.mark.parametrize("rule", [SIV, GCM], ids=["siv", "gcm"])
def test_destroying_a_customers_key_makes_what_was_delivered_unreadable(rule: AesSiv | AesGcm) -> None:
    """Theirs alone, and nothing is sealed for them again."""
    keys = KeysInMemory()
    hanako, taro = customer(HANAKO, keys=keys), customer(TARO, keys=keys)
    delivered = {whose.id: result(rule, "secret", whose=whose) for whose in (hanako, taro)}
    keys.destroy(HANAKO)
    with pytest.raises(Untransformable, match="destroyed"):
        rule.open(delivered[HANAKO], target(), customer(HANAKO, keys=keys))
    with pytest.raises(NotOpened):  # nor with whatever else there is
        rule.open(delivered[HANAKO], target(), customer(TARO, record_key=hanako.record_key, keys=keys))
    assert result(rule, "secret", whose=customer(HANAKO, keys=keys)) is None
    assert rule.open(delivered[TARO], target(), taro) == "secret"


@pytest.mark.parametrize("rule", [SIV, GCM], ids=["siv", "gcm"])
@pytest.mark.parametrize("key", NoKey)
def test_without_a_key_nothing_is_sealed_and_it_is_said_why(rule: AesSiv | AesGcm, key: NoKey) -> None:
    whose = Customer(HANAKO, "record", key)
    with pytest.raises(Untransformable, match=f"^{key.value}$"):
        rule.apply("secret", target(), whose)
    assert result(rule, "secret", whose=whose) is None


def test_a_customers_key_is_never_shown() -> None:
    assert repr(bytes(32)) not in repr(Customer(HANAKO, "record", bytes(32)))


def _bytes(sealed: str) -> bytes:
    return base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
