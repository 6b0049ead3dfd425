"""Whether partner topics are what inputs, contracts and law say: `sluice verify`, as an operator runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

from sluice.errors import SluiceError
from tests.integration.installation import Installation

_SECONDS = 1_800
_LOOKING_AGAIN_SECONDS = 60
_DIFFERENT = 2
_LISTED = 20
_LEFT_OPEN = ("waiting", "pending", "moving", "indeterminate")
_WITHOUT_A_REASON = ("not_disclosed", "held_without_reason", "expired")
"""The faults of who is held and may not be."""


@dataclass(frozen=True, slots=True)
class Verdict:
    customers: int
    held: dict[str, int]
    differences: int
    """Customers at partners, and records of nobody."""
    unjustified: int
    """Of these, customers that a partner holds without a reason."""
    left_open: int
    """Customers at partners of whom nothing could be said; at rest there is none."""
    faults: dict[str, int]
    listed: list[dict[str, Any]]

    @property
    def is_exact(self) -> bool:
        return not (self.differences or self.left_open)


def verdict(installation: Installation) -> Verdict:
    """Raises SluiceError when nothing can be proved."""
    command = [sys.executable, "-m", "sluice", "verify", "--json", "--wait", str(_LOOKING_AGAIN_SECONDS)]
    done = subprocess.run(
        [*command, "--settings", str(installation.settings_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    if done.returncode not in (0, _DIFFERENT):
        raise SluiceError(f"`sluice verify` ended with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    states: Counter[str] = sum((Counter(found) for found in report["states"].values()), Counter())
    faults: dict[str, int] = report["faults"]
    return Verdict(
        customers=report["customers"],
        held=report["held"],
        differences=max(states["different"], len(report["differences"])),
        unjustified=sum(faults.get(fault, 0) for fault in _WITHOUT_A_REASON),
        left_open=sum(states[state] for state in _LEFT_OPEN),
        faults=faults,
        listed=report["differences"][:_LISTED],
    )
