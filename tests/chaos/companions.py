"""Who runs beside the sharing processors: the other processors, a CRM, partners. Supervised, as in production."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class Companion:
    """One command of ours that is started again whenever it has ended, but while it is killed."""

    def __init__(self, command: Sequence[str], settings: Path, log: Path) -> None:
        self._command = [sys.executable, "-m", "sluice", *command, "--settings", str(settings)]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._is_killed = False
        self.ends = 0
        """How often it has ended by itself."""
        self.look()

    def look(self) -> None:
        if self._is_killed or (self._process is not None and self._process.poll() is None):
            return
        self.ends += self._process is not None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)

    def kill(self) -> None:
        """It stays away until it is started again."""
        self._is_killed = True
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def start_again(self) -> None:
        self._is_killed = False
        self.look()
