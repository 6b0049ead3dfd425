"""Ending what a dead process left open, so that its successor and the partners need not wait for it (LOOP 5)."""

from __future__ import annotations

from confluent_kafka import Producer

from sluice.kafka.clients import ClientConfig, translated

_SECONDS = 10.0


def end_transactions_of(client: ClientConfig, name: str) -> None:
    """Abort the open transaction of this transactional id and fence whoever still holds it. Raises KafkaTrouble."""
    with translated(f"end the transactions of {name}"):
        Producer({**client, "transactional.id": name, "log_level": 0}).init_transactions(_SECONDS)
