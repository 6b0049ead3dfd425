"""What the broker is asked about itself."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from sluice.kafka import admin
from sluice.kafka.clients import KafkaUnavailable


class Broken:
    """An admin client whose connection breaks while it asks: no error, and an offset that is none."""

    def list_offsets(self, wanted: dict[Any, Any], **_options: object) -> dict[Any, Future[Any]]:
        answers = {}
        for partition in wanted:
            answers[partition] = Future[Any]()
            answers[partition].set_result(SimpleNamespace(offset=-1001))
        return answers


def test_an_end_that_the_broker_did_not_say_is_no_end() -> None:
    """The barrier would otherwise be passed without reading anything."""
    with pytest.raises(KafkaUnavailable):
        admin.stable_ends(Broken(), [("crm.consent-events", 0)])  # type: ignore[arg-type]
