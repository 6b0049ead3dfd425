"""A proof waits for a broker that is away, and not for ever."""

from __future__ import annotations

import pytest

from sluice.kafka.clients import KafkaTrouble, KafkaUnavailable
from stream_processors.review import proving


def test_asked_again_while_the_broker_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "_PAUSE_SECONDS", 0.0)
    left = [KafkaUnavailable("away"), KafkaUnavailable("away")]

    def ask() -> int:
        if left:
            raise left.pop()
        return 7

    renewed: list[None] = []
    assert proving.answered(ask, lambda: renewed.append(None)) == 7
    assert not left
    assert len(renewed) == 2, "a client from before the outage knows what is no longer true"


@pytest.mark.parametrize("error", [KafkaUnavailable, KafkaTrouble])
def test_ends_when_it_stays_away_or_says_no(monkeypatch: pytest.MonkeyPatch, error: type[KafkaTrouble]) -> None:
    monkeypatch.setattr(proving, "_PATIENCE_SECONDS", 0.0)

    def ask() -> int:
        raise error("no")

    with pytest.raises(error):
        proving.answered(ask, lambda: None)
