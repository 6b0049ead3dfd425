"""A stuck process ends itself; one that turns does not."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from stream_processors import watchdog


def ended(body: str) -> subprocess.CompletedProcess[str]:
    """What becomes of a process that is watched with a short patience."""
    program = """
        import threading, time
        from stream_processors import watchdog
        watchdog._LOOK_SECONDS, watchdog._MOST_LOOKS = 0.02, 10
        """
    text = textwrap.dedent(program) + textwrap.dedent(body)
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False)


def test_stuck_loop_ends_the_process() -> None:
    done = ended(
        """
        with watchdog.watched(lambda: 7):
            threading.Event().wait()
        """
    )
    assert done.returncode == watchdog.STATUS
    assert "stuck in the client library" in done.stdout


def test_turning_loop_is_left_alone() -> None:
    done = ended(
        """
        turns = 0
        with watchdog.watched(lambda: turns):
            for turns in range(50):
                time.sleep(0.02)
        print("lives")
        """
    )
    assert (done.returncode, done.stdout) == (0, "lives\n"), done.stderr
