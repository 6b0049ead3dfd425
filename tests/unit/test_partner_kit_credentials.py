"""What lets a partner in, as it is handed over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sluice.connection_files import read_properties
from sluice.errors import SluiceError
from sluice.partner_kit import asyncapi, credentials
from sluice.partner_kit.folder import File
from sluice.partner_kit.substance import CERTIFICATE
from tests.unit.partner_kits import SUBSTANCES


def test_nothing_leads_back_to_the_folders_it_came_from(tmp_path: Path) -> None:
    """References are what they stand for, and files lie beside."""
    for name, text in {
        "secret.properties": "hoshi=pass=word\n",
        "ca.crt": "the authority",
        "own.key": "the key",
    }.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "hoshi.properties").write_text(
        "bootstrap.servers=kafka:9092\nsasl.password=${file:secret.properties:hoshi}\n"
        f"ssl.ca.location={tmp_path}/ca.crt\nssl.key.location={tmp_path}/own.key\n"
    )
    made = credentials.files(read_properties(tmp_path / "hoshi.properties"), "hoshi.properties")
    assert made == {
        "hoshi.properties": File(
            b"bootstrap.servers=kafka:9092\nsasl.password=pass=word\nssl.ca.location=ca.crt\nssl.key.location=key.key\n",
            0o600,
        ),
        "ca.crt": File(b"the authority", 0o600),
        "key.key": File(b"the key", 0o600),
    }


def test_what_is_written_out_over_several_lines_becomes_a_file() -> None:
    made = credentials.files({"ssl.certificate.pem": "-----BEGIN\nCERTIFICATE-----"}, "x.properties")
    assert made["x.properties"].content == b"ssl.certificate.location=certificate.pem\n"
    assert made["certificate.pem"].content == b"-----BEGIN\nCERTIFICATE-----\n"


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(SluiceError, match=r"`ssl.ca.location` leads to /nowhere/ca.pem, which cannot be read"):
        credentials.files({"ssl.ca.location": "/nowhere/ca.pem"}, "x.properties")


def test_who_logs_in_with_a_certificate_is_told_so() -> None:
    substance = SUBSTANCES[0]
    connection = replace(substance.connection, protocol="SSL", mechanism=CERTIFICATE)
    document = asyncapi.document(replace(substance, connection=connection))
    assert document["components"]["securitySchemes"] == {"credentials": {"type": "X509"}}
