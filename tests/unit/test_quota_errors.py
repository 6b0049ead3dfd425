"""What the broker refuses about quotas, in words: with nothing but a number, as it often answers."""

from __future__ import annotations

import pytest

from sluice.kafka.clients import KafkaTrouble, KafkaUnavailable
from sluice.kafka.quotas import _refuse


@pytest.mark.parametrize(
    ("code", "message", "kind", "says"),
    [
        (31, None, KafkaTrouble, "this user lacks the right to"),
        (41, None, KafkaUnavailable, "NOT_CONTROLLER (41)"),
        (42, "no such entity", KafkaTrouble, "no such entity (42)"),
        (999, None, KafkaTrouble, "(999)"),
    ],
)
def test_a_refusal_is_a_sentence(code: int, message: str | None, kind: type[KafkaTrouble], says: str) -> None:
    with pytest.raises(KafkaTrouble) as raised:
        _refuse(code, message)
    assert type(raised.value) is kind
    assert says in str(raised.value)


def test_no_error_is_none() -> None:
    _refuse(0, None)
