"""Processors under a supervisor, as an operator runs them: whoever ends is started again.

What ended well, with a sentence, or by our own hand is told apart from what must never be: a traceback.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_RESTART_SECONDS = 0.3
_STOP_SECONDS = 30.0
_KEPT_LINES = 400
FENCED_SENTENCE = "Another process runs as"


@dataclass(slots=True)
class Observed:
    """What the logs of all lives said."""

    events: Counter[str] = field(default_factory=Counter)
    fenced: int = 0
    """How often one ended what a dead owner had left open."""
    sentences: Counter[str] = field(default_factory=Counter)
    """With what the lives ended that nobody had killed, by their beginnings."""
    troubles: list[str] = field(default_factory=list)
    """What must never be: tracebacks, endings without a sentence. With the name of the log."""
    kills: int = 0
    lost_stores: int = 0

    @property
    def fences(self) -> int:
        """Open transactions of dead owners that others ended, and old owners that were told so."""
        return self.fenced + sum(n for text, n in self.sentences.items() if text.startswith(FENCED_SENTENCE))

    def __add__(self, other: Observed) -> Observed:
        return Observed(
            self.events + other.events,
            self.fenced + other.fenced,
            self.sentences + other.sentences,
            self.troubles + other.troubles,
            self.kills + other.kills,
            self.lost_stores + other.lost_stores,
        )


class Supervised:
    """One instance of the sharing processor through all its lives. Its methods may be called from any thread."""

    def __init__(self, instance: str, settings: Mapping[str, Any], folder: Path, *, restarts: bool = True) -> None:
        """`settings` are those of the installation, with what is this instance's own."""
        self.instance = instance
        self.state = Path(settings["sharing"]["state"]) / instance
        self.observed = Observed()
        self._restarts = restarts
        self._settings = folder / f"sluice-{instance}.yaml"
        self._settings.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
        self._folder = folder / f"log-{instance}"
        self._folder.mkdir(exist_ok=True)
        self._lock = threading.RLock()
        self._lives = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._log = self._folder / "none"
        self._read_to = 0
        self._rest = b""
        self._newest: list[str] = []
        self._start_at: float | None = None
        self._ended_by_us = False
        self._crashed = False

    @property
    def runs(self) -> bool:
        with self._lock:
            return self._process is not None and self._process.poll() is None

    @property
    def assigned(self) -> tuple[int, ...] | None:
        """The partitions that this life was given last; None: none yet."""
        with self._lock:
            self.look()
            said = [json.loads(line) for line in self._newest if '"event": "assigned"' in line]
            return tuple(said[-1]["partitions"]) if said else None

    @property
    def newest(self) -> list[str]:
        """The last lines that this life logged."""
        with self._lock:
            self.look()
            return list(self._newest)

    def start(self) -> None:
        with self._lock:
            self._lives += 1
            self._log = self._folder / f"{self._lives:04}.log"
            self._read_to, self._rest, self._newest = 0, b"", []
            self._start_at, self._ended_by_us, self._crashed = None, False, False
            command = [sys.executable, "-m", "sluice", "run", "sharing"]
            command += ["--instance", self.instance, "--settings", str(self._settings)]
            with self._log.open("wb") as file:
                self._process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)

    def look(self) -> None:
        """Read what the log has new; notice an end, and start the next life when it is time."""
        with self._lock:
            self._read()
            if self._process is not None and self._process.poll() is not None:
                self._read()
                self._ended(self._process.returncode)
            if self._start_at is not None and time.monotonic() >= self._start_at:
                self.start()

    def kill(self, *, stays_dead_seconds: float = 0.0, loses_store: bool = False) -> bool:
        """At once, as a machine that goes dark does; False: there was nothing to kill."""
        with self._lock:
            self.look()
            if self._process is None or self._process.poll() is not None:
                return False
            self._ended_by_us = True
            self._process.kill()
            self._process.wait()
            self.observed.kills += 1
            if loses_store and self.state.exists():
                shutil.rmtree(self.state)
                self.observed.lost_stores += 1
            self.look()
            if self._restarts:
                self._start_at = time.monotonic() + stays_dead_seconds
            return True

    def return_now(self) -> None:
        """It was to stay dead for longer."""
        with self._lock:
            if self._start_at is not None:
                self._start_at = time.monotonic()

    def acknowledge(self, place: str) -> None:
        """As an operator does who has looked into a record: it is listed, and the process started again."""
        with self._lock:
            settings = json.loads(self._settings.read_text(encoding="utf-8"))
            settings["sharing"].setdefault("acknowledged", []).append(place)
            self._settings.write_text(json.dumps(settings), encoding="utf-8")
            self.stop()
            self.start()

    def freeze(self) -> bool:
        with self._lock:
            return self._signal(signal.SIGSTOP)

    def thaw(self) -> bool:
        with self._lock:
            return self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """As an operator does. Whoever does not end within half a minute is trouble."""
        with self._lock:
            self._start_at = None
            process = self._process
            if process is None or process.poll() is not None:
                return
            self._signal(signal.SIGCONT)
            self._signal(signal.SIGTERM)
            try:
                status = process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._trouble("does not stop")
                process.kill()
                status = process.wait()
            self._ended_by_us = status in (0, -signal.SIGTERM)  # the latter: before it could listen to signals
            self.look()
            self._start_at = None

    def _signal(self, number: signal.Signals) -> bool:
        if self._process is None or self._process.poll() is not None:
            return False
        self._process.send_signal(number)
        return True

    def _read(self) -> None:
        if not self._log.exists():
            return
        with self._log.open("rb") as file:
            file.seek(self._read_to)
            new = file.read()
        self._read_to += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            self._hear(line.decode("utf-8", errors="replace"))

    def _hear(self, line: str) -> None:
        self._newest = [*self._newest[-_KEPT_LINES:], line]
        if line.startswith("Traceback"):
            self._crashed = True
            self._trouble("Traceback")
        if not line.startswith("{"):
            return
        event = json.loads(line)
        self.observed.events[event["event"]] += 1
        if event["event"] == "fenced_the_dead":
            self.observed.fenced += bool(event["instances"])

    def _ended(self, status: int) -> None:
        self._process = None
        if not self._ended_by_us:
            sentence = self._newest[-1] if self._newest else ""
            if status == 1 and sentence and not sentence.startswith(("{", " ")) and not self._crashed:
                self.observed.sentences[sentence[:120]] += 1
            else:
                self._trouble(f"ended with {status}: {sentence[:200]}")
            if self._restarts:
                self._start_at = time.monotonic() + _RESTART_SECONDS

    def _trouble(self, what: str) -> None:
        self.observed.troubles.append(f"{self._log}: {what}")
