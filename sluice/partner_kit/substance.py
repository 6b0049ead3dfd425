"""What a kit's documents are made of. No secret is in it, and nothing of any customer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sluice import topics
from sluice.contract import CheckedContract, partner_field
from sluice.provisioning import Topic
from sluice.redaction import Rule
from sluice.source_schema import Leaf


@dataclass(frozen=True, slots=True)
class RegisteredSchema:
    """A topic's values, as the registry knows them."""

    schema_id: int
    text: str


CERTIFICATE: Final = "a certificate"
"""In the place of a SASL mechanism: who has it needs no password."""


@dataclass(frozen=True, slots=True)
class Connection:
    """How a partner connects, but for its password or key."""

    bootstrap: str
    protocol: str
    mechanism: str
    """SASL's name for it, or CERTIFICATE."""
    registry_url: str

    @property
    def hosts(self) -> list[str]:
        return [host.strip() for host in self.bootstrap.split(",")]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the partner's records."""

    name: str
    leaf: Leaf
    rule: Rule


@dataclass(frozen=True, slots=True)
class Substance:
    checked: CheckedContract
    schemas: Mapping[str, RegisteredSchema]
    """By topic: the customers', the control messages', the returns'."""
    topics: Mapping[str, Topic]
    partitions: int
    connection: Connection
    contact: str
    """Whom the partner asks."""

    @property
    def partner(self) -> str:
        return self.checked.partner

    @property
    def customers(self) -> str:
        return topics.customers(self.checked.partner)

    @property
    def control(self) -> str:
        return topics.control(self.checked.partner)

    @property
    def returns(self) -> str:
        return topics.returns(self.checked.partner)

    @property
    def nulls_stay(self) -> timedelta:
        """How long the customers' topic keeps a null."""
        return timedelta(milliseconds=int(self.topics[self.customers].settings["delete.retention.ms"]))

    def fields(self) -> Iterator[Field]:
        """In the contract's order, as the records have them."""
        for path, rule in self.checked.contract.shared_fields.items():
            yield Field(partner_field(path), self.checked.leaves[path], rule)
