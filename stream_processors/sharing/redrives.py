"""Rejected records that an operator wants decided again, by today's rules.

A request is a reason to reconcile one customer and nothing else: it moves no offset, and may be lost or repeated.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from sluice import topics
from sluice.kafka.clients import ClientConfig
from sluice.kafka.tailing import Tail
from sluice.log import Record
from sluice.model import CustomerId


class Redrive(msgspec.Struct, frozen=True):
    """One rejected record, where it stands."""

    customer: CustomerId
    topic: str
    partition: int
    offset: int

    def encode(self) -> bytes:
        return msgspec.json.encode(self)


class Redrives(Protocol):
    def poll(self) -> list[Redrive]:
        """What was asked for since. May raise LogUnavailable."""


class RequestedRedrives:
    """The requests in `sluice.redrives` from now on."""

    def __init__(self, client: ClientConfig, group: str) -> None:
        self._tail = Tail(client, (topics.REDRIVES,), group, from_beginning=False)

    def poll(self) -> list[Redrive]:
        return [request for record in self._tail.poll(0) if (request := _request(record)) is not None]


def _request(record: Record) -> Redrive | None:
    """None: it is no request, and asks for nothing."""
    try:
        return msgspec.json.decode(record.value or b"", type=Redrive)
    except msgspec.MsgspecError:
        return None
