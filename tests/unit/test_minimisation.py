"""Data minimisation: what a recipient may be given for a purpose, whatever customers agree to."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.consent import RecipientKind
from sluice.document import DocumentError, load
from sluice.law.minimisation import Minimisation, shipped_minimisation
from sluice.redaction import TRANSFORMS

RULES = shipped_minimisation()
PROCESSOR, PARTNER, SALE = RecipientKind.PROCESSOR, RecipientKind.PARTNER, RecipientKind.THIRD_PARTY_SALE
SISTER = RecipientKind.AFFILIATE_SAME_BRAND
EMAIL = "marketing.communications.email"


def refused(kind: RecipientKind, purpose: str, category: str, transform: str = "keep") -> bool:
    return "x" in RULES.refusals(kind, purpose, {"x": (category, transform)})


@pytest.mark.parametrize(
    ("kind", "purpose", "given", "withheld"),
    [
        (
            PROCESSOR,
            "operations.address_hygiene",
            ["user.contact.address.street", "user.contact.address", "user.name.last", "user.unique_id"],
            [
                "user.contact.email",
                "user.contact.phone_number",
                "user.demographic.date_of_birth",
                "user.contact",
                "user",
            ],
        ),
        (
            PROCESSOR,
            "operations.householding",
            ["user.name.last", "user.contact.address.postal_code", "user.unique_id.pseudonymous"],
            ["user.name.first", "user.name", "user.contact.email", "user.demographic.date_of_birth"],
        ),
        (
            PROCESSOR,
            "operations.demographic_append",
            ["user.name.first", "user.contact.address.postal_code"],
            ["user.contact.address.street", "user.contact.email", "user.demographic.gender"],
        ),
        (
            PROCESSOR,
            EMAIL,
            ["user.contact.email", "user.name.first", "user.demographic.profile", "user.demographic.language"],
            ["user.name.last", "user.contact.phone_number", "user.behavior.purchase_history"],
        ),
        (PROCESSOR, "operations.security", ["user.device.ip_address"], ["user.government_id", "user.biometric.voice"]),
        (PARTNER, EMAIL, ["user.name.last", "user.contact.email"], ["user.government_id.passport_number", "user"]),
        (SALE, "sales", ["user.contact.email"], ["user.authorization.password", "user.biometric"]),
        (SISTER, EMAIL, ["user.name.last", "user.government_id"], []),
    ],
)
def test_a_recipient_gets_what_its_task_needs(
    kind: RecipientKind, purpose: str, given: list[str], withheld: list[str]
) -> None:
    assert [category for category in given if refused(kind, purpose, category)] == []
    assert [category for category in withheld if not refused(kind, purpose, category)] == []


def test_some_categories_are_given_only_coarsely() -> None:
    birth = "user.demographic.date_of_birth"
    assert not refused(PROCESSOR, "operations.householding", birth, "birth_year")
    assert refused(PROCESSOR, "operations.householding", birth, "keep")
    assert not refused(PROCESSOR, "operations.demographic_append", "user.contact.email", "match_key")


def test_a_refusal_names_category_rule_and_citation() -> None:
    refusals = RULES.refusals(SALE, "sales", {"passport": ("user.government_id.passport_number", "keep")})
    assert refusals["passport"].startswith(
        "is `user.government_id.passport_number`, and user.government_id must not go to this recipient (GDPR 5(1)(c)"
    )
    assert refusals["passport"].endswith("; to be checked)")


def test_every_transform_that_a_rule_names_exists() -> None:
    named = {name for rule in RULES.rules for transforms in rule.coarse.values() for name in transforms}
    assert named
    assert named <= set(TRANSFORMS)


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("{recipient: [partner], cite: x, confidence: seen}", "a rule needs `only` or `never`"),
        ("{recipient: [], never: [user], cite: x, confidence: seen}", "`recipient`: list should have at least 1 item"),
        ("{recipient: [partner], never: [user], confidence: seen}", "the key `cite` is missing"),
        (
            "{recipient: [partner], never: [user.emial], cite: x, confidence: seen}",
            "there is no data category `user.emial`",
        ),
    ],
)
def test_a_rule_that_says_nothing_is_refused(tmp_path: Path, rule: str, problem: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(f"rules:\n  - {rule}\n", encoding="utf-8")
    with pytest.raises(DocumentError) as raised:
        load(path, Minimisation)
    assert problem in str(raised.value)
