"""What a partner is handed, on a real broker: the consumer that is delivered is the one that reads."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.installation import HOSHI, Installation, eventually

pytestmark = pytest.mark.broker


class Kit:
    """A partner's folder, and what it does there: nothing of ours but what was delivered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "consumer.log"

    def consume(self, *, status: int = 0) -> str:
        """To the end of what is there."""
        done = subprocess.run(
            self._command("--once"), cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as file:
            return subprocess.Popen(self._command(), cwd=self.folder, stdout=file, stderr=file)

    def _command(self, *flags: str) -> list[str]:
        return [sys.executable, "consumer.py", f"{HOSHI}.properties", *flags]

    def table(self) -> dict[str, str]:
        with sqlite3.connect(f"file:{self.folder}/customers.db?mode=ro", uri=True) as db:
            return dict(db.execute("SELECT pseudonym, record FROM customers"))


@pytest.fixture
def kit(installation: Installation) -> Kit:
    return made(installation)


def made(installation: Installation) -> Kit:
    folder = installation.folder / "kit"
    done = installation.run("partner-kit", HOSHI, "--out", str(folder))
    assert done.returncode == 0, done.stderr
    return Kit(folder)


def test_first(installation: Installation, kit: Kit) -> None:
    with installation.processor():
        installation.say("crm:1", HOSHI, "GIVEN")
        installation.update("crm:1")
        eventually(lambda: installation.has(HOSHI, "crm:1"), "shared")
        kit.consume()
        kit.consume()
        installation.say("crm:1", HOSHI, "WITHDRAWN")
        eventually(lambda: not installation.has(HOSHI, "crm:1"), "recalled")
        kit.consume()
        kit.consume()
