"""What kits of partners are made of, without a broker or a registry."""

from __future__ import annotations

from pathlib import Path

from schemas import catalogue
from sluice import topics
from sluice.contract import CheckedContract, ContractSet, check, load_contracts
from sluice.law.loading import shipped_law
from sluice.partner_kit.substance import Connection, RegisteredSchema, Substance
from sluice.provisioning import Groups, desired
from sluice.source_schema import leaves

DEMO = Path(__file__).parents[2] / "deploy" / "demo" / "contracts"
CONNECTION = Connection("kafka-1:9092,kafka-2:9092", "SASL_SSL", "SCRAM-SHA-512", "https://registry.example.com")


def substance_of(checked: CheckedContract) -> Substance:
    """As a registry that has what provisioning registers makes it."""
    wanted = desired(ContractSet((checked,)), Groups("sharing", "returns", "providers"))
    texts = {schema.subject: schema.text for schema in wanted.schemas}
    own = (topics.customers(checked.partner), topics.control(checked.partner), topics.returns(checked.partner))
    return Substance(
        checked=checked,
        schemas={name: RegisteredSchema(number, texts[topics.subject(name)]) for number, name in enumerate(own, 41)},
        topics={topic.name: topic for topic in wanted.topics},
        partitions=4,
        connection=CONNECTION,
        contact="data-sharing@example.com",
    )


SUBSTANCES = [
    substance_of(checked)
    for checked in check(load_contracts(DEMO), leaves(catalogue.text("customer_profile")), shipped_law()).contracts
]
"""Of the demo's partners, by name."""
