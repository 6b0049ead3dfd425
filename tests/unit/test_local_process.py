"""Only a process that was launched for a folder is ever found or stopped for it."""

import os
import signal
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.local import process
from sluice.local.process import Running

DEAF = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(60)\n"
SLEEPER = "import time\nprint('asleep', flush=True)\ntime.sleep(60)\n"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    running = process.find(tmp_path)
    if running is not None:
        process.stop(running, patience=0)


def _launch(home: Path, program: str) -> Running:
    script = home / "program"
    script.write_text(f"#!{sys.executable}\n{program}", encoding="utf-8")
    script.chmod(0o700)
    process.launch([str(script)], home, home / "out.log")
    running = process.find(home)
    assert running is not None
    _await_output(home)
    return running


def _await_output(home: Path) -> None:
    deadline = time.monotonic() + 10
    while not _output(home) and time.monotonic() < deadline:
        time.sleep(0.01)


def _output(home: Path) -> str:
    try:
        return (home / "out.log").read_text(encoding="utf-8")
    except FileNotFoundError:  # the launched shell has not opened it yet
        return ""


def test_a_launched_process_is_found_and_stopped(home: Path) -> None:
    running = _launch(home, SLEEPER)
    assert process.find(home) == running
    assert abs(running.since - time.time()) < 60
    process.stop(running, patience=5)
    assert process.find(home) is None


def test_it_is_nobodys_child_and_in_a_session_of_its_own(home: Path) -> None:
    running = _launch(home, SLEEPER)
    assert os.getsid(running.pid) != os.getsid(0)
    with pytest.raises(ChildProcessError):
        os.waitpid(running.pid, os.WNOHANG)


def test_one_that_ignores_the_request_is_killed(home: Path) -> None:
    running = _launch(home, DEAF)
    process.stop(running, patience=0.2)
    assert process.find(home) is None


def test_a_reused_process_id_is_not_ours(home: Path) -> None:
    (home / "pid").write_text(f"{os.getpid()} {'0' * 32}\n", encoding="ascii")
    assert process.find(home) is None
    process.stop(Running(os.getpid(), "0" * 32, 0.0), patience=1)  # would end this test


@pytest.mark.parametrize("content", ["", "12", "x y", "999999999 token"])
def test_a_strange_pid_file_means_that_nothing_runs(home: Path, content: str) -> None:
    (home / "pid").write_text(content, encoding="ascii")
    assert process.find(home) is None


def test_the_environment_stays_behind(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xmx1k")
    _launch(home, "import os, time\nprint('JAVA_TOOL_OPTIONS' in os.environ, flush=True)\ntime.sleep(60)\n")
    assert (home / "out.log").read_text(encoding="utf-8") == "False\n"


def test_the_last_log_is_kept_aside_and_private(home: Path) -> None:
    process.stop(_launch(home, SLEEPER), patience=0)
    _launch(home, DEAF)
    assert (home / "out.log.1").read_text(encoding="utf-8") == "asleep\n"
    assert stat.S_IMODE((home / "out.log").stat().st_mode) == 0o600


def test_without_proc_the_process_list_is_asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = _launch(home, SLEEPER)
    monkeypatch.setattr(process, "_PROC", home / "no-proc")
    assert process.find(home) == running
    os.kill(running.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while process.find(home) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.find(home) is None
