"""Certificates, the administrator's password and the page's token, for trying the compose file out. Not for production.

    python credentials.py BROKER CLIENTS PARTNERS --broker-name kafka --partner hoshi-card

BROKER gets what the broker reads, CLIENTS the connection files that Sluice reads, PARTNERS a certificate and a
connection file for each partner that is named. The authority's key is thrown away: nobody can issue another
certificate, and after 30 days all have to be made anew. What is there stays, until BROKER/ca.pem is deleted; the
password stays then too.
"""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = timedelta(days=30)
_NODE = "node"
"""The broker's own name, a super user (kafka/server.properties)."""
_REGISTRY = "http://registry:8080/apis/ccompat/v7"
_PRIVATE, _FOR_ITS_GROUP = 0o600, 0o640
"""Sluice refuses connection files that others can read; the broker's container is a member of the group."""
_LOCAL_NAMES = (x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1")))


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs while this program runs."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls) -> Authority:
        key, name = _new_key(), _name("Sluice trial authority")
        extensions = (
            x509.BasicConstraints(ca=True, path_length=0),
            _usage(sign_certificates=True),
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        )
        return cls(key, _builder(name, name, key, extensions).sign(key, hashes.SHA256()))

    def issue(self, common_name: str, uses: Sequence[x509.ObjectIdentifier], names: Sequence[x509.GeneralName]) -> str:
        """PEM of a new key and its certificate, as broker and client read them from one file."""
        key = _new_key()
        extensions = [
            x509.BasicConstraints(ca=False, path_length=None),
            _usage(sign_certificates=False),
            x509.ExtendedKeyUsage(uses),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
            *([x509.SubjectAlternativeName(names)] if names else []),
        ]
        certificate = _builder(_name(common_name), self.certificate.subject, key, extensions).sign(
            self.key, hashes.SHA256()
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return private.decode("ascii") + _pem(certificate)


def make(
    broker: Path, clients: Path, partners: Path, broker_names: Sequence[str], partner_names: Sequence[str]
) -> None:
    """Everything of which nothing is there yet; the broker's folder last, for it says that all is there."""
    _kept(clients / "page.token")
    if (broker / "ca.pem").exists():
        return
    authority = Authority.new()
    ca = _pem(authority.certificate)
    for folder in (clients, partners):
        _write(folder / "ca.pem", ca)
        _write_properties(folder / "registry.properties", {"url": _REGISTRY})
    password = _kept(clients / "admin.password")
    _write_properties(clients / "admin.properties", _administrator(broker_names[0], clients, password))
    for name in partner_names:
        _write(partners / f"{name}.pem", authority.issue(name, [ExtendedKeyUsageOID.CLIENT_AUTH], []))
        _write_properties(partners / f"{name}.properties", _partner(partners, name))
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    names = [*_LOCAL_NAMES, *map(x509.DNSName, broker_names)]
    _write(broker / "admin.password", password, _FOR_ITS_GROUP)
    _write(broker / "node.pem", authority.issue(_NODE, uses, names), _FOR_ITS_GROUP)
    _write(broker / "ca.pem", ca, _FOR_ITS_GROUP)


def _kept(path: Path) -> str:
    """A secret that new certificates leave as it is: the broker's storage was made with the administrator's."""
    if not path.exists():
        _write(path, secrets.token_urlsafe(24))
    return path.read_text(encoding="ascii")


def _administrator(host: str, clients: Path, password: str) -> Mapping[str, str]:
    return {
        "bootstrap.servers": f"{host}:9092",
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": str(clients / "ca.pem"),
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "admin",
        "sasl.password": password,
    }


def _partner(folder: Path, name: str) -> Mapping[str, str]:
    return {
        "bootstrap.servers": "localhost:9094",
        "security.protocol": "SSL",
        "ssl.ca.location": str(folder / "ca.pem"),
        "ssl.certificate.location": str(folder / f"{name}.pem"),
        "ssl.key.location": str(folder / f"{name}.pem"),
    }


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    extensions: Sequence[x509.ExtensionType],
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _LIFETIME)
    )
    for extension in extensions:
        critical = isinstance(extension, x509.BasicConstraints | x509.KeyUsage)
        builder = builder.add_extension(extension, critical=critical)
    return builder


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _write_properties(path: Path, values: Mapping[str, str]) -> None:
    _write(path, "".join(f"{key}={value}\n" for key, value in values.items()))


def _write(path: Path, text: str, mode: int = _PRIVATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for folder in ("broker", "clients", "partners"):
        parser.add_argument(folder, type=Path)
    parser.add_argument("--broker-name", action="append", required=True, help="host name that clients call it by")
    parser.add_argument("--partner", action="append", default=[], help="a partner who gets a certificate")
    asked = parser.parse_args()
    make(asked.broker, asked.clients, asked.partners, asked.broker_name, asked.partner)


if __name__ == "__main__":
    main()
