"""Whether every recall that was disclosed reached its partner: by its control message, and by the topic's newest state.

Read from the topics alone, as the administrator. Partner topics may be compacted, control topics are not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sluice import topics
from sluice.kafka.tailing import Tail
from sluice.log import Record
from sluice.model import PartnerId
from tests.integration.installation import PARTNERS, Installation

_KEEPING = ("RESTRICT", "RECTIFY")
"""Messages of these types take nothing back."""


@dataclass(frozen=True, slots=True)
class RecallAccount:
    disclosed: int
    """Entries RECALLED in the disclosures."""
    with_control_message: int
    """Of these, those with exactly one control message of the same decision, for the same pseudonym."""
    without_control_message: int
    control_messages_without_recall: int
    standing_after_recall: int
    """Pseudonyms whose newest disclosure is a recall, and that have a record in the partner's topic."""
    missing_after_sharing: int
    """Pseudonyms whose newest disclosure is no recall, and that have none."""

    @property
    def is_whole(self) -> bool:
        faults = self.without_control_message + self.control_messages_without_recall
        return not (faults or self.standing_after_recall or self.missing_after_sharing)

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "is_whole": self.is_whole}


def account(installation: Installation) -> RecallAccount:
    """Of everything that was ever disclosed. Nothing may be written meanwhile."""
    recalled: Counter[tuple[str, str, str]] = Counter()
    holds: dict[tuple[str, str], bool] = {}
    for record in _records(installation, topics.DISCLOSURES):
        for entry in installation.registry.decode(record.value)["entries"]:
            is_recall = entry["action"] == "RECALLED"
            holds[entry["partner"], entry["pseudonym"]] = not is_recall
            if is_recall:
                recalled[entry["partner"], entry["decision_id"], entry["pseudonym"]] += 1
    told: Counter[tuple[str, str, str]] = Counter()
    standing: set[tuple[str, str]] = set()
    for partner in PARTNERS:
        told.update(_told(installation, partner))
        standing |= {(partner, pseudonym) for pseudonym in _standing(installation, partner)}
    expected = {place for place, held in holds.items() if held}
    answered = sum(min(count, told[what]) for what, count in recalled.items())
    return RecallAccount(
        disclosed=recalled.total(),
        with_control_message=answered,
        without_control_message=recalled.total() - answered,
        control_messages_without_recall=told.total() - answered,
        standing_after_recall=len(standing - expected),
        missing_after_sharing=len(expected - standing),
    )


def _told(installation: Installation, partner: PartnerId) -> Iterator[tuple[str, str, str]]:
    for record in _records(installation, topics.control(partner)):
        message: dict[str, Any] = installation.registry.decode(record.value)
        if message["type"] not in _KEEPING:
            yield partner, message["decision_id"], message["customer"]


def _standing(installation: Installation, partner: PartnerId) -> set[str]:
    held: set[str] = set()
    for record in _records(installation, topics.customers(partner)):
        change = held.discard if record.value is None else held.add
        change((record.key or b"").decode())
    return held


def _records(installation: Installation, topic: str) -> Iterator[Record]:
    with Tail(installation.settings.client("admin"), (topic,), "chaos", from_beginning=True) as tail:
        yield from tail.to_the_end()
