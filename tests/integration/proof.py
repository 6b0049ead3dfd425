"""The independent proof at the end of a test: `sluice verify` as an operator runs it."""

from __future__ import annotations

import json
from typing import Any

from sluice.errors import SluiceError
from sluice.settings import load_settings
from stream_processors.review import progress
from stream_processors.review.provers import proved
from stream_processors.review.proving import Task
from stream_processors.review.simulation import scratch
from stream_processors.review.verify_report import report
from tests.integration.installation import Installation

_OPEN = ("waiting", "pending", "moving")


def assert_verified(installation: Installation, *, indeterminate: bool = False, wait: int = 60) -> dict[str, Any]:
    """No difference, and at rest nothing left open; the report. `indeterminate`: compaction may hide something."""
    done = installation.run("verify", "--json", "--wait", str(wait), "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["equal"], told
    assert told["differences"] == [], told
    allowed_open = {"indeterminate"} if indeterminate else set()
    for states in told["states"].values():
        for state in {*_OPEN, "indeterminate"} - allowed_open:
            assert states[state] == 0, told
    return told


def assert_no_difference(installation: Installation) -> None:
    """Of what is committed, at rest or not: nobody holds what the inputs, the contracts and the law do not allow.

    Where a test has taken away what the proof needs (evidence, keys, settings), it has to say so in a sentence. In this
    process: to start another takes longer than to prove.
    """
    try:
        settings = load_settings(installation.settings_path)
        with scratch() as folder, progress.stages() as bars:
            found = report(proved(Task(settings, folder, 0), 1, bars), 100, values=False)
    except SluiceError:
        return
    assert found.equal, found
