"""The compose file's broker without a container engine: its own configuration, certificates and job, on other ports."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from sluice.connection_files import read_properties
from sluice.errors import SluiceError
from sluice.kafka.admin import answers
from sluice.kafka.clients import admin_client
from sluice.local import artefacts, cache, ports, process
from sluice.local.cache import Programs
from sluice.local.progress import Silence
from tests.integration.installation import eventually

COMPOSE = Path("deploy/compose")
_STORAGE_TOOL = "/opt/kafka/bin/kafka-storage.sh"


@dataclass(frozen=True, slots=True)
class ComposeBroker:
    """`passwords` and `certificates` are the addresses of the two listeners."""

    folder: Path
    passwords: str
    certificates: str

    @property
    def clients(self) -> Path:
        return self.folder / "clients"

    def point_at_registry(self, url: str) -> None:
        for folder in (self.clients, self.folder / "partners"):
            (folder / "registry.properties").write_text(f"url={url}\n", encoding="ascii")

    def administrator(self) -> dict[str, str]:
        return read_properties(self.clients / "admin.properties")

    def with_certificate(self, name: str) -> dict[str, str]:
        return read_properties(self.folder / f"partners/{name}.properties")


def make_credentials(folder: Path, *partners: str) -> None:
    """What the job `credentials` makes, in three folders of `folder`."""
    names = [argument for partner in partners for argument in ("--partner", partner)]
    folders = [str(folder / name) for name in ("certificates", "clients", "partners")]
    subprocess.run(
        [sys.executable, str(COMPOSE / "credentials.py"), *folders, "--broker-name", "kafka", *names], check=True
    )


CALLS_BY_SUBJECT = {"ssl.principal.mapping.rules=": "# ", "super.users=User:admin;User:node": r"\g<0>;User:CN=node"}
"""As a broker does that is told nothing else, Strimzi's too: a certificate's user is `CN=<name>`."""


@contextmanager
def started(folder: Path, *partners: str, changes: Mapping[str, str] = MappingProxyType({})) -> Iterator[ComposeBroker]:
    """See `start`; skips the test where there is none, unless one is required."""
    try:
        broker = start(folder, *partners, changes=changes)
    except SluiceError as error:
        if os.environ.get("REQUIRE_BROKER") == "1":
            raise
        pytest.skip(f"no broker: {error}")
    yield broker
    stop(folder)


def start(folder: Path, *partners: str, changes: Mapping[str, str] = MappingProxyType({})) -> ComposeBroker:
    """Credentials, storage and broker, as `docker compose up` makes and starts them; `changes` are of its settings."""
    make_credentials(folder, *partners)
    programs = cache.provide(cache.cache_folder(), artefacts.pinned(), Silence())
    passwords, controller, certificates = ports.choose(3)
    _place_configuration(folder, {9092: passwords, 9093: controller, 9094: certificates}, changes)
    _format(folder, programs)
    _place_clients(folder, {"kafka:9092": f"localhost:{passwords}", "localhost:9094": f"localhost:{certificates}"})
    _place_settings(folder)
    java = [*_java(programs), "kafka.Kafka", str(folder / "config/server.properties")]
    process.launch(java, _made(folder / "broker"), folder / "broker.log")
    broker = ComposeBroker(folder, f"localhost:{passwords}", f"localhost:{certificates}")
    administrator = admin_client(broker.administrator())
    eventually(lambda: answers(administrator, 1.0), f"the broker serves: {folder / 'broker.log'}", 60)
    return broker


def stop(folder: Path) -> None:
    running = process.find(folder / "broker")
    if running is not None:
        process.stop(running, patience=5)


def kafkas_own_tool(broker: ComposeBroker, main: str, *words: str) -> str:
    """What one prints that is run in the broker's container, as docs/deploying.md tells."""
    java = _java(cache.provide(cache.cache_folder(), artefacts.pinned(), Silence()))
    file = str(broker.folder / "config/client.properties")
    way = ["--bootstrap-server", broker.certificates, "--command-config", file]
    done = subprocess.run([*java, main, *way, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def services() -> dict[str, dict[str, Any]]:
    composed = yaml.safe_load((COMPOSE / "compose.yaml").read_text(encoding="utf-8"))
    found: dict[str, dict[str, Any]] = composed["services"]
    return found


def _place_configuration(folder: Path, moved: dict[int, int], changes: Mapping[str, str]) -> None:
    """The configuration as it is, but for what a container would give: ports, host name and folders of its own."""
    for path in (COMPOSE / "kafka").iterdir():
        text = path.read_text(encoding="utf-8")
        text = re.sub(r":(909[234])\b", lambda found: f":{moved[int(found[1])]}", text)
        text = text.replace("://:", "://127.0.0.1:").replace("kafka:", "localhost:")
        text = text.replace("/certificates/", f"{folder}/certificates/")
        text = text.replace("/var/lib/kafka/data", f"{folder}/data")
        for old, new in changes.items() if path.name == "server.properties" else ():
            text, found = re.subn(old, new, text)
            assert found == 1, old
        (_made(folder / "config") / path.name).write_text(text, encoding="utf-8")


def _format(folder: Path, programs: Programs) -> None:
    """The job `storage`, word for word; in the place of the image's program stands one that calls the same class."""
    service = services()["storage"]
    tool = folder / "kafka-storage.sh"
    tool.write_text(f'#!/bin/sh\nexec {" ".join(_java(programs))} kafka.tools.StorageTool "$@"\n', encoding="utf-8")
    tool.chmod(0o700)
    (command,) = service["command"]
    moved = {
        "$$": "$",
        _STORAGE_TOOL: str(tool),
        "/mnt/shared/config": f"{folder}/config",
        "/certificates": f"{folder}/certificates",
    }
    for ours, here in moved.items():
        assert ours in command
        command = command.replace(ours, here)
    done = subprocess.run(
        [*service["entrypoint"], command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **service["environment"]},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _place_clients(folder: Path, moved: Mapping[str, str]) -> None:
    for path in (*folder.glob("clients/*.properties"), *folder.glob("partners/*.properties")):
        text = path.read_text(encoding="ascii")
        for address, here in moved.items():
            text = text.replace(address, here)
        path.write_text(text, encoding="ascii")


def _place_settings(folder: Path) -> None:
    """Those of the containers, with this machine's folders."""
    places = {"/etc/sluice/contracts": Path("deploy/demo/contracts").absolute(), "/keys/": f"{folder}/keys/"}
    _made(folder / "keys")
    for name in ("sluice.yaml", "partner.yaml"):
        text = (COMPOSE / name).read_text(encoding="utf-8")
        places |= {each: f"{folder}{each}" for each in ("/clients", "/partners", "/var/lib/sluice")}
        for there, here in places.items():
            text = text.replace(there, str(here))
        (folder / name).write_text(text.replace("port: 9464", "port: 0"), encoding="utf-8")


def _java(programs: Programs) -> list[str]:
    return [str(programs.java), "-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", ":".join(map(str, programs.classpath))]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
