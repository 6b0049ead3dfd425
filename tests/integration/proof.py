"""The independent proof at the end of a test: `sluice verify` as an operator runs it."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.installation import Installation

_OPEN = ("waiting", "pending", "moving")


def assert_verified(installation: Installation, *, indeterminate: bool = False, wait: int = 60) -> dict[str, Any]:
    """No difference, and at rest nothing left open; the report. `indeterminate`: compaction may hide something."""
    done = installation.run("verify", "--json", "--wait", str(wait), "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["equal"], report
    assert report["differences"] == [], report
    allowed_open = {"indeterminate"} if indeterminate else set()
    for states in report["states"].values():
        for state in {*_OPEN, "indeterminate"} - allowed_open:
            assert states[state] == 0, report
    return report


def assert_no_difference(installation: Installation) -> None:
    """Of what is committed, at rest or not: nobody holds what the inputs, the contracts and the law do not allow.

    Where a test has taken away what the proof needs (evidence, keys, settings), it has to say so in a sentence.
    """
    done = installation.run("verify", "--json", "--wait", "0", "--workers", "1")
    cannot = done.returncode == 1 and done.stderr.strip() and "Traceback" not in done.stderr
    assert done.returncode == 0 or cannot, done.stdout + done.stderr
