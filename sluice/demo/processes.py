"""The demo's processes: our own commands, run as a user would, and the processor's metrics read over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from sluice.errors import SluiceError

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05

Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]
"""Values by metric name and sorted labels."""


def sluice(*arguments: str, settings: Path) -> None:
    """Run one of our commands to its end; its output is the user's. Raises SluiceError when it fails."""
    command = [sys.executable, "-m", "sluice", *arguments, "--settings", str(settings)]
    finished = subprocess.run(command, check=False)  # noqa: S603 - our own program
    if finished.returncode != 0:
        raise SluiceError(f"`sluice {' '.join(arguments)}` failed with status {finished.returncode}.")


@contextmanager
def started(*arguments: str, settings: Path) -> Iterator[None]:
    """One of our commands from its first line on standard error until it has ended. Raises SluiceError if it fails."""
    command = [sys.executable, "-m", "sluice", *arguments, "--settings", str(settings)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as running:  # noqa: S603 - our own program
        assert running.stderr is not None
        running.stderr.readline()
        yield
        running.stderr.read()
        status = running.wait()
    if status != 0:
        raise SluiceError(f"`sluice {' '.join(arguments)}` failed with status {status}.")


@contextmanager
def processor(settings: Path, log: Path, what: str = "sharing", ready: str = "assigned") -> Iterator[str]:
    """`sluice run …` while the context is open; yields the URL of its metrics once its log says that it is ready."""
    command = [sys.executable, "-m", "sluice", "run", what, "--metrics-port", "0", "--settings", str(settings)]
    with log.open("ab") as file:
        running = subprocess.Popen(command, stderr=file, stdout=file, start_new_session=True)  # noqa: S603
    try:
        yield _wait_until(ready, running, log)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGTERM)
        try:
            running.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()


def _wait_until(ready: str, running: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    url = None
    while time.monotonic() < deadline and running.poll() is None:
        for line in log.read_text(encoding="utf-8").splitlines():
            event = json.loads(line) if line.startswith("{") else {}
            url = event.get("url", url)
            if event.get("event") == ready and url is not None:
                return str(url)
        time.sleep(_POLL_SECONDS)
    lines = log.read_text(encoding="utf-8").splitlines()
    raise SluiceError(f"The processor did not start: {lines[-1] if lines else 'it said nothing'} (log: {log})")


def samples(url: str) -> Samples:
    with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - our own endpoint on loopback
        families = text_string_to_metric_families(response.read().decode())
        return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def total(found: Samples, name: str, **labels: str) -> float:
    """Sum of all samples of this name whose labels include these."""
    wanted = set(labels.items())
    return sum(value for (sample, of), value in found.items() if sample == name and wanted <= set(of))
