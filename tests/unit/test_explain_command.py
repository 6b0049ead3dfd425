"""`sluice explain` and the customers' own keys: as they are now, and never made by asking."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from schemas import catalogue
from sluice.consent import ConsentRecord, parse_event
from sluice.customer_keys import SqliteCustomerKeys
from sluice.erasure import destroy_key
from sluice.errors import SluiceError
from sluice.model import CustomerId, Millis
from sluice.projection import Snapshot
from sluice.store import Row
from stream_processors.review import one_customer
from stream_processors.review.explain_command import explain_command
from stream_processors.review.subject import Subject
from tests.unit.installation import Installation
from tests.unit.transforming import MASTER

CUSTOMER = CustomerId("dell-crm:1")
NOW = Millis(1_780_000_000_000)
CONTRACT = """
partner: hoshi-card
name: Hoshi Card
recipient: corporate_partner
purpose: marketing.communications.email
country: JP
valid: {from: 2026-01-01}
evidence: [notice_names_recipient]
fields: {given_name: keep, email: aes_siv}
"""
RECORD = {"given_name": "Hanako", "email": "hanako@example.com", "residence": "AU"}


@dataclass(frozen=True)
class Desk:
    """Settings, a contract and a schema in a folder, with topics in which one customer stands."""

    folder: Path

    @property
    def keys(self) -> Path:
        return self.folder / "keys" / "customers.sqlite"

    def explain(self, *words: str) -> dict[str, Any]:
        """What is told of the address."""
        place = ["--settings", str(self.folder / "sluice.yaml"), "--schema", str(self.folder / "schema.avsc")]
        done = CliRunner().invoke(explain_command, [CUSTOMER, "--json", "--values", *place, *words])
        if isinstance(done.exception, SluiceError):
            raise done.exception
        assert done.exit_code == 0, done.output
        told = json.loads(done.stdout)
        assert told["outcome"] == "shared"
        return next(field for field in told["fields"] if field["field"] == "email")

    def destroy(self) -> None:
        done = CliRunner().invoke(destroy_key, [CUSTOMER, "--yes", "--settings", str(self.folder / "sluice.yaml")])
        assert done.exit_code == 0, done.output


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    (tmp_path / "master.key").touch(0o600)
    (tmp_path / "master.key").write_text(MASTER.secret.hex())
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "hoshi-card.yaml").write_text(CONTRACT)
    (tmp_path / "schema.avsc").write_text(catalogue.text("customer_profile"))
    (tmp_path / "sluice.yaml").write_text(
        "clients: clients\ncontracts: contracts\nmaster_key: master.key\nsharing: {state: state}\n"
        "customer_keys: keys/customers.sqlite\n"
    )
    installation = Installation()
    yes = parse_event(installation.decode(installation.answer(CUSTOMER, "hoshi-card", 0)), CUSTOMER, NOW)
    subject = Subject(0, CUSTOMER, Row(consents=ConsentRecord().with_event(yes)), Snapshot(RECORD))
    monkeypatch.setattr(one_customer, "in_topics", lambda *_: (subject, []))
    return Desk(tmp_path)


def test_before_the_first_sharing_no_key_is_made_and_no_value_invented(desk: Desk) -> None:
    email = desk.explain()
    assert email["outcome"] == "shared"
    assert email["reason"] == "the customer's key is made when it is first shared"
    assert "given_value" not in email
    assert not desk.keys.parent.exists()


def test_with_a_key_the_value_is_the_same_each_time_and_goes_with_the_key(desk: Desk) -> None:
    with closing(SqliteCustomerKeys(desk.keys, MASTER)) as keys:
        keys.key_of(CUSTOMER)
    first, again = desk.explain(), desk.explain()
    assert first == again
    assert first["given_value"]
    desk.destroy()
    email = desk.explain()
    assert (email["outcome"], email["reason"]) == ("empty", "the customer's key was destroyed")
    assert "given_value" not in email


def test_keys_that_cannot_be_read_are_told_in_a_sentence(desk: Desk) -> None:
    desk.keys.parent.mkdir()
    desk.keys.touch(0o600)
    desk.keys.write_bytes(b"no database at all" * 100)
    with pytest.raises(SluiceError, match=r"^The customers' keys at .* cannot be used: .*\.$"):
        desk.explain()


def test_settings_without_keys_are_as_if_none_was_issued(desk: Desk) -> None:
    file = desk.folder / "sluice.yaml"
    file.write_text(file.read_text().split("customer_keys")[0])
    assert desk.explain()["reason"] == "the customer's key is made when it is first shared"
