"""What there is on the broker, in the registry and in the folder of connection files."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sluice.provisioning import Right
from sluice.recorded_set import RecordedSet


@dataclass(frozen=True, slots=True)
class ActualTopic:
    topic_id: str
    partitions: int
    settings: Mapping[str, str]
    """Its own: those that differ from what the broker gives to every topic are here, and nothing else."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject of the registry."""

    compatibility: str
    is_registered: bool
    """Whether the schema that is wanted is one of its versions, as the registry compares schemas."""
    versions: tuple[str, ...] = ()
    """The texts of all versions. Only read where the wanted one is not among them."""


NO_SUBJECT = Subject("", is_registered=False)


@dataclass(frozen=True, slots=True)
class Actual:
    topics: Mapping[str, ActualTopic]
    """Those that are ours (`sluice.planning.ownership`)."""
    users: Mapping[str, frozenset[str]]
    """The mechanisms that each user of the broker has a password for."""
    files: Mapping[str, str]
    """The mechanism in each user's connection file. Whoever handed a file over may have deleted it."""
    rights: Collection[Right]
    """Everybody's."""
    quotas: Mapping[str, int]
    """Bytes a second that each user may read; users without a quota are not here."""
    subjects: Mapping[str, Subject]
    """Those that are ours."""
    recorded: RecordedSet | None
    """The set in force."""

    def topic_ids(self) -> dict[str, str]:
        return {name: topic.topic_id for name, topic in self.topics.items()}
