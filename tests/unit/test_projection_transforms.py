"""Transforms inside a partner's records: what field and customer they are told of, and what the digest holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from schemas import catalogue
from sluice.avro import Reader, Record
from sluice.contract import CheckedContract, Contract, partner_schema
from sluice.keys import CustomerKey, NoKey, PartnerKeys, table_key
from sluice.model import PartnerId
from sluice.projection import Projector, Snapshot
from sluice.redaction import Customer, Target
from sluice.redaction.encryption import AesGcm, AesSiv
from sluice.source_schema import leaves
from sluice.token_table import issue, revoke, table_path
from tests.unit.transforming import HANAKO, MASTER

SOURCE = leaves(catalogue.text("customer_profile"))
KEYS = PartnerKeys.of(MASTER, PartnerId("hoshi-card"), 1)
RECORD_KEY = "k" * 22
OWN_KEY = bytes(range(32))
PROFILE: Record = {"customer_id": HANAKO, "email": "hanako@example.com", "phone": "+81 3 1234 5678", "note": "secret"}


def checked(fields: Mapping[str, Any], folder: Path | None = None) -> CheckedContract:
    written = {
        "partner": "hoshi-card",
        "name": "Hoshi",
        "recipient": "corporate_partner",
        "purpose": "marketing.communications.email",
        "country": "JP",
        "valid": {"from": date(2026, 1, 1)},
        "fields": dict(fields),
    }
    contract = Contract.model_validate(written, context={"folder": folder})
    return CheckedContract(contract, {path: SOURCE[path] for path in contract.shared_fields})


def projector(contract: CheckedContract) -> Projector:
    return Projector(contract, KEYS, 7, 1_000_000)


def delivered(contract: CheckedContract, key: CustomerKey = NoKey.NOT_ISSUED) -> Record | None:
    found = projector(contract).project(Snapshot(PROFILE), set(contract.leaves), Customer(HANAKO, RECORD_KEY, key))
    return Reader(partner_schema(contract)).read(found[5:]) if isinstance(found, bytes) else None


@pytest.mark.parametrize("name", ["aes_siv", "aes_gcm"])
def test_a_delivered_field_opens_with_what_its_record_says(name: str) -> None:
    contract = checked({"email": name})
    record = delivered(contract, OWN_KEY)
    assert record is not None
    rule = contract.contract.fields["email"]
    assert isinstance(rule, AesSiv | AesGcm)
    opened = rule.open(record["email"], Target(KEYS.field("email"), ""), Customer(HANAKO, RECORD_KEY, OWN_KEY))
    assert opened == "hanako@example.com"


@pytest.mark.parametrize("key", NoKey)
def test_a_field_of_a_customer_without_a_key_is_empty_or_the_record_is_not_there(key: NoKey) -> None:
    assert delivered(checked({"email": "aes_gcm", "note": "keep"}), key) == {"email": None, "note": "secret"}
    assert delivered(checked({"email": {"aes_gcm": {"required": True}}}), key) is None


@pytest.mark.parametrize(
    ("fields", "sealed"),
    [
        ({"email": "keep", "phone": "fpe_ff1"}, ()),
        ({"note": "aes_siv", "email": "keep", "phone": "aes_gcm"}, ("note", "phone")),
    ],
)
def test_a_projector_says_what_it_seals_with_customers_keys(fields: Mapping[str, Any], sealed: tuple[str, ...]) -> None:
    assert projector(checked(fields)).sealed == sealed


def test_a_match_key_is_of_what_the_source_says_a_field_holds() -> None:
    record = delivered(checked({"email": {"match_key": "meta"}, "phone": {"match_key": "meta"}}))
    assert record == {
        "email": hashlib.sha256(b"hanako@example.com").hexdigest(),
        "phone": hashlib.sha256(b"81312345678").hexdigest(),
    }


def test_the_digest_of_a_contract_changes_with_its_token_table_and_with_nothing_else_of_it(tmp_path: Path) -> None:
    path, key = table_path(tmp_path, "members"), table_key(MASTER, "members")

    def digest() -> str:
        return checked({"note": {"token": "members"}}, tmp_path).digest(MASTER)

    issue(path, key, ["secret"])
    first = digest()
    issue(path, key, ["secret"])
    assert digest() == first
    issue(path, key, ["another"])
    assert digest() != first
    revoke(path, key, ["another"])
    assert digest() == first


def test_a_token_is_delivered_for_the_value_that_it_was_issued_for(tmp_path: Path) -> None:
    issue(table_path(tmp_path, "members"), table_key(MASTER, "members"), ["secret"])
    record = delivered(checked({"note": {"token": "members"}}, tmp_path))
    assert record is not None
    assert record["note"] not in (None, "secret")
