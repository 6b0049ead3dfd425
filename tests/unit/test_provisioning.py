"""Rights and topics: everybody can do their work, and nothing beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas import catalogue
from sluice import topics
from sluice.contract import ContractSet, partner_schema
from sluice.model import PartnerId
from sluice.provisioning import Desired, Groups, Operation, Resource, Right, desired, our_source_schema
from tests.unit.installation import SERVICE_PROVIDER, TASK, Installation

GROUP, RETURNS_GROUP, PROVIDERS_GROUP = "sluice.sharing", "sluice.returns", "sluice.providers"
GROUPS = Groups(GROUP, RETURNS_GROUP, PROVIDERS_GROUP)
PARTNERS = ("a", "a-b", "adresso", "letterbird")
ANSWERING, ASKED = ("adresso",), ("adresso", "letterbird")
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
OF_ONE_PARTITION = (topics.CONTRACT_SETS, topics.PAUSES)


def contracts(within: str = "P3D") -> ContractSet:
    base = {**SERVICE_PROVIDER, "limits": {"acknowledge_within": within}}
    own: dict[str, dict[str, Any]] = {
        "adresso": {"task": TASK},
        "letterbird": {"campaigns": {"segment": "segments"}},
    }
    return Installation(*({**base, "partner": partner, **own.get(partner, {})} for partner in PARTNERS)).contracts


@pytest.fixture(scope="module")
def wanted() -> Desired:
    return desired(contracts(), GROUPS)


def allowed(wanted: Desired, user: str, operation: Operation, resource: Resource, name: str) -> bool:
    """As the broker's authorizer has it; READ and WRITE imply DESCRIBE."""

    def covers(right: Right) -> bool:
        fits = name.startswith(right.name) if right.prefixed else name == right.name
        implied = operation is Operation.DESCRIBE and right.operation in (Operation.READ, Operation.WRITE)
        return fits and (right.user, right.resource) == (user, resource) and (implied or right.operation is operation)

    return any(covers(right) for right in wanted.rights)


def test_every_topic_exists_once(wanted: Desired) -> None:
    names = [topic.name for topic in wanted.topics]
    assert len(set(names)) == len(names)
    assert set(names) == {
        topics.CUSTOMER_UPDATES,
        topics.CONSENT_EVENTS,
        topics.DISCLOSURES,
        topics.REJECTED,
        topics.CONTRACT_SETS,
        topics.REDRIVES,
        topics.ACCEPTED_RETURNS,
        topics.REFUSED_RETURNS,
        topics.PAUSES,
        topics.ENRICHMENTS,
        topics.REFUSED_REPLIES,
        *(f"partner.{provider}.requests" for provider in ASKED),
        *(f"partner.{provider}.replies" for provider in ANSWERING),
        *(f"partner.{partner}.{kind}" for partner in PARTNERS for kind in ("customers", "control", "returns")),
    }


def test_evidence_is_kept_for_ever_and_what_can_be_erased_is_compacted(wanted: Desired) -> None:
    settings = {topic.name: topic.settings for topic in wanted.topics}
    for name in (topics.CONSENT_EVENTS, topics.DISCLOSURES, topics.ACCEPTED_RETURNS):
        assert {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}.items() <= settings[
            name
        ].items()
    for name in (
        topics.CUSTOMER_UPDATES,
        topics.ENRICHMENTS,
        *(f"partner.{partner}.customers" for partner in PARTNERS),
    ):
        assert settings[name]["cleanup.policy"] == "compact", "and never time retention"
        assert "retention.ms" not in settings[name]
        assert int(settings[name]["delete.retention.ms"]) >= DAY_MS
    for partner in PARTNERS:
        assert settings[f"partner.{partner}.customers"]["compression.type"] == "lz4"
        assert settings[f"partner.{partner}.control"]["cleanup.policy"] == "delete"
        assert int(settings[f"partner.{partner}.returns"]["retention.ms"]) == 30 * DAY_MS, "corrections hold values"
    assert int(settings["partner.adresso.replies"]["retention.ms"]) == 30 * DAY_MS
    assert settings["partner.adresso.replies"]["message.timestamp.type"] == "LogAppendTime", "late is late by our clock"
    assert settings["partner.adresso.requests"] == {"cleanup.policy": "compact"}, "nothing is asked twice"


@pytest.mark.parametrize(("within", "limit_ms"), [("P3D", 3 * DAY_MS), ("PT6H", 6 * HOUR_MS)])
def test_an_old_value_does_not_outlive_the_time_to_act_on_a_recall(within: str, limit_ms: int) -> None:
    for topic in desired(contracts(within), GROUPS).topics:
        holds_values = topic.name not in OF_ONE_PARTITION and not topic.name.endswith(".requests")
        if topic.settings["cleanup.policy"] == "compact" and holds_values:
            assert int(topic.settings["max.compaction.lag.ms"]) <= limit_ms, topic.name


def test_contract_sets_are_in_one_order_and_the_one_in_force_is_kept(wanted: Desired) -> None:
    (sets,) = (topic for topic in wanted.topics if topic.name == topics.CONTRACT_SETS)
    assert sets.partitions == 1
    assert sets.settings["cleanup.policy"] == "compact"
    assert int(sets.settings["max.message.bytes"]) >= 10_000_000, "token tables are in it"
    assert all(topic.partitions is None for topic in wanted.topics if topic.name not in OF_ONE_PARTITION)


@pytest.mark.parametrize("within", ["P3D", "P60D"])
def test_a_control_message_is_there_until_its_deadline(within: str) -> None:
    for topic in desired(contracts(within), GROUPS).topics:
        if topic.name.endswith(".control"):
            assert int(topic.settings["retention.ms"]) >= int(within[1:-1]) * DAY_MS


@pytest.mark.parametrize("partner", PARTNERS)
def test_a_partner_reads_its_own_topics_and_nothing_else(wanted: Desired, partner: str) -> None:
    own = {f"partner.{partner}.customers", f"partner.{partner}.control"}
    own |= {f"partner.{partner}.requests"} if partner in ASKED else set()
    answers = {f"partner.{partner}.returns"} | ({f"partner.{partner}.replies"} if partner in ANSWERING else set())
    for topic in wanted.topics:
        assert allowed(wanted, partner, Operation.READ, Resource.TOPIC, topic.name) is (topic.name in own)
        assert allowed(wanted, partner, Operation.DESCRIBE, Resource.TOPIC, topic.name) is (topic.name in own | answers)
        assert allowed(wanted, partner, Operation.WRITE, Resource.TOPIC, topic.name) is (topic.name in answers)
    assert allowed(wanted, partner, Operation.READ, Resource.GROUP, f"partner.{partner}.tail")
    others = [GROUP, "x", *(f"partner.{other}.tail" for other in PARTNERS if other != partner)]
    assert not any(allowed(wanted, partner, Operation.READ, Resource.GROUP, group) for group in others)
    kinds = {right.resource for right in wanted.rights if right.user == partner}
    assert kinds == {Resource.TOPIC, Resource.GROUP}


def test_a_crm_writes_inputs_reads_what_was_found_out_and_begins_no_transactions(wanted: Desired) -> None:
    rights = [right for right in wanted.rights if right.user == "crm"]
    inputs = {topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS}
    for topic in wanted.topics:
        assert allowed(wanted, "crm", Operation.WRITE, Resource.TOPIC, topic.name) is (topic.name in inputs)
        assert allowed(wanted, "crm", Operation.READ, Resource.TOPIC, topic.name) is (topic.name == topics.ENRICHMENTS)
    assert {right.resource for right in rights} == {Resource.TOPIC, Resource.GROUP}
    assert [right.name for right in rights if right.resource is Resource.GROUP] == ["crm."]


def test_the_processor_reads_inputs_and_writes_outputs(wanted: Desired) -> None:
    """And inputs too: what came into the wrong partition is written again where it belongs (LOOP 15)."""
    own = {topics.CUSTOMER_UPDATES, topics.CONSENT_EVENTS, topics.DISCLOSURES, topics.REDRIVES, topics.REJECTED}
    of_returns = {
        topics.ENRICHMENTS,
        topics.REFUSED_REPLIES,
        *(f"partner.{provider}.requests" for provider in ASKED),
        *(f"partner.{provider}.replies" for provider in ANSWERING),
        topics.ACCEPTED_RETURNS,
        topics.REFUSED_RETURNS,
        *(f"partner.{partner}.returns" for partner in PARTNERS),
    }
    for topic in wanted.topics:
        if topic.name in of_returns:
            assert not any(allowed(wanted, "sharing", what, Resource.TOPIC, topic.name) for what in Operation)
            continue
        reads = topic.name in own | {topics.CONTRACT_SETS, topics.PAUSES}
        writes = topic.name not in (topics.CONTRACT_SETS, topics.PAUSES)
        assert allowed(wanted, "sharing", Operation.READ, Resource.TOPIC, topic.name) is reads
        assert allowed(wanted, "sharing", Operation.WRITE, Resource.TOPIC, topic.name) is writes
        assert allowed(wanted, "sharing", Operation.DESCRIBE, Resource.TOPIC, topic.name)
        looked_up = writes and topic.name not in (topics.CONSENT_EVENTS, topics.REDRIVES)
        assert allowed(wanted, "sharing", Operation.DESCRIBE_CONFIGS, Resource.TOPIC, topic.name) is looked_up
    for instance in ("0", "blue-1"):
        assert allowed(wanted, "sharing", Operation.WRITE, Resource.TRANSACTIONAL_ID, f"{GROUP}.{instance}")
    assert not allowed(wanted, "sharing", Operation.WRITE, Resource.TRANSACTIONAL_ID, "another.0")
    assert allowed(wanted, "sharing", Operation.READ, Resource.GROUP, GROUP)
    assert not allowed(wanted, "sharing", Operation.READ, Resource.GROUP, "another")


def test_the_processor_of_returns_writes_no_contracts_no_records_and_no_disclosures(wanted: Desired) -> None:
    of_partners = {f"partner.{partner}.returns" for partner in PARTNERS}
    kept = {topics.ACCEPTED_RETURNS, topics.PAUSES}
    reads = {topics.DISCLOSURES, topics.CONTRACT_SETS, *of_partners, *kept}
    writes = {topics.CONSENT_EVENTS, topics.REFUSED_RETURNS, *kept}
    for topic in wanted.topics:
        assert allowed(wanted, "returns", Operation.READ, Resource.TOPIC, topic.name) is (topic.name in reads)
        assert allowed(wanted, "returns", Operation.WRITE, Resource.TOPIC, topic.name) is (topic.name in writes)
    assert allowed(wanted, "returns", Operation.READ, Resource.GROUP, RETURNS_GROUP)
    kinds = {right.resource for right in wanted.rights if right.user == "returns"}
    assert kinds == {Resource.TOPIC, Resource.GROUP}, "no transactions: an open one would hide withdrawals"


def test_the_providers_processor_reads_no_customer_and_writes_nobodys_view(wanted: Desired) -> None:
    kept = {topics.ENRICHMENTS, *(f"partner.{provider}.requests" for provider in ASKED)}
    reads = {topics.DISCLOSURES, topics.CONTRACT_SETS, "partner.adresso.replies", *kept}
    writes = {topics.REFUSED_REPLIES, "partner.adresso.control", *kept}
    for topic in wanted.topics:
        assert allowed(wanted, "providers", Operation.READ, Resource.TOPIC, topic.name) is (topic.name in reads)
        assert allowed(wanted, "providers", Operation.WRITE, Resource.TOPIC, topic.name) is (topic.name in writes)
    assert allowed(wanted, "providers", Operation.READ, Resource.GROUP, PROVIDERS_GROUP)
    assert allowed(wanted, "providers", Operation.WRITE, Resource.TRANSACTIONAL_ID, PROVIDERS_GROUP)
    assert not allowed(wanted, "providers", Operation.WRITE, Resource.TRANSACTIONAL_ID, f"{GROUP}.0")


def test_no_right_is_a_wildcard_and_everybody_with_rights_is_a_user(wanted: Desired) -> None:
    assert not any("*" in right.name or not right.name for right in wanted.rights)
    assert (
        {right.user for right in wanted.rights}
        == set(wanted.users)
        == {"crm", "sharing", "returns", "providers", *PARTNERS}
    )
    assert len(set(wanted.rights)) == len(wanted.rights)
    assert len(set(wanted.users)) == len(wanted.users)


def test_every_topic_has_its_schema(wanted: Desired) -> None:
    schemas = {schema.subject: schema for schema in wanted.schemas}
    assert len(schemas) == len(wanted.schemas)
    own = {topics.CONTRACT_SETS, topics.REDRIVES, topics.PAUSES}  # between us alone: no schema of the registry
    own.add(topics.CUSTOMER_UPDATES)  # the source's
    assert set(schemas) == {f"{topic.name}-value" for topic in wanted.topics if topic.name not in own}
    for contract in contracts().contracts:
        schema = schemas[topics.subject(topics.customers(contract.partner))]
        assert (schema.text, schema.compatibility) == (partner_schema(contract), "FULL_TRANSITIVE")
        control = schemas[topics.subject(topics.control(contract.partner))]
        assert json.loads(control.text) == json.loads(catalogue.text("control"))
        assert control.compatibility == catalogue.compatibility("control")
        returns = schemas[topics.subject(topics.returns(contract.partner))]
        assert (returns.text, returns.compatibility) == (catalogue.text("partner_return"), "BACKWARD_TRANSITIVE")
    assert schemas["partner.letterbird.requests-value"].text == catalogue.text("provider_request")
    assert schemas["partner.adresso.replies-value"].text == catalogue.text("provider_reply")


def test_the_source_has_a_schema_before_there_are_contracts() -> None:
    assert our_source_schema().subject == "crm.customer-updates-value"
    assert our_source_schema().text == catalogue.text("customer_profile")


def test_names_of_topics_are_the_partners() -> None:
    partner = PartnerId("hoshi-card")
    assert topics.customers(partner) == "partner.hoshi-card.customers"
    assert topics.control(partner) == "partner.hoshi-card.control"
    assert topics.subject("t") == "t-value"
