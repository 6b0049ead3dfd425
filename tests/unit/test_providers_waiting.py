"""Where no contract has a `task`, nobody is asked for anything, and the process waits for another contract set."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from sluice.settings import load_settings
from stream_processors.providers.metrics import Metrics
from stream_processors.providers.setup import _Process


def test_nobody_to_be_asked_is_told_once_and_is_no_failure() -> None:
    registry = CollectorRegistry()
    process = _Process(load_settings(Path("deploy/demo/sluice.yaml")), Metrics(registry))
    process._stopped.set()  # it waits for nobody
    with capture_logs() as said:
        for _ in range(3):
            process._wait_for_one()
    assert [one["event"] for one in said] == ["nobody_to_be_asked"]
    assert process.waits_for == "", "it is ready"
    assert registry.get_sample_value("sluice_providers_unavailable") == 0
