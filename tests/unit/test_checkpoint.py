"""What is committed beside the offsets: small, exact, and refused when it is of something else."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.errors import SluiceError
from sluice.kafka.admin import TopicIdentity
from sluice.model import Millis
from stream_processors.sharing.checkpoint import FORMAT, Checkpoint, Identity, check, decode, topics_hash

HERE = Identity("cluster-1", "topics-1")


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), st.booleans())
def test_a_checkpoint_survives(disclosures: int, now: int, settled: bool) -> None:  # noqa: FBT001 - drawn
    checkpoint = Checkpoint(HERE, "set-1", settled, disclosures, Millis(now))
    assert decode(checkpoint.encode()) == checkpoint


def test_a_checkpoint_is_far_below_what_the_broker_takes() -> None:
    longest = Checkpoint(Identity("c" * 64, "0" * 32), "0" * 32, False, 2**63 - 1, Millis(2**63 - 1))
    assert len(longest.encode()) < 1_000


@pytest.mark.parametrize("metadata", ["", "{}", "not JSON", "null", "[]", '{"identity": 5}', '{"format": 1}'])
def test_somebody_elses_metadata_is_refused_in_a_sentence(metadata: str) -> None:
    with pytest.raises(SluiceError, match="were not written by this processor"):
        decode(metadata)


def test_another_formats_metadata_is_refused_in_a_sentence() -> None:
    other = msgspec.structs.replace(Checkpoint(HERE, "set-1", True, 1, Millis(2)), format=FORMAT + 1)
    with pytest.raises(SluiceError, match=f"have format {FORMAT + 1}, and this version reads {FORMAT}"):
        decode(other.encode())


def test_one_hash_is_of_every_topics_name_id_and_partitions_in_any_order() -> None:
    topics = [TopicIdentity("a", "id-a", 4), TopicIdentity("b", "id-b", 4)]
    one = topics_hash(topics)
    assert topics_hash(reversed(topics)) == one
    others = [
        [TopicIdentity("a", "id-x", 4), topics[1]],
        [TopicIdentity("a", "id-a", 5), topics[1]],
        [TopicIdentity("x", "id-a", 4), topics[1]],
        topics[:1],
        [*topics, TopicIdentity("c", "id-c", 4)],
    ]
    assert len({one, *map(topics_hash, others)}) == 6


def test_the_same_identity_passes() -> None:
    check(HERE, Identity("cluster-1", "topics-1"))


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (Identity("cluster-2", "topics-2"), "the Kafka cluster cluster-1, and this is cluster-2"),
        (Identity("cluster-1", "topics-2"), "A topic was re-created"),
    ],
)
def test_the_first_difference_is_told(other: Identity, sentence: str) -> None:
    with pytest.raises(SluiceError, match=sentence):
        check(HERE, other)
