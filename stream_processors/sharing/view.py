"""What every decision depends on, beside the customers, and what it is written with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sluice.avro import Decode, Writer
from sluice.keys import CustomerKeys
from sluice.model import PartnerId
from sluice.projection import SourceReader
from sluice.ruling import Policy
from stream_processors.sharing.brake import BrakePolicy
from stream_processors.sharing.disclosing import DisclosureWriter
from stream_processors.sharing.parties import Party


@dataclass(frozen=True, slots=True)
class Writers:
    """Encoders of our own records, and the keys that they need."""

    disclosure: DisclosureWriter
    rejected: Writer
    control: Mapping[PartnerId, Writer]
    source_key: bytes
    """Key of the digests under which rejected records are filed."""
    decision_key: bytes
    contract_set: str


@dataclass(frozen=True, slots=True)
class View:
    """What every decision depends on, beside the customers: one contract set, as this process carries it out."""

    parties: tuple[Party, ...]
    writers: Writers
    decode: Decode
    source: SourceReader
    policy: Policy
    acknowledged: frozenset[str]
    partitions: int
    customer_keys: CustomerKeys | None
    """None only where no contract encrypts with them."""
    contract_set: str
    """Digest under which the set is recorded."""
    topic_ids: Mapping[str, str] = field(default_factory=dict)
    """Ids of the topics that are read and written, by name, as the set was recorded."""
    brake: BrakePolicy = field(default_factory=BrakePolicy)

    @property
    def rules(self) -> str:
        """Digest of the set and of what makes decisions of it here: another one, and everybody is reconciled."""
        return self.policy.rules
