"""A real browser, without a window."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_FETCHED = Path("build/chromium")
_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/pulseaudio")


def chromium(*arguments: str) -> str:
    """What it prints. Where `make integration` has put it, or the machine has it; skips the test otherwise."""
    fetched = _FETCHED / "usr/lib/chromium/chromium-headless-shell"
    found = str(fetched.absolute()) if fetched.exists() else next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        assert not os.environ.get("REQUIRE_BROWSER"), "Chromium is required, and not there"
        pytest.skip("no Chromium: `make integration` fetches it")
    with TemporaryDirectory(prefix="sluice-browser-", ignore_cleanup_errors=True) as profile:
        command = [found, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", *arguments]
        places = ":".join(str((_FETCHED / place).absolute()) for place in _LIBRARIES)
        libraries = {"LD_LIBRARY_PATH": places} if fetched.exists() else {}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **libraries}
        )
    assert done.returncode == 0, done.stderr
    return done.stdout
