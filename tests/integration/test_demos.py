"""The demos, as a newcomer types them: each tells its story to the end, on a broker of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STORIES = {
    "demo": (
        "5,000 records of crm.customer-updates processed",
        "withdrawal acknowledged → recall read by the partner",
        "What the customer said",
    ),
    "demo address-hygiene": (
        "all that it says: {'request_id'",
        "values of it in crm.enrichments: none",
        "the house reads ERASE: ",
        "  withdrawn",
    ),
    "demo email-house": (
        "What came back: sluice.accepted-returns",
        "UNSUBSCRIBED",
        "are suppressed by not being there",
        "summer-2027",
    ),
}


@pytest.mark.broker
@pytest.mark.timeout(600)
@pytest.mark.parametrize("typed", STORIES)
def test_a_demo_tells_its_story(typed: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sluice", *typed.split(), "--state", str(tmp_path / "demo")]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert [part for part in STORIES[typed] if part not in ran.stdout] == []
