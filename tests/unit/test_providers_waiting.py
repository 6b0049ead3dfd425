"""What the providers' process waits for, and what it says of that."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from sluice.log import Aborted
from sluice.registry import Registry
from sluice.settings import Settings, load_settings
from stream_processors.providers import setup
from stream_processors.providers.metrics import Metrics
from stream_processors.providers.setup import _Process


def test_where_no_contract_has_a_task_nobody_to_be_asked_is_told_once_and_is_no_failure() -> None:
    registry = CollectorRegistry()
    process = _Process(load_settings(Path("deploy/demo/sluice.yaml")), Metrics(registry))
    process._stopped.set()  # it waits for nobody
    with capture_logs() as said:
        for _ in range(3):
            process._wait_for_one()
    assert [one["event"] for one in said] == ["nobody_to_be_asked"]
    assert process.waits_for == "", "it is ready"
    assert registry.get_sample_value("sluice_providers_unavailable", {"needs": "broker"}) == 0


def test_a_transaction_that_was_aborted_is_no_broker_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = CollectorRegistry()
    process = _Process(load_settings(Path("deploy/demo/sluice.yaml")), Metrics(registry))
    monkeypatch.setattr(setup, "_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(Settings, "registry", lambda _: {"url": "http://127.0.0.1:1"})

    def serve(_registry: Registry) -> None:
        process._stopped.set()
        raise Aborted("fenced for a moment", retriable=True)

    monkeypatch.setattr(process, "_serve", serve)
    with capture_logs() as said:
        process.run()
    assert [one["event"] for one in said] == ["transaction_aborted"]
    assert registry.get_sample_value("sluice_providers_unavailable", {"needs": "broker"}) == 0
