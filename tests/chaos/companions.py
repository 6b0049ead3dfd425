"""Who runs beside the sharing processors: the other processors, a CRM, partners. Supervised, as in production."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class Companion:
    """One command of ours that is started again whenever it has ended, until it is paused or stopped."""

    def __init__(self, command: Sequence[str], settings: Path, log: Path) -> None:
        self._command = [sys.executable, "-m", "sluice", *command, "--settings", str(settings)]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._is_paused = False
        self.look()

    def look(self) -> None:
        if self._is_paused or (self._process is not None and self._process.poll() is None):
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)

    def pause(self) -> None:
        self._is_paused = True
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def go_on(self) -> None:
        self._is_paused = False
        self.look()
