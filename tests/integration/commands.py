"""Our commands, each in a process of its own, forked from one that has imported everything.

To import takes longer than most of them run, and the tests start a thousand. Arguments, environment, folder, output,
signals and status are those of `python -m sluice`. What is not: standard input is a file, empty unless one is named,
and what Python itself reads from the environment when it starts was read before. Who tests how a process starts, or
what a process list shows, runs `python -m sluice`.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from weakref import WeakSet

from sluice.cli import main

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.integration.preloaded"])
_started: WeakSet[BaseProcess] = WeakSet()


def get_ready() -> None:
    """Start what they are forked from, in the folder where Python finds these modules."""
    forkserver.ensure_running()


def kill_the_rest() -> None:
    """What a test left running: Python waits for it at its end."""
    for process in _started:
        if process.exitcode is None:
            process.kill()


class Command:
    """`sluice` with these arguments, running; in what of subprocess.Popen the tests use."""

    def __init__(
        self,
        arguments: Sequence[str],
        stdout: Path,
        stderr: Path,
        environment: Mapping[str, str] | None = None,
        stdin: Path = Path(os.devnull),
    ) -> None:
        self.args = ["sluice", *arguments]
        for path in (stdout, stderr):
            path.touch()  # read before anything is said
        given = {**os.environ, **(environment or {})}
        what = (self.args, (str(stdin), str(stdout), str(stderr)), given, str(Path.cwd()))
        self._process = _FORKS.Process(target=_become, args=what)
        self._process.start()
        _started.add(self._process)
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    timeout: float = 120,
    stdin: Path = Path(os.devnull),
) -> subprocess.CompletedProcess[str]:
    """To its end. Raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryDirectory() as folder:
        stdout, stderr = Path(folder, "stdout"), Path(folder, "stderr")
        command = Command(arguments, stdout, stderr, environment, stdin)
        try:
            code = command.wait(timeout)
        finally:
            command.kill()
        said = stdout.read_text(encoding="utf-8"), stderr.read_text(encoding="utf-8")
    return subprocess.CompletedProcess(command.args, code, *said)


def _become(arguments: list[str], streams: tuple[str, str, str], environment: dict[str, str], folder: str) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs tests in the background has it ignored
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, path in enumerate(streams):
        how = os.O_WRONLY | os.O_CREAT | os.O_APPEND if descriptor else os.O_RDONLY | os.O_NOCTTY
        opened = os.open(path, how, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    tempfile.tempdir = None  # looked up anew
    sys.argv = arguments
    try:
        main()
    finally:
        atexit._run_exitfuncs()
