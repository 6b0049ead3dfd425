"""The contract sets in `sluice.contract-sets`, the oldest first: the last is in force."""

from __future__ import annotations

from sluice import recorded_set, topics
from sluice.errors import SluiceError
from sluice.kafka.clients import ClientConfig
from sluice.kafka.tailing import Tail
from sluice.recorded_set import RecordedSet


def recorded_sets(client: ClientConfig, group: str) -> list[RecordedSet]:
    """Raises SluiceError when there is none. `group` is never joined: see sluice.kafka.clients.reader."""
    with Tail(client, (topics.CONTRACT_SETS,), group, from_beginning=True) as tail:
        found = [recorded_set.decode(record.key, record.value) for record in tail.to_the_end()]
    if not found:
        raise SluiceError("There is no contract set in force: run `sluice apply` first.")
    return found
