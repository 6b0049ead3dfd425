"""By which name a broker knows a certificate for `CN=hoshi-card`: as its own rules read (KIP 371)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.connection_files import read_properties
from sluice.kafka.certificate_names import name, names
from sluice.kafka.clients import admin_client

OURS = read_properties(Path("deploy/compose/kafka/server.properties"))["ssl.principal.mapping.rules"]


@pytest.mark.parametrize(
    ("rules", "called"),
    [
        ([OURS], "hoshi-card"),
        (["DEFAULT"], "CN=hoshi-card"),
        ([r"RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/,DEFAULT"], "CN=hoshi-card"),
        ([r"RULE:^CN=(.*?),OU=Service.*$/$1/ , RULE:^CN=([^,]*).*$/$1/L,DEFAULT"], "hoshi-card"),
        ([r"RULE:^.*[Cc][Nn]=([a-zA-Z0-9.-]*).*$/$1/U"], "HOSHI-CARD"),
        ([r"RULE:CN=(\w+)-(\w+)/$2.$1@partners/"], "card.hoshi@partners"),
        ([r"RULE:CN=hoshi/cards/,DEFAULT"], "CN=hoshi-card"),  # it fits a part of it
        (["DEFAULT", OURS], "hoshi-card"),  # a listener's own beside everybody's
        (["RULE:^OU=.*$/$0/"], "hoshi-card"),  # nobody comes in with a certificate
        (["RULE:^CN=(?<name>.*)$/$1/"], "hoshi-card"),  # Java's, which we cannot read
        (["RULE:^CN=.*$/$3/"], "hoshi-card"),
        ([], "hoshi-card"),
    ],
)
def test_a_certificate_is_called_as_the_rules_say(rules: list[str], called: str) -> None:
    assert name("hoshi-card", rules) == called


def test_a_broker_is_asked_only_where_somebody_has_a_certificate() -> None:
    nobody = admin_client({"bootstrap.servers": "127.0.0.1:1"})
    assert names(nobody, []) == {}
