"""What is committed beside the offsets: enough to know, after any restart, what they mean (LOOP 20)."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from sluice.errors import SluiceError
from sluice.kafka.admin import TopicIdentity
from sluice.model import Millis

FORMAT = 2


class Identity(msgspec.Struct, frozen=True):
    """Under what the offsets count: this cluster, these topics with these partitions."""

    cluster: str
    topics: str
    """One hash over name, id and partition count of the inputs, the disclosures and the rejects."""


class Checkpoint(msgspec.Struct, frozen=True):
    """The metadata of a partition's committed offset, as JSON far below the broker's limit of 4,095 characters."""

    identity: Identity
    contract_set: str
    """Digest of the set that the partition's customers are, or are being, reconciled under: sluice.contract-sets."""
    settled: bool
    """The view is what the inputs below the offsets say: nobody waits to be reconciled."""
    disclosures: int
    """One past the last disclosure of this partition that the commit made visible; 0: none ever."""
    now: Millis
    """The time of the last decision: it never goes back."""
    evidence_from: int = 0
    """The disclosures begin here: what was before was lost, and written anew from the partner topics."""
    format: int = FORMAT

    def encode(self) -> str:
        return msgspec.json.encode(self).decode()


def decode(metadata: str) -> Checkpoint:
    """Raises SluiceError: offsets without our metadata were committed by somebody else."""
    try:
        checkpoint = msgspec.json.decode(metadata, type=Checkpoint)
    except msgspec.MsgspecError:
        raise SluiceError(
            "The group's committed offsets were not written by this processor: give `sharing.group` a name of its own."
        ) from None
    if checkpoint.format != FORMAT:
        raise SluiceError(
            f"The group's committed offsets have format {checkpoint.format}, and this version reads {FORMAT}: "
            "run the version that wrote them."
        )
    return checkpoint


def topics_hash(identities: Iterable[TopicIdentity]) -> str:
    lines = sorted(f"{topic.name} {topic.topic_id} {topic.partitions}" for topic in identities)
    return blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()


def check(committed: Identity, current: Identity) -> None:
    """Raises SluiceError that says which of the two is another one now."""
    if committed.cluster != current.cluster:
        raise SluiceError(
            f"The offsets belong to the Kafka cluster {committed.cluster}, and this is {current.cluster}: "
            "point the processor at its own cluster, or give it another `sharing.group`."
        )
    if committed.topics != current.topics:
        raise SluiceError(
            "A topic was re-created, added or given partitions since the last commit, so the offsets no longer mean "
            "what they did: restore the topics, or begin again with another `sharing.group` and empty partner topics."
        )
