"""A program in the background that outlives the command that started it and is never mistaken for another.

Each start gets a random token, which stands in the program's command line and in its pid file. A process is ours only
if the process of that id carries that token, so a stale file or a reused id is harmless. A launcher shell writes the
file and leaves: the program is nobody's child here, and killing the starter leaves no program without a file.
"""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sluice.local.errors import LocalError

_LAUNCH = """
log=$1; token=$2; shift 2
"$@" </dev/null >"$log" 2>&1 &
echo "$! $token" >pid.new && mv pid.new pid || { kill -9 $!; exit 1; }
"""
_PROC = Path("/proc")
_PS_OPTIONS = ("-ww", "-o", "command=", "-p")
_POLL_SECONDS = 0.02
_READS = 10
_KILLED_WITHIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Running:
    """A process of ours. ``since`` is in seconds of the epoch."""

    pid: int
    token: str
    since: float


def launch(command: Sequence[str], home: Path, log: Path) -> None:
    """Start a Java command with ``home`` as its working directory.

    Its output goes to ``log``; what that held before is kept beside it.
    """
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    token = secrets.token_hex(16)
    marked = [command[0], _mark(token), *command[1:]]
    launcher = ["/bin/sh", "-c", _LAUNCH, "sh", str(log), token, *marked]
    # Nothing of the caller's environment: Java, Kafka and Quarkus all take settings from there.
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(launcher, cwd=home, env=environment, umask=0o077, start_new_session=True, check=False)  # noqa: S603 - our own command
    if done.returncode != 0:
        raise LocalError(f"{home} cannot be written; make room or name another state folder")


def find(home: Path) -> Running | None:
    """The process that was launched for ``home``, if it lives."""
    file = home / "pid"
    try:
        pid, token = file.read_text(encoding="ascii").split()
        found = Running(int(pid), token, file.stat().st_mtime)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found if _lives(found) else None


def stop(running: Running, patience: float) -> None:
    """Ask the process to end, and after ``patience`` seconds make it. Returns when it is gone."""
    if patience > 0:
        _signal(running, signal.SIGTERM)
    if not _gone_within(running, patience):
        _signal(running, signal.SIGKILL)
        if not _gone_within(running, _KILLED_WITHIN_SECONDS):
            raise LocalError(
                f"process {running.pid} does not end; the machine may be short of memory or its disk may hang"
            )


def _mark(token: str) -> str:
    return f"-Dsluice.run={token}"


def _lives(running: Running) -> bool:
    return _mark(running.token) in _command_line(running.pid)


def _command_line(pid: int) -> list[str]:
    """The words of a process's command line; empty for one that does not exist or has ended and waits to be reaped."""
    if not (_PROC / "self").exists():
        listing = subprocess.run(["/bin/ps", *_PS_OPTIONS, str(pid)], capture_output=True, text=True, check=False)  # noqa: S603 - ours
        return listing.stdout.split()
    try:
        for _ in range(_READS):
            line = (_PROC / str(pid) / "cmdline").read_text(encoding="utf-8", errors="replace")
            if line or _is_zombie(pid):
                return line.split("\0")
            time.sleep(_POLL_SECONDS)  # it is also empty for the moment in which one program takes the place of another
    except (FileNotFoundError, ProcessLookupError):
        pass
    return []


def _is_zombie(pid: int) -> bool:
    after_name = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    return after_name.split()[0] in {"Z", "X"}


def _signal(running: Running, number: signal.Signals) -> None:
    if _lives(running):
        try:
            os.kill(running.pid, number)
        except ProcessLookupError:
            pass
        except PermissionError as error:
            raise LocalError(f"process {running.pid} belongs to another user; stop it as that user") from error


def _gone_within(running: Running, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while _lives(running):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
