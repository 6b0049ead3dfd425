"""Match keys, against the platforms' own examples."""

from __future__ import annotations

import hashlib

import pytest

from sluice.redaction import parse_rule
from sluice.redaction.match_key import EMAIL, FIRST_NAME, LAST_NAME, PHONE
from sluice.source_schema import Leaf
from tests.unit.transforming import result, target

CATEGORIES = [EMAIL, PHONE, FIRST_NAME, LAST_NAME]


def key(platform: str, category: str, value: str, **options: str) -> object:
    return result({"match_key": {"platform": platform, **options}}, value, target("a", category))


def sha256(normalised: str) -> str:
    return hashlib.sha256(normalised.encode()).hexdigest()


@pytest.mark.parametrize(
    ("platform", "category", "value", "published"),
    [
        # Google Ads API and Meta Conversions API, e-mail addresses
        ("google", EMAIL, " Jane.Doe@Gmail.com ", "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69"),
        ("meta", EMAIL, " Jane.Doe@Gmail.com ", "831f6494ad6be4fcb3a724c3d5fef22d3ceffa3c62ef3a7984e45a0ea177f982"),
        ("google", EMAIL, "person@example.com", "542d240129883c019e106e3b1b2d3f3cb3537c43c425364de8e951d5a3083345"),
        ("meta", EMAIL, "person@example.com", "542d240129883c019e106e3b1b2d3f3cb3537c43c425364de8e951d5a3083345"),
        ("snap", EMAIL, "person@example.com", "542d240129883c019e106e3b1b2d3f3cb3537c43c425364de8e951d5a3083345"),
        # Meta, "Customer information parameters"
        ("meta", EMAIL, "John_Smith@gmail.com", "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"),
        ("meta", FIRST_NAME, "Mary", "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"),
        ("meta", FIRST_NAME, "정", "8fa8cd9c440be61d0151429310034083132b35975c4bea67fdd74158eb51db14"),
        ("meta", LAST_NAME, "Valéry", "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c"),
        ("meta", LAST_NAME, "Vale\u0301ry", "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c"),
        # Google and Snap, phone numbers
        ("google", PHONE, "+44 844 412 4653", "11f9231a47ccfd680a60606f73702bc2c0fb065a7f55c482269e51d9f9e868ae"),
        ("meta", PHONE, "+44 844 412 4653", "dc008fda46e2e64002cf2f82a4906236282d431c4f75e5b60bfe79fc48546383"),
        ("snap", PHONE, "+44 844 412 4653", "dc008fda46e2e64002cf2f82a4906236282d431c4f75e5b60bfe79fc48546383"),
    ],
)
def test_a_platforms_own_example(platform: str, category: str, value: str, published: str) -> None:
    assert key(platform, category, value) == published


def test_a_number_without_a_country_is_of_the_contracts_region() -> None:
    """Meta's own example."""
    published = "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"
    assert key("meta", PHONE, "(650)555-1212", region="US") == published
    assert key("meta", PHONE, "+1 650 555 1212", region="JP") == published
    assert key("meta", PHONE, "(650)555-1212") is None


@pytest.mark.parametrize(
    ("platform", "category", "value", "normalised"),
    [
        ("google", EMAIL, "a.b.c@googlemail.com", "abc@googlemail.com"),
        ("google", EMAIL, "a.b+tag@gmail.com", "ab+tag@gmail.com"),
        ("google", EMAIL, "a.b@example.com", "a.b@example.com"),
        ("google", EMAIL, "a b@\texample.com", "ab@example.com"),
        ("google", FIRST_NAME, " Mary Ann ", "maryann"),
        ("google", FIRST_NAME, "D'Arcy", "d'arcy"),
        ("google", LAST_NAME, " O'Neil-Smith ", "oneilsmith"),
        ("google", LAST_NAME, "van Dyck", "van dyck"),
        ("meta", FIRST_NAME, " Mary-Ann. ", "maryann"),
        ("meta", LAST_NAME, "佐藤・花子", "佐藤花子"),
        ("google", PHONE, "tel:+81-3-1234-5678", "+81312345678"),
        ("meta", PHONE, "+81 (0)3 1234 5678", "81312345678"),
        ("meta", PHONE, "+39 06 1234 5678", "390612345678"),
    ],
)
def test_how_a_value_is_normalised(platform: str, category: str, value: str, normalised: str) -> None:
    assert key(platform, category, value) == sha256(normalised)


@pytest.mark.parametrize(
    ("category", "value"),
    [
        (EMAIL, ""),
        (EMAIL, "hanako"),
        (EMAIL, "@example.com"),
        (EMAIL, "a@b@c"),
        (EMAIL, "a" * 320 + "@example.com"),
        (PHONE, ""),
        (PHONE, "+"),
        (PHONE, "+81"),
        (PHONE, "+999 1234567"),
        (PHONE, "+44 1"),
        (PHONE, "+1 555 12"),
        (PHONE, "03-1234-5678"),
        (PHONE, "9" * 400),
        (FIRST_NAME, " - "),
        (LAST_NAME, "."),
        ("user.job_title", "Engineer"),
    ],
)
def test_what_has_no_match_key(category: str, value: str) -> None:
    assert key("meta", category, value) is None


@pytest.mark.parametrize(
    ("options", "category", "refusal"),
    [
        ("google", EMAIL, None),
        ("meta", LAST_NAME, None),
        ({"platform": "meta", "region": "JP"}, PHONE, None),
        ({"platform": "meta", "region": "JP"}, EMAIL, "takes `region` for phone numbers only"),
        ("google", "user.name", f"applies to {', '.join(CATEGORIES)} only; the field's data category is user.name"),
        ("meta", "user.contact.address.postal_code", None),
    ],
)
def test_which_fields_have_match_keys(options: object, category: str, refusal: str | None) -> None:
    found = parse_rule({"match_key": options}).refusal(Leaf("a", ("string",), category, ""))
    if category.endswith("postal_code"):
        assert found
    else:
        assert found == refusal


def test_a_match_key_is_of_text_only() -> None:
    assert parse_rule({"match_key": "meta"}).refusal(Leaf("a", ("long",), PHONE, "")) == "applies to strings only"
