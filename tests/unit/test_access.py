"""Connection files for libraries other than librdkafka: all of them that is carried over, and what is refused."""

from __future__ import annotations

import os
import pty
import signal
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sluice.errors import SluiceError
from sluice.kafka.access import Access, Login, access
from sluice.kafka.quotas import options

CANARY = "c4n4ry-s3cr3t"
SCRAM = {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "returns", "sasl.password": CANARY}


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a user's certificate, and its key: open, and under a password."""
    folder = tmp_path_factory.mktemp("pem")
    made = [str(folder / name) for name in ("broker", "clients", "partners")]
    names = ["--broker-name", "kafka", "--partner", "returns"]
    subprocess.run([sys.executable, "deploy/compose/credentials.py", *made, *names], check=True)
    both = (folder / "partners/returns.pem").read_bytes()
    key = serialization.load_pem_private_key(both, None)
    lock = serialization.BestAvailableEncryption(CANARY.encode())
    closed = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
    certificate = x509.load_pem_x509_certificate(both).public_bytes(serialization.Encoding.PEM)
    (folder / "both.pem").write_bytes(both)
    (folder / "certificate.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(closed)
    (folder / "ca.pem").write_bytes((folder / "partners/ca.pem").read_bytes())
    return folder


def asked(**client: str) -> Access:
    return access({"bootstrap.servers": "a:1, b:2", **client}, "returns", "Returns are read")


def refusal(**client: str) -> str:
    with pytest.raises(SluiceError) as raised:
        asked(**client)
    assert CANARY not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("mechanism", ["sasl.mechanism", "sasl.mechanisms"])
def test_a_password_under_either_name_of_its_mechanism(mechanism: str) -> None:
    client = {mechanism: "SCRAM-SHA-256", "sasl.username": "returns", "sasl.password": CANARY}
    way = asked(**client, **{"security.protocol": "SASL_PLAINTEXT"})
    assert way == Access(("a:1", "b:2"), Login("returns", CANARY, "SCRAM-SHA-256"), None)
    assert way.protocol == "SASL_PLAINTEXT"
    assert CANARY not in repr(way)


def test_without_words_on_it_nothing_is_proved_and_nothing_encrypted() -> None:
    assert asked() == Access(("a:1", "b:2"), None, None)
    assert asked().protocol == "PLAINTEXT"


def test_a_certificate_with_its_key_in_one_file_or_two(pem: Path) -> None:
    one = {"ssl.certificate.location": f"{pem}/both.pem", "ssl.key.location": f"{pem}/both.pem"}
    two = {"ssl.certificate.location": f"{pem}/certificate.pem", "ssl.key.location": f"{pem}/key.pem"}
    for files in (one, {**two, "ssl.key.password": CANARY}):
        way = asked(**files, **{"security.protocol": "ssl", "ssl.ca.location": f"{pem}/ca.pem"})
        assert (way.protocol, way.login) == ("SSL", None)
        assert way.tls is not None
        assert (way.tls.verify_mode, way.tls.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert len(way.tls.get_ca_certs()) == 1


def test_a_password_and_a_certificate_together(pem: Path) -> None:
    way = asked(**SCRAM, **{"security.protocol": "SASL_SSL", "ssl.certificate.location": f"{pem}/both.pem"})
    assert way.protocol == "SASL_SSL"
    assert way.login == Login("returns", CANARY, "SCRAM-SHA-512")


def test_the_brokers_name_is_not_looked_at_where_nobody_wants_it(pem: Path) -> None:
    client = {"security.protocol": "SSL", "ssl.ca.location": f"{pem}/ca.pem"}
    lenient = asked(**client, **{"ssl.endpoint.identification.algorithm": "none"}).tls
    assert lenient is not None
    assert (lenient.verify_mode, lenient.check_hostname) == (ssl.CERT_REQUIRED, False)


def test_revoked_certificates_are_looked_up(pem: Path) -> None:
    way = asked(**{"security.protocol": "SSL", "ssl.ca.location": f"{pem}/ca.pem", "ssl.crl.location": f"{pem}/ca.pem"})
    assert way.tls is not None
    assert way.tls.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("ssl.keystore.location", "/none"),
        ("ssl.key.pem", CANARY),
        ("ssl.ca.pem", "x"),
        ("enable.ssl.certificate.verification", "false"),
        ("sasl.oauthbearer.client.secret", CANARY),
        ("sasl.kerberos.keytab", "/none"),
    ],
)
def test_what_another_library_cannot_do_is_named(setting: str, value: str) -> None:
    said = refusal(**{"security.protocol": "SSL", setting: value})
    assert said.startswith(
        f"Returns are read by another library, which does not know `{setting}` in returns.properties: name files in PEM"
    )


@pytest.mark.parametrize(
    ("client", "sentence"),
    [
        ({"sasl.mechanism": "GSSAPI"}, "which does not know `sasl.mechanism=GSSAPI` in returns.properties"),
        ({"sasl.mechanisms": "OAUTHBEARER"}, "which does not know `sasl.mechanisms=OAUTHBEARER` in"),
        ({}, "which does not know `sasl.mechanism=GSSAPI` in"),
        ({"sasl.mechanism": "PLAIN"}, "returns.properties names no `sasl.username`, and `security.protocol` asks for"),
        ({"sasl.mechanism": "PLAIN", "sasl.username": "u"}, "returns.properties names no `sasl.password`"),
    ],
)
def test_a_login_that_cannot_be_is_a_sentence(client: dict[str, str], sentence: str) -> None:
    assert sentence in refusal(**client, **{"security.protocol": "SASL_SSL"})


def test_files_that_cannot_be_used_are_named_by_their_setting(pem: Path) -> None:
    encrypted, ca = {"security.protocol": "SSL"}, {"ssl.ca.location": f"{pem}/ca.pem"}
    closed = {"ssl.certificate.location": f"{pem}/certificate.pem", "ssl.key.location": f"{pem}/key.pem"}
    for client, sentence in (
        (
            {"ssl.ca.location": "/none"},
            "`ssl.ca.location` in returns.properties cannot be used: No such file or directory",
        ),
        ({**ca, "ssl.crl.location": "/none"}, "`ssl.crl.location` in returns.properties cannot be used: No such file"),
        (
            {**ca, "ssl.certificate.location": f"{pem}/ca.pem"},
            "`ssl.certificate.location` in returns.properties, with `ssl",
        ),
        ({**ca, **closed, "ssl.key.password": "wrong"}, "with `ssl.key.location`, cannot be used: "),
    ):
        said = refusal(**client, **encrypted)
        assert sentence in said
        assert "None" not in said


def test_nobody_is_asked_for_the_password_of_a_key(pem: Path) -> None:
    """OpenSSL would ask at the terminal, and a process would wait for ever."""
    child, terminal = pty.fork()
    if child == 0:
        client = {"ssl.certificate.location": f"{pem}/certificate.pem", "ssl.key.location": f"{pem}/key.pem"}
        with suppress(SluiceError):
            asked(**client, **{"security.protocol": "SSL"})
        os._exit(0)
    asked_for = b""
    with suppress(OSError):  # so Linux says that nobody is there any more
        asked_for = os.read(terminal, 100)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(terminal)
    assert asked_for == b""


def test_quotas_are_asked_for_in_the_words_of_their_library(pem: Path) -> None:
    way = {"bootstrap.servers": "a:1", "security.protocol": "SASL_SSL", "ssl.ca.location": f"{pem}/ca.pem"}
    known = options({**way, **SCRAM})
    assert isinstance(known.pop("ssl_context"), ssl.SSLContext)
    assert known == {
        "bootstrap_servers": ["a:1"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "returns",
        "sasl_plain_password": CANARY,
    }
