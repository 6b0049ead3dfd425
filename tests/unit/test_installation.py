"""Setting up an installation: what comes before the broker is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.document import DocumentError
from sluice.installation import apply
from sluice.settings import load_settings

CONTRACT = """\
partner: hoshi-card
name: Hoshi Card
recipient: corporate_partner
purpose: marketing.communications.email
country: JP
valid: {from: 2026-01-01}
fields: {given_name: {token: members}}
"""


def test_the_master_key_is_there_before_contracts_ask_for_what_is_made_with_it(tmp_path: Path) -> None:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "hoshi.yaml").write_text(CONTRACT)
    file = tmp_path / "sluice.yaml"
    file.write_text("clients: clients\ncontracts: contracts\nmaster_key: master.key\nsharing: {state: state}\n")
    with pytest.raises(DocumentError, match="make one with `sluice tokens issue`"):
        apply(load_settings(file), print)
    assert (tmp_path / "master.key").exists(), "or nobody could make the table"
