"""The topics that CRMs write to, as files of rows are read for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sluice import topics, vocabulary
from sluice.document import nearest
from sluice.files.conversion import Unfit
from sluice.files.scalars import Json
from sluice.files.table import TopicFields


@dataclass(frozen=True, slots=True)
class Feed:
    """A topic that CRMs write to."""

    topic: str
    fields: TopicFields
    deletions: bool
    """Whether a row may say that the customer was deleted at the source."""
    check: Callable[[Mapping[str, Json]], None] = lambda _: None
    """Raises Unfit for what the schema allows and the processor would not understand."""


def _known_words(record: Mapping[str, Json]) -> None:
    """A refusal in words that nobody understands would be one that nobody heeds."""
    _known("purpose", [record.get("purpose")], vocabulary.purposes())
    _known("data_scope", record.get("data_scope") or [], vocabulary.data_categories())


def _known(field: str, words: Json, valid: frozenset[str]) -> None:
    for word in words:
        if word not in valid and word != vocabulary.EVERYTHING:
            raise Unfit(f"`{field}` is not known{nearest(str(word), sorted(valid))}")


CUSTOMERS: Final = Feed(topics.CUSTOMER_UPDATES, TopicFields("customer_id"), deletions=True)
CONSENTS: Final = Feed(
    topics.CONSENT_EVENTS,
    TopicFields("subject_id", frozenset({"record_id", "recorded_at"})),
    deletions=False,
    check=_known_words,
)
