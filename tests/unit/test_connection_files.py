"""Connection files: what they say, where their secrets may stand, and that nothing ever shows one."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest

from sluice.connection_files import Connection, of_everybody, read_properties
from sluice.errors import SluiceError
from sluice.kafka.clients import KafkaTrouble, admin_client, idempotent_producer, reader
from sluice.registry import Registry

CANARY = "c4n4ry-s3cr3t"


def file(path: Path, *lines: str, mode: int = 0o600) -> Path:
    path.touch(mode)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(SluiceError) as raised:
        read_properties(path)
    assert CANARY not in str(raised.value)
    return str(raised.value)


def test_lines_are_keys_and_values_and_comments_are_skipped(tmp_path: Path) -> None:
    path = file(tmp_path / "a.properties", "# note", "#sasl.password=old", "", "bootstrap.servers = a:1", "x=a=b", "y=")
    assert read_properties(path) == {"bootstrap.servers": "a:1", "x": "a=b", "y": ""}


def test_secrets_stand_where_kafkas_own_providers_would_find_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_CANARY", CANARY)
    file(tmp_path / "all.secrets", "# all", f"crm={CANARY}", "other=no")
    (tmp_path / "mounted").mkdir()
    file(tmp_path / "mounted" / "crm", CANARY)
    for reference in (
        "${env:SLUICE_CANARY}",
        "${file:all.secrets:crm}",
        f"${{file:{tmp_path}/all.secrets:crm}}",
        "${dir:mounted:crm}",
        f"${{dir:{tmp_path}/mounted:crm}}",
    ):
        path = file(tmp_path / "crm.properties", f"sasl.password={reference}", mode=0o644)
        assert read_properties(path) == {"sasl.password": CANARY}, reference
        file(path, f"basic.auth.user.info=me:{reference}")
        assert read_properties(path) == {"basic.auth.user.info": f"me:{CANARY}"}, reference


def test_what_is_found_is_not_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_CANARY", "${env:HOME}")
    path = file(tmp_path / "a.properties", "sasl.password=${env:SLUICE_CANARY}$x{y}")
    assert read_properties(path) == {"sasl.password": "${env:HOME}$x{y}"}


def test_a_mounted_key_may_have_many_lines(tmp_path: Path) -> None:
    file(tmp_path / "client.pem", "-----BEGIN", CANARY, "-----END")
    path = file(tmp_path / "a.properties", f"ssl.key.pem=${{dir:{tmp_path}:client.pem}}")
    assert read_properties(path) == {"ssl.key.pem": f"-----BEGIN\n{CANARY}\n-----END"}


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("${env:SLUICE_NOT_SET}", "is said to stand in the environment variable SLUICE_NOT_SET, and does not."),
        ("${file:all.secrets:nobody}", "is said to stand as `nobody` in {folder}/all.secrets, and does not."),
        ("${file:none.secrets:crm}", "is said to stand as `crm` in {folder}/none.secrets, and does not."),
        ("${dir:mounted:nobody}", "is said to stand in {folder}/mounted/nobody, and does not."),
        ("${dir:.:mounted}", "{folder}/mounted cannot be read: Is a directory."),
        ("${file:open.secrets:crm}", "open.secrets holds a secret, and others on this machine may read or change it"),
        ("${file:damaged.secrets:crm}", "{folder}/damaged.secrets:1: this line is no `key=value`."),
        ("${file:binary.secrets:crm}", "{folder}/binary.secrets is not text"),
        ("${file:all.secrets}", "is said to stand in a place that cannot be: write ${{env:NAME}}, "),
        ("${dir:mounted}", "a place that cannot be"),
        ("${env:a:b}", "a place that cannot be"),
        ("${vault:secret/sluice:crm}", "a place that cannot be"),
        (f"${{{CANARY}:x}}", "a place that cannot be"),
    ],
)
def test_secret_that_is_not_where_it_is_said_to_be(tmp_path: Path, reference: str, sentence: str) -> None:
    file(tmp_path / "all.secrets", f"other={CANARY}")
    file(tmp_path / "open.secrets", f"crm={CANARY}", mode=0o644)
    file(tmp_path / "damaged.secrets", CANARY)
    (tmp_path / "binary.secrets").touch(0o600)
    (tmp_path / "binary.secrets").write_bytes(f"crm={CANARY}\xff".encode("latin-1"))
    (tmp_path / "mounted").mkdir()
    path = file(tmp_path / "crm.properties", f"sasl.password={reference}")
    assert sentence.format(folder=tmp_path) in refusal(path)


@pytest.mark.parametrize(
    "key",
    ["sasl.password", "ssl.key.password", "ssl.keystore.password", "ssl.key.pem", "basic.auth.user.info",
     "bearer.auth.token", "sasl.oauthbearer.client.secret", "sasl.oauthbearer.assertion.private.key.passphrase"],
)  # fmt: skip
def test_connection_file_with_a_secret_that_others_can_read_is_refused(tmp_path: Path, key: str) -> None:
    path = file(tmp_path / "a.properties", "bootstrap.servers=a:1", f"{key}={CANARY}", mode=0o644)
    assert f"run `chmod 600 {path}`" in refusal(path)
    path.chmod(0o600)
    assert read_properties(path)[key] == CANARY


def test_a_connection_file_without_secrets_may_be_everybodys(tmp_path: Path) -> None:
    lines = ("bootstrap.servers=a:1", "ssl.ca.location=/ca.pem", "ssl.certificate.location=/c.pem",
             "ssl.key.location=/k.pem", "ssl.keystore.location=/k.p12")  # fmt: skip
    assert len(read_properties(file(tmp_path / "a.properties", *lines, mode=0o644))) == 5


@pytest.mark.parametrize("content", [f"sasl.password={CANARY}\n{CANARY}\n".encode(), CANARY.encode() + b"\xff"])
def test_a_damaged_connection_file_is_told_without_its_content(tmp_path: Path, content: bytes) -> None:
    path = file(tmp_path / "a.properties")
    path.write_bytes(content)
    assert str(path) in refusal(path)


def test_a_connection_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.properties").mkdir()
    assert "a.properties cannot be read: Is a directory." in refusal(tmp_path / "a.properties")


def test_a_connection_shows_its_keys_alone() -> None:
    """Whatever holds one and is printed: a dataclass, a traceback with its variables, a failed comparison."""

    @dataclass
    class Holder:
        client: Connection

    connection = Connection({"sasl.password": CANARY})
    for shown in (repr(connection), str(connection), f"{connection} {[connection]!r}", repr(Holder(connection))):
        assert CANARY not in shown
        assert "sasl.password" in shown
    assert pickle.loads(pickle.dumps(connection)) == connection  # noqa: S301 - processes hand it on


def test_what_is_everybodys_says_neither_who_nor_what_proves_it() -> None:
    ours = {"bootstrap.servers": "a:1", "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512",
            "ssl.ca.location": "/ca.pem", "ssl.endpoint.identification.algorithm": "https"}  # fmt: skip
    theirs = {"sasl.username": "admin", "sasl.password": CANARY, "ssl.key.location": "/k", "ssl.key.password": CANARY,
              "ssl.certificate.location": "/c", "ssl.keystore.location": "/s", "ssl.keystore.password": CANARY,
              "ssl.key.pem": CANARY, "ssl.certificate.pem": "c", "sasl.oauthbearer.client.secret": CANARY,
              "sasl.oauthbearer.client.id": "admin"}  # fmt: skip
    assert of_everybody(ours | theirs) == ours


@pytest.mark.parametrize(
    "wrong",
    [{"sasl.passwrd": CANARY}, {"socket.timeout.ms": CANARY}, {"security.protocol": "SSL", "ssl.key.pem": CANARY},
     {"security.protocol": "SSL", "ssl.keystore.location": "/none", "ssl.keystore.password": CANARY}],
)  # fmt: skip
def test_connection_settings_that_the_client_refuses(wrong: dict[str, str]) -> None:
    client = {"bootstrap.servers": "127.0.0.1:1", "sasl.password": CANARY, **wrong}
    for connect in (admin_client, idempotent_producer, lambda client: reader(client, "group")):
        if wrong.get("socket.timeout.ms") and connect is admin_client:
            continue  # its own overrides
        with pytest.raises(KafkaTrouble, match=r"^Cannot connect: ") as raised:
            connect(client)
        assert CANARY not in str(raised.value)
        assert str(raised.value).count("\n") == 0


@pytest.mark.parametrize(
    "wrong",
    [{"basic.auth.user.info": CANARY}, {"sasl.password": CANARY}, {"ssl.key.password": CANARY},
     {"ssl.certificate.location": "/none", "ssl.key.password": CANARY}, {"cache.capacity": CANARY},
     {"bearer.auth.credentials.source": CANARY}],
)  # fmt: skip
def test_registry_settings_that_the_client_refuses(wrong: dict[str, str]) -> None:
    with pytest.raises(SluiceError, match=r"^Cannot connect to the schema registry: ") as raised:
        Registry({"url": "http://127.0.0.1:1", **wrong})
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize(
    "credentials",
    [{"basic.auth.user.info": f"me:{CANARY}"},
     {"bearer.auth.credentials.source": "STATIC_TOKEN", "bearer.auth.token": CANARY,
      "bearer.auth.logical.cluster": "x"}],
)  # fmt: skip
def test_a_registry_that_does_not_answer_is_told_without_credentials(credentials: dict[str, str]) -> None:
    registry = Registry({"url": "http://127.0.0.1:1", **credentials}, timeout_seconds=0.2)
    with pytest.raises(SluiceError, match="does not answer") as raised:
        registry.latest("subject")
    assert CANARY not in str(raised.value)
