"""Whether a partner still holds anything: the fold of the disclosures."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from sluice import topics
from sluice.errors import SluiceError
from sluice.kafka.tailing import Tail
from sluice.model import PartnerId
from sluice.registry import Registry
from sluice.settings import Settings
from sluice.store import Row
from stream_processors.review import progress
from stream_processors.sharing import folding

_BETWEEN_UPDATES = 2_000


def refuse_holders(settings: Settings, partners: Iterable[PartnerId]) -> None:
    """Raises SluiceError for a partner that holds a customer: what was given to it would never be recalled."""
    for partner, count in sorted(holders(settings, frozenset(partners)).items()):
        if count:
            raise SluiceError(
                f"{partner} still holds {count:,} {'customer' if count == 1 else 'customers'}: keep the processor "
                "running until everything is recalled, then destroy."
            )


def holders(settings: Settings, partners: frozenset[PartnerId]) -> dict[PartnerId, int]:
    """How many customers each of them holds. Reads all disclosures, with progress. Raises SluiceError."""
    if not partners:
        return {}
    held: dict[bytes, Row] = {}
    administrator = settings.client("admin")
    with (
        closing(Registry(settings.registry())) as registry,
        Tail(administrator, (topics.DISCLOSURES,), "sluice.apply", from_beginning=True) as tail,
        progress.stages() as bars,
    ):
        bars.begin("reading what partners hold", tail.span)
        for number, record in enumerate(tail.to_the_end()):
            if number % _BETWEEN_UPDATES == 0:
                bars.reach(number)
            key = record.key or b""
            row = folding.with_disclosure(held.pop(key, Row()), registry.decode(record.value))
            if partners & row.held.keys():
                held[key] = Row(held={partner: row.held[partner] for partner in partners & row.held.keys()})
    return {partner: sum(partner in row.held for row in held.values()) for partner in partners}
