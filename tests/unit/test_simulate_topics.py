"""From records of the topics to customers, as the processor folds them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice import topics
from sluice.errors import SluiceError
from sluice.key_sources import KeyFile
from sluice.log import Record
from sluice.partitioning import partition_of
from sluice.projection import Snapshot
from sluice.settings import Settings, Sharing
from stream_processors.review.recorded_topics import deal_records, folded
from stream_processors.review.subject import Problem, Subject
from stream_processors.sharing.pipeline import DELETED, NO_PROFILE, UNREADABLE
from tests.unit.installation import Installation

PARTITIONS = 4
LOGGED = 1_780_000_000_000
HIDDEN = 1
"""The shape of a schema id that the registry does not give away now: that of profiles."""


@pytest.fixture
def installation() -> Installation:
    return Installation()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    sharing = Sharing(state=tmp_path, acknowledged=[f"{topics.CONSENT_EVENTS}/3@99"])
    return Settings(
        clients=tmp_path, contracts=tmp_path, master_key=KeyFile(tmp_path), partitions=PARTITIONS, sharing=sharing
    )


def update(offset: int, customer: str, value: bytes | None) -> Record:
    return _record(topics.CUSTOMER_UPDATES, offset, customer, value)


def consent(offset: int, customer: str, value: bytes | None) -> Record:
    return _record(topics.CONSENT_EVENTS, offset, customer, value)


def _record(topic: str, offset: int, customer: str, value: bytes | None) -> Record:
    return Record(topic, partition_of(customer.encode(), PARTITIONS), offset, customer.encode(), value, LOGGED)


def read(
    records: list[Record], installation: Installation, settings: Settings
) -> tuple[dict[str, Subject], list[Problem]]:
    """Customers in the order of the answers, and what could not be read."""
    problems = deal_records(records, 2, settings.contracts, settings)
    found = [one for shard in (0, 1) for one in folded(settings.contracts, shard, installation.decode)]
    subjects = sorted((one for one in found if isinstance(one, Subject)), key=lambda one: one.order)
    problems += [one for one in found if isinstance(one, Problem)]
    return {one.customer: one for one in subjects}, problems


def test_the_newest_update_and_every_answer_count(installation: Installation, settings: Settings) -> None:
    records = [
        update(0, "a", installation.profile(email="old")),
        update(1, "a", installation.profile(email="new")),
        update(2, "b", installation.profile()),
        update(3, "b", None),
        consent(0, "a", installation.answer("a", "hoshi-card", 1)),
        consent(1, "a", installation.answer("a", "hoshi-card", 2, "WITHDRAWN")),
        consent(2, "c", installation.answer("c", "hoshi-card", 1)),
    ]
    subjects, problems = read(records, installation, settings)
    profile = subjects["a"].profile
    assert isinstance(profile, Snapshot)
    assert profile.value("email") == "new"
    assert [event.state for event in subjects["a"].row.consents.events] == ["GIVEN", "WITHDRAWN"]
    assert subjects["b"].profile is DELETED
    assert subjects["c"].profile is NO_PROFILE
    assert list(subjects)[-1] == "c"
    assert problems == []


def test_customers_who_only_answered_come_behind_wherever_they_lie(
    installation: Installation, settings: Settings
) -> None:
    names = sorted("abcdefgh", key=lambda name: partition_of(name.encode(), PARTITIONS))
    records = [consent(0, names[0], installation.answer(names[0], "hoshi-card", 1))]
    records += [update(9 - at, name, installation.profile()) for at, name in enumerate(names[1:])]
    subjects, _ = read(records, installation, settings)
    ordered = sorted(records[1:], key=lambda record: (record.partition, record.offset))
    assert list(subjects) == [(record.key or b"").decode() for record in ordered] + names[:1]


def test_what_cannot_be_read_is_told_with_its_place(installation: Installation, settings: Settings) -> None:
    records = [update(7, "a", b"?"), consent(8, "a", b"?")]
    subjects, problems = read(records, installation, settings)
    assert subjects["a"].profile is UNREADABLE
    assert subjects["a"].row.consents.unreadable
    where = partition_of(b"a", PARTITIONS)
    assert {(one.source, one.place, one.nameless) for one in problems} == {
        (f"{topics.CUSTOMER_UPDATES}/{where}", 7, False),
        (f"{topics.CONSENT_EVENTS}/{where}", 8, False),
    }


def test_records_that_name_nobody_are_told_unless_an_operator_knows_them(
    installation: Installation, settings: Settings
) -> None:
    right = partition_of(b"a", PARTITIONS)
    records = [
        Record(topics.CONSENT_EVENTS, 3, 98, None, b"", LOGGED),
        Record(topics.CONSENT_EVENTS, 3, 99, None, b"", LOGGED),
        Record(topics.CUSTOMER_UPDATES, (right + 1) % PARTITIONS, 5, b"a", b"", LOGGED),
    ]
    subjects, problems = read(records, installation, settings)
    assert subjects == {}
    assert [(one.place, one.nameless) for one in problems] == [(98, True), (5, True)]


def test_a_registry_that_does_not_answer_ends_it(installation: Installation, settings: Settings) -> None:
    installation.unreachable.add(HIDDEN)
    with pytest.raises(SluiceError, match="registry does not answer"):
        read([update(0, "a", installation.profile())], installation, settings)
