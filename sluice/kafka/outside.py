"""The log for who acts on a group's partitions while nobody is a member of it, and does not join."""

from __future__ import annotations

from collections.abc import Collection

from sluice.errors import SluiceError
from sluice.kafka import admin
from sluice.kafka.clients import ClientConfig
from sluice.kafka.fencing import end_transactions_of
from sluice.kafka.transactions import LogSettings, TransactionalLog


class OutsideLog(TransactionalLog):
    """Reads and commits the group's offsets without membership. The broker takes that from anybody who may write them.

    So whoever uses it has to know that nobody is at work: see `refuse_members` and `end_open_transactions`.
    """

    def __init__(self, client: ClientConfig, settings: LogSettings) -> None:
        super().__init__(client, settings)
        self._group_metadata = self._driving.consumer_group_metadata()

    def refuse_members(self) -> None:
        """Raises SluiceError while the group has live members."""
        alive = admin.client_ids(self._admin, self._settings.group)
        if alive:
            raise SluiceError(
                f"Processors of the group {self._settings.group} are running ({', '.join(sorted(alive))}): stop them "
                "all first, and keep them stopped until this has ended."
            )


def end_open_transactions(client: ClientConfig, group: str, instances: Collection[str]) -> None:
    """What processes that died left open is aborted, and who still lives can write no more. Raises KafkaTrouble."""
    for instance in sorted(set(instances)):
        end_transactions_of(client, f"{group}.{instance}")
