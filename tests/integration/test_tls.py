"""The compose file's broker: encrypted, with passwords or certificates, and the same rights for both."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sluice import topics
from sluice.installation import apply
from sluice.kafka import quotas
from sluice.kafka.admin import answers
from sluice.kafka.clients import KafkaTrouble, KafkaUnavailable, admin_client
from sluice.kafka.tailing import Tail
from sluice.local.stack import Endpoints
from sluice.log import Record
from sluice.model import PartnerId
from sluice.settings import Settings, load_settings
from tests.integration import compose_broker
from tests.integration.commands import run
from tests.integration.compose_broker import ComposeBroker

pytestmark = pytest.mark.broker

ADRESSO, HOSHI = PartnerId("adresso"), PartnerId("hoshi-card")
_DENIED = r"authorization failed|denied"
_ALERT = r"alert|closed|reset"
"""What a client sees of a refused handshake."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeBroker]:
    with compose_broker.started(tmp_path_factory.mktemp("compose"), HOSHI, "nobody") as broker:
        yield broker


@pytest.fixture(scope="module")
def settings(broker: ComposeBroker, endpoints: Endpoints) -> Settings:
    """Provisioned over TLS, by the administrator that the job `storage` made."""
    broker.point_at_registry(endpoints.registry_url)
    found = load_settings(broker.folder / "sluice.yaml")
    apply(found, lambda _: None)
    return found


def read(client: dict[str, str], topic: str, group: str) -> list[Record]:
    with Tail(client, (topic,), group, from_beginning=True) as source:
        return list(source.to_the_end())


def test_a_user_with_a_password_reads_what_is_its_own_and_nothing_else(settings: Settings) -> None:
    client = settings.client(ADRESSO)
    assert client["security.protocol"] == "SASL_SSL"
    assert read(client, topics.customers(ADRESSO), topics.partner_group(ADRESSO, "test")) == []
    with pytest.raises(KafkaTrouble, match=_DENIED):
        read(client, topics.customers(HOSHI), topics.partner_group(ADRESSO, "test"))


def test_a_certificate_has_the_rights_of_the_user_that_it_names(broker: ComposeBroker, settings: Settings) -> None:
    client = broker.with_certificate(HOSHI)
    assert not any(name.startswith("sasl") for name in client)
    assert read(client, topics.customers(HOSHI), topics.partner_group(HOSHI, "test")) == []
    with pytest.raises(KafkaTrouble, match=_DENIED):
        read(client, topics.customers(ADRESSO), topics.partner_group(HOSHI, "test"))
    assert not (settings.clients / f"{HOSHI}.properties").exists(), "and nobody gave it a password"


def test_what_is_shared_over_tls_reaches_a_partner_with_a_certificate(
    broker: ComposeBroker, settings: Settings
) -> None:
    """CRM, processor and both kinds of partner on the one broker; the partners differ in how they log in alone."""
    sluice(broker, "simulate-crm", "--rate", "100", "--duration", "2")
    done = json.loads(sluice(broker, "run", "sharing", "--until-end"))
    assert done["held_up"] == {}
    shown = sluice(broker, "tail", HOSHI, "--from-beginning", "--until-end", "--json", settings="partner.yaml")
    assert topics.customers(HOSHI) in {json.loads(line)["topic"] for line in shown.splitlines()}
    assert len(read(settings.client(ADRESSO), topics.customers(ADRESSO), "partner.adresso.test")) > 0


@pytest.mark.parametrize("partner", [ADRESSO, HOSHI])
def test_a_kit_brings_what_its_consumer_needs_for_tls(
    broker: ComposeBroker, settings: Settings, tmp_path: Path, partner: PartnerId
) -> None:
    """With a password, and with a certificate. Of the folders that its connection file was made in it has none."""
    sluice(broker, "simulate-crm", "--rate", "100", "--duration", "1")
    sluice(broker, "run", "sharing", "--until-end")
    folder, clients = tmp_path / "kit", tmp_path / "clients"
    shutil.copytree(broker.clients, clients)
    shutil.copy(broker.folder / f"partners/{HOSHI}.properties", clients)  # as whoever made its certificate has it
    text = (broker.folder / "sluice.yaml").read_text(encoding="utf-8").replace(str(broker.clients), str(clients))
    (tmp_path / "sluice.yaml").write_text(text, encoding="utf-8")
    sluice(broker, "partner-kit", partner, "--out", str(folder), settings=str(tmp_path / "sluice.yaml"))
    handed_over = (folder / f"{partner}.properties").read_text(encoding="utf-8")
    assert "ssl.ca.location=ca.pem\n" in handed_over
    assert str(broker.folder) not in handed_over
    command = [sys.executable, "consumer.py", f"{partner}.properties", "--once"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with closing(sqlite3.connect(folder / "customers.db")) as db:
        held = {name for (name,) in db.execute("SELECT pseudonym FROM customers")}
    client = settings.client(ADRESSO) if partner == ADRESSO else broker.with_certificate(HOSHI)
    records = read(client, topics.customers(partner), topics.partner_group(partner, "k"))
    delivered = {record.key: record.value for record in records}
    assert held == {key.decode() for key, value in delivered.items() if key and value is not None}
    assert held, "somebody is shared with it, and was read"


def test_quotas_are_set_over_tls(broker: ComposeBroker, settings: Settings) -> None:
    """By another library than everything else, which brings its own TLS; with a password, and with a certificate."""
    admin = settings.client("admin")
    quotas.set_rates(admin, {HOSHI: 1_000_000})
    assert quotas.read_rates(admin)[HOSHI] == 1_000_000
    quotas.set_rates(admin, {HOSHI: None})
    assert HOSHI not in quotas.read_rates(admin)
    with pytest.raises(KafkaTrouble, match="lacks the right"):
        quotas.read_rates(broker.with_certificate(HOSHI))


@pytest.mark.usefixtures("settings")
def test_kafkas_own_tools_log_in_as_the_node(broker: ComposeBroker) -> None:
    """Who may see everything; the one that docs/alerts.md names is in no artefact of ours, so another one is run."""
    which = ("--entity-type", "topics", "--entity-name", topics.CONSENT_EVENTS)
    said = compose_broker.kafkas_own_tool(broker, "kafka.admin.ConfigCommand", "--describe", *which)
    assert "message.timestamp.type=LogAppendTime" in said


@pytest.mark.parametrize("listener", ["passwords", "certificates"])
def test_a_client_that_does_not_encrypt_is_refused(broker: ComposeBroker, settings: Settings, listener: str) -> None:
    address = {"bootstrap.servers": getattr(broker, listener)}
    for protocol in ("PLAINTEXT", "SASL_PLAINTEXT"):
        client = settings.client(ADRESSO) | address | {"security.protocol": protocol}
        assert not answers(admin_client(client), 2.0)
    encrypted = settings.client(ADRESSO) | {"bootstrap.servers": broker.passwords}
    assert answers(admin_client(encrypted), 5.0), "the same but for the encryption"


def test_no_certificate_or_one_of_another_authority_is_refused(broker: ComposeBroker, tmp_path: Path) -> None:
    compose_broker.make_credentials(tmp_path, HOSHI)
    own = broker.with_certificate(HOSHI)
    files = ("ssl.certificate.location", "ssl.key.location")
    strangers = own | dict.fromkeys(files, f"{tmp_path}/partners/{HOSHI}.pem")
    none = {name: value for name, value in own.items() if name not in files}
    assert answers(admin_client(own), 5.0)
    assert not answers(admin_client(strangers), 2.0)
    assert not answers(admin_client(none), 2.0)
    with pytest.raises(OSError, match=_ALERT):
        handshake(broker.certificates, broker.clients / "ca.pem", None)
    assert handshake(broker.certificates, broker.clients / "ca.pem", broker.folder / f"partners/{HOSHI}.pem")


@pytest.mark.usefixtures("settings")
def test_a_certificate_for_nobody_opens_nothing(broker: ComposeBroker) -> None:
    """Of our authority, and for a name that no contract has."""
    client = broker.with_certificate("nobody")
    for topic in (topics.customers(HOSHI), topics.CUSTOMER_UPDATES, topics.DISCLOSURES):
        with pytest.raises(KafkaTrouble, match=_DENIED):
            read(client, topic, "partner.nobody.test")


def test_a_broker_that_the_authority_does_not_know_is_refused(settings: Settings, tmp_path: Path) -> None:
    """A client gives its password to nobody else, and waits: the right certificate may be on its way."""
    compose_broker.make_credentials(tmp_path)
    client = settings.client(ADRESSO) | {"ssl.ca.location": f"{tmp_path}/clients/ca.pem"}
    with pytest.raises(KafkaUnavailable):
        read(client, topics.customers(ADRESSO), topics.partner_group(ADRESSO, "test"))


def test_new_certificates_leave_the_administrators_password(tmp_path: Path) -> None:
    compose_broker.make_credentials(tmp_path, HOSHI)
    before = everything(tmp_path)
    compose_broker.make_credentials(tmp_path, HOSHI)
    assert everything(tmp_path) == before, "what is there stays"
    (tmp_path / "certificates/ca.pem").unlink()
    compose_broker.make_credentials(tmp_path, HOSHI)
    after = everything(tmp_path)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {
        f"{folder}/{name}"
        for folder, names in {
            "certificates": ("ca.pem", "node.pem"),
            "clients": ("ca.pem",),
            "partners": ("ca.pem", f"{HOSHI}.pem"),
        }.items()
        for name in names
    }


def sluice(broker: ComposeBroker, *arguments: str, settings: str = "sluice.yaml") -> str:
    """What one of our commands prints."""
    done = run([*arguments, "--settings", str(broker.folder / settings)])
    assert done.returncode == 0, done.stderr
    return done.stdout


def handshake(address: str, authority: Path, certificate: Path | None) -> bool:
    """Whether the broker keeps talking to a client that came with this certificate, or with none."""
    host, port = address.split(":")
    context = ssl.create_default_context(cafile=str(authority))
    if certificate:
        context.load_cert_chain(certificate)
    with (
        socket.create_connection((host, int(port)), timeout=3) as plain,
        context.wrap_socket(plain, server_hostname=host) as encrypted,
    ):
        encrypted.settimeout(1)
        try:
            return encrypted.recv(1) != b""  # in TLS 1.3 the broker's refusal comes after the client's last word
        except TimeoutError:
            return True


def everything(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text(encoding="ascii") for path in files}
