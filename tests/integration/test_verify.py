"""`sluice verify` on a real installation: equal when it is, and every planted damage found with its cause."""

from __future__ import annotations

import pytest

from tests.integration.installation import HOSHI, Installation, eventually
from tests.integration.proof import assert_verified
from tests.integration.test_recovery import Load

pytestmark = pytest.mark.broker


def test_equal_after_load_and_while_the_processor_runs(installation: Installation) -> None:
    load = Load(installation, seed=21)
    with installation.processor():
        load.send(600)
        report = assert_verified(installation)
    assert sum(report["held"].values()) > 50
    assert report["complete"]
