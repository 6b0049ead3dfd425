"""A process that is started while the broker is away waits for it; a run with an end says so and ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from sluice.kafka.clients import KafkaUnavailable
from sluice.settings import Settings, load_settings
from stream_processors import serving
from stream_processors.serving import _Run
from stream_processors.sharing.metrics import Metrics


class Work:
    """In place of a processor."""

    turns = 0
    waits_for = ""
    stopped = False

    def stop(self) -> None:
        self.stopped = True

    def run(self, _until: Callable[[bool], bool] | None) -> dict[int, list[str]]:
        return {0: ["stopped"]} if self.stopped else {}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def run(registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> _Run:
    monkeypatch.setattr(serving, "_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(serving, "collect_rarely", lambda: None)
    return _Run(load_settings(Path("deploy/demo/sluice.yaml")), Metrics(registry))


def away(monkeypatch: pytest.MonkeyPatch, times: int, meanwhile: Callable[[], None] = lambda: None) -> None:
    left = [times]

    def begin(_settings: Settings, _metrics: Metrics) -> Work:
        if left[0]:
            left[0] -= 1
            meanwhile()
            raise KafkaUnavailable("Cannot reach the broker: it is away.")
        return Work()

    monkeypatch.setattr(serving, "processor", begin)


def test_a_broker_that_is_away_is_waited_for(
    run: _Run, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[float | None, bool]] = []
    away(
        monkeypatch,
        2,
        lambda: seen.append((registry.get_sample_value("sluice_unavailable", {"needs": "broker"}), run.has_started)),
    )
    assert run.to_its_end(None) == {}
    assert seen == [(0.0, False), (1.0, True)], "it is alive, and not ready"
    assert registry.get_sample_value("sluice_unavailable", {"needs": "broker"}) == 0


def test_who_waits_for_a_broker_can_be_stopped(run: _Run, monkeypatch: pytest.MonkeyPatch) -> None:
    away(monkeypatch, 1_000, run.stop)
    assert run.to_its_end(None) == {}


def test_who_is_stopped_while_it_begins_ends_after_what_it_has_in_hand(
    run: _Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(_settings: Settings, _metrics: Metrics) -> Work:
        run.stop()
        return Work()

    monkeypatch.setattr(serving, "processor", begin)
    assert run.to_its_end(None) == {0: ["stopped"]}


def test_a_run_with_an_end_waits_for_nobody(run: _Run, monkeypatch: pytest.MonkeyPatch) -> None:
    away(monkeypatch, 1)
    with pytest.raises(KafkaUnavailable, match="Cannot reach the broker"):
        run.to_its_end(lambda _: True)
