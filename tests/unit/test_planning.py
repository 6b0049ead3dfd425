"""The difference between desired and actual: everything that is missing, changed or left over is named, and once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from sluice import topics
from sluice.contract import ContractSet
from sluice.errors import SluiceError
from sluice.model import PartnerId
from sluice.planning import Actual, ActualTopic, Plan, Subject, difference
from sluice.planning.compatibility import breaks
from sluice.planning.plan import summary
from sluice.planning.steps import CreateTopic, Grant, RecordSet, RegisterSchema, SetPassword, SetQuota, right_address
from sluice.provisioning import Desired, Groups, Operation, Resource, Right, called, desired
from sluice.recorded_set import RecordedPartner, RecordedSet
from tests.unit.installation import SERVICE_PROVIDER, Installation

GROUPS = Groups("sluice.sharing", "sluice.returns", "sluice.providers")
PARTITIONS = 4
PARTNERS = ("adresso", "hoshi-card")
DAYS_3 = 3 * 86_400_000


def contracts(*partners: str, rate: str | None = "2 MB/s") -> ContractSet:
    base = {**SERVICE_PROVIDER, "limits": {"rate": rate} if rate else {}}
    return Installation(*({**base, "partner": partner} for partner in partners)).contracts


def recorded(*partners: str, ended: tuple[str, ...] = ()) -> RecordedSet:
    known = sorted((*partners, *ended))
    return RecordedSet(
        contracts={f"{partner}.yaml": partner for partner in partners},
        laws={"ZZ.yaml": "law"},
        source_schema="{}",
        source_priority=(),
        facts={},
        partners=tuple(RecordedPartner(PartnerId(one), "1", "2", DAYS_3, ended=one in ended) for one in known),
        master_key="fingerprint",
        topics=dict.fromkeys(topics.OWN, "id"),
    )


WANTED = desired(contracts(*PARTNERS), GROUPS)
SET = recorded(*PARTNERS)


def as_desired(wanted: Desired = WANTED, newest: RecordedSet | None = SET) -> Actual:
    """Exactly what is asked for."""
    return Actual(
        topics={one.name: ActualTopic("id", one.partitions or PARTITIONS, dict(one.settings)) for one in wanted.topics},
        users={"admin": frozenset({"SCRAM-SHA-512"}), **{user: frozenset({"SCRAM-SHA-512"}) for user in wanted.users}},
        files=dict.fromkeys(wanted.users, "SCRAM-SHA-512"),
        rights=wanted.rights,
        quotas={quota.user: quota.bytes_per_second for quota in wanted.quotas},
        subjects={one.subject: Subject(one.compatibility, is_registered=True) for one in wanted.schemas},
        recorded=newest,
    )


def planned(actual: Actual, wanted: Desired = WANTED, proposed: RecordedSet = SET) -> Plan:
    return difference(wanted, proposed, actual, PARTITIONS)


def addresses(plan: Plan) -> dict[str, list[str]]:
    named = {"steps": plan.steps, "left_over": plan.left_over, "findings": plan.findings}
    return {name: [one.address for one in found] for name, found in named.items() if found}


def without(known: Mapping[str, Any], key: str) -> dict[str, Any]:
    assert key in known
    return {name: value for name, value in known.items() if name != key}


def test_nothing_is_to_do_when_everything_is_as_desired() -> None:
    assert planned(as_desired()).is_empty


def test_of_nothing_everything_is_made_in_a_safe_order() -> None:
    nothing = Actual({}, {}, {}, (), {}, {}, None)
    plan = planned(nothing)
    kinds = list(dict.fromkeys(type(step) for step in plan.steps))
    assert kinds == [CreateTopic, RegisterSchema, SetPassword, SetQuota, Grant, RecordSet], "rights late, the set last"
    assert len({step.address for step in plan.steps}) == len(plan.steps)
    assert not plan.left_over
    assert not plan.findings


_READ = Right("hoshi-card", Operation.READ, Resource.TOPIC, topics.customers(PartnerId("hoshi-card")))
_TOPIC = "partner.hoshi-card.customers"


def _setting(name: str, value: str | None) -> Callable[[Actual], Actual]:
    def changed(actual: Actual) -> Actual:
        topic = actual.topics[_TOPIC]
        own = {key: kept for key, kept in topic.settings.items() if key != name}
        own |= {} if value is None else {name: value}
        return replace(actual, topics={**actual.topics, _TOPIC: replace(topic, settings=own)})

    return changed


MISSING: Mapping[str, Callable[[Actual], Actual]] = {
    f"topic/{_TOPIC}": lambda a: replace(a, topics=without(a.topics, _TOPIC)),
    f"setting/{_TOPIC}/cleanup.policy": _setting("cleanup.policy", "delete"),
    f"setting/{_TOPIC}/compression.type": _setting("compression.type", None),
    f"schema/{_TOPIC}-value": lambda a: replace(a, subjects=without(a.subjects, f"{_TOPIC}-value")),
    f"compatibility/{_TOPIC}-value": lambda a: replace(
        a, subjects={**a.subjects, f"{_TOPIC}-value": Subject("NONE", is_registered=True)}
    ),
    "user/hoshi-card": lambda a: replace(a, users=without(a.users, "hoshi-card")),
    "quota/hoshi-card": lambda a: replace(a, quotas=without(a.quotas, "hoshi-card")),
    "quota/adresso": lambda a: replace(a, quotas={**a.quotas, "adresso": 1}),
    f"right/hoshi-card/READ/TOPIC/{_TOPIC}": lambda a: replace(a, rights=[r for r in a.rights if r != _READ]),
    "contract-set": lambda a: replace(a, recorded=recorded("adresso")),
}


@pytest.mark.parametrize("address", MISSING)
def test_one_thing_that_is_missing_or_other_is_one_step(address: str) -> None:
    assert addresses(planned(MISSING[address](as_desired()))) == {"steps": [address]}


BESIDE: Mapping[str, Callable[[Actual], Actual]] = {
    "right/hoshi-card/READ/TOPIC/crm.consent-events": lambda a: replace(
        a, rights=[*a.rights, Right("hoshi-card", Operation.READ, Resource.TOPIC, topics.CONSENT_EVENTS)]
    ),
    "right/crm/ALL/CLUSTER/kafka-cluster": lambda a: replace(
        a, rights=[*a.rights, Right("crm", Operation.ALL, Resource.CLUSTER, "kafka-cluster")]
    ),
    f"right/hoshi-card/READ/TOPIC/{_TOPIC}/forbidden": lambda a: replace(
        a, rights=[*a.rights, replace(_READ, allowed=False)]
    ),
    f"setting/{_TOPIC}/retention.ms": _setting("retention.ms", "1"),
    "password/hoshi-card/SCRAM-SHA-256": lambda a: replace(
        a, users={**a.users, "hoshi-card": frozenset({"SCRAM-SHA-512", "SCRAM-SHA-256"})}
    ),
    "topic/sluice.old": lambda a: replace(a, topics={**a.topics, "sluice.old": ActualTopic("x", 1, {})}),
    "schema/sluice.old-value": lambda a: replace(
        a, subjects={**a.subjects, "sluice.old-value": Subject("", is_registered=True)}
    ),
}


@pytest.mark.parametrize("address", BESIDE)
def test_what_nobody_asks_for_is_named_and_not_among_the_steps(address: str) -> None:
    plan = planned(BESIDE[address](as_desired()))
    assert addresses(plan) == {"left_over": [address]}
    assert [one.address for one in plan.removals([address])] == [address]
    assert not plan.is_empty


def test_a_quota_that_the_contract_no_longer_has_is_left_over() -> None:
    wanted = desired(contracts(*PARTNERS, rate=None), GROUPS)
    assert addresses(planned(as_desired(), wanted)) == {"left_over": ["quota/adresso", "quota/hoshi-card"]}


def test_what_is_not_ours_is_not_seen() -> None:
    actual = as_desired()
    foreign = Right("warehouse", Operation.READ, Resource.TOPIC, "orders")
    beside = replace(
        actual,
        users={**actual.users, "warehouse": frozenset({"SCRAM-SHA-512"})},
        rights=[*actual.rights, foreign],
        quotas={**actual.quotas, "warehouse": 5},
    )
    assert planned(beside).is_empty


@pytest.mark.parametrize(
    "right",
    [
        Right("stranger", Operation.READ, Resource.TOPIC, _TOPIC),
        Right("stranger", Operation.READ, Resource.TOPIC, "*"),
        Right("*", Operation.READ, Resource.TOPIC, "partner.", prefixed=True),
    ],
)
def test_a_right_of_somebody_unknown_on_our_topics_is_for_somebody_to_see_to(right: Right) -> None:
    actual = as_desired()
    plan = planned(replace(actual, rights=[*actual.rights, right]))
    assert set(addresses(plan)) == {"findings"}
    assert not plan.stopping()


def test_another_number_of_partitions_stops() -> None:
    actual = as_desired()
    more = replace(actual.topics[_TOPIC], partitions=8)
    plan = planned(replace(actual, topics={**actual.topics, _TOPIC: more}))
    assert [finding.address for finding in plan.stopping()] == [f"topic/{_TOPIC}"]
    assert "8 partitions, and has to have 4" in plan.findings[0].says


def test_a_user_whose_file_was_handed_over_and_deleted_is_left_alone() -> None:
    actual = as_desired()
    assert planned(replace(actual, files=without(actual.files, "hoshi-card"))).is_empty


def test_who_logs_in_with_a_certificate_gets_no_password() -> None:
    nothing = Actual({}, {}, {}, (), {}, {}, None)
    steps = planned(nothing, replace(WANTED, certified=frozenset({"hoshi-card"}))).steps
    given = {step.user for step in steps if isinstance(step, SetPassword)}
    assert given == set(WANTED.users) - {"hoshi-card"}


CERTIFIED = called(replace(WANTED, certified=frozenset({"hoshi-card"})), {"hoshi-card": "CN=hoshi-card"})
_BY_CERTIFICATE = replace(_READ, user="CN=hoshi-card")


def test_rights_and_limits_of_a_certificate_are_those_of_the_brokers_name_for_it() -> None:
    assert planned(as_desired(CERTIFIED), CERTIFIED).is_empty
    missing = replace(as_desired(CERTIFIED), rights=[r for r in CERTIFIED.rights if r != _BY_CERTIFICATE], quotas={})
    named = {"quota/CN=hoshi-card", "quota/adresso", f"right/CN=hoshi-card/READ/TOPIC/{_TOPIC}"}
    assert {step.address for step in planned(missing, CERTIFIED).steps} == named


def test_what_a_certificate_has_under_a_name_by_which_nobody_comes_counts_for_nothing_and_is_left_over() -> None:
    """Granted before `certificates` named it; or under its subject, on a broker that makes its own name of that."""
    plan = planned(as_desired(), CERTIFIED)
    own = [right_address(right) for right in WANTED.rights if right.user == "hoshi-card"]
    assert addresses(plan)["left_over"] == [*sorted(own), "quota/hoshi-card"]
    granted = {step.right for step in plan.steps if isinstance(step, Grant)}
    assert granted == set(CERTIFIED.rights) - set(WANTED.rights)
    mapped = replace(as_desired(), rights=[*WANTED.rights, _BY_CERTIFICATE])
    assert addresses(planned(mapped)) == {"left_over": [right_address(_BY_CERTIFICATE)]}


def test_a_partner_with_a_certificate_is_removed_whole() -> None:
    wanted = desired(contracts("adresso"), GROUPS)
    plan = planned(as_desired(CERTIFIED, recorded("adresso", ended=("hoshi-card",))), wanted, recorded("adresso"))
    removed = {one.address for one in plan.removals(["partner/hoshi-card"])}
    assert removed >= {right_address(right) for right in CERTIFIED.rights if right.user == "CN=hoshi-card"}
    assert "quota/CN=hoshi-card" in removed
    assert not plan.findings


def test_a_name_of_the_brokers_own_is_no_strangers() -> None:
    wanted = called(WANTED, {"hoshi-card": "cards"})
    assert planned(as_desired(wanted), wanted).is_empty
    more = replace(_READ, user="cards", name=topics.customers(PartnerId("adresso")))
    assert set(addresses(planned(replace(as_desired(wanted), rights=[*wanted.rights, more]), wanted))) == {"findings"}


def test_a_file_for_a_mechanism_that_the_broker_has_no_password_for_is_mended() -> None:
    actual = as_desired()
    plan = planned(replace(actual, files={**actual.files, "hoshi-card": "SCRAM-SHA-256"}))
    assert addresses(plan) == {"steps": ["user/hoshi-card"]}, "and the only password that works is not called former"


def test_a_partner_whose_contract_is_gone_keeps_everything_and_is_named_as_ended() -> None:
    """ADR 8: until all is recalled. Its quota, which no contract states any more, is all that is left over."""
    wanted = desired(contracts("adresso"), GROUPS, {PartnerId("hoshi-card"): DAYS_3})
    ended = recorded("adresso", ended=("hoshi-card",))
    plan = planned(as_desired(newest=ended), wanted, ended)
    assert "partner/hoshi-card" in addresses(plan)["findings"]
    assert "steps" not in addresses(plan)
    assert not plan.stopping()
    rights_gone = planned(replace(as_desired(newest=ended), rights=()), wanted, ended)
    assert f"right/sharing/WRITE/TOPIC/{_TOPIC}" in addresses(rights_gone)["steps"], "or it could not be recalled"


def test_a_partner_is_removed_whole_and_nothing_beside_it() -> None:
    wanted = desired(contracts("adresso"), GROUPS)
    only = recorded("adresso")
    plan = planned(as_desired(newest=recorded("adresso", ended=("hoshi-card",))), wanted, only)
    removals = plan.removals(["partner/hoshi-card"])
    assert removals == plan.left_over
    assert all("hoshi-card" in one.address for one in removals)
    nouns = list(dict.fromkeys(one.noun for one in removals))
    assert nouns == ["rights removed", "passwords removed", "quotas removed", "topics removed", "subjects removed"]
    assert isinstance(plan.steps[-1], RecordSet), "the set names it no more before its topics go"
    assert "partner hoshi-card out" in plan.steps[-1].says


@pytest.mark.parametrize("gone", ["rights", "users", "quotas", "topics"])
def test_a_partner_that_is_removed_half_is_still_known(gone: str) -> None:
    """Whatever went first: the rest is found by its topics, or by its schemas, which go last."""
    wanted = desired(contracts("adresso"), GROUPS)
    actual = as_desired(newest=recorded("adresso"))
    order = ["rights", "users", "quotas", "topics"]
    kept = as_desired(wanted, recorded("adresso"))
    for name in order[: order.index(gone) + 1]:
        actual = replace(actual, **{name: getattr(kept, name)})
    left = [one.address for one in planned(actual, wanted, recorded("adresso")).removals(["partner/hoshi-card"])]
    assert f"schema/{_TOPIC}-value" in left
    assert ("topic/" + _TOPIC in left) is (gone != "topics")


def test_a_partner_whose_topics_were_deleted_by_hand_is_still_known() -> None:
    """By its schemas: its rights and its password would let it in again with the next topic of that name."""
    wanted = desired(contracts("adresso"), GROUPS)
    topics_gone = replace(as_desired(newest=recorded("adresso")), topics=as_desired(wanted).topics)
    left = {one.address for one in planned(topics_gone, wanted, recorded("adresso")).removals(["partner/hoshi-card"])}
    assert left >= {"password/hoshi-card/SCRAM-SHA-512", right_address(_READ), "quota/hoshi-card"}


def test_an_address_that_names_nothing_left_over_is_refused_with_the_nearest() -> None:
    plan = planned(BESIDE["topic/sluice.old"](as_desired()))
    with pytest.raises(SluiceError, match=r"did you mean `topic/sluice\.old`"):
        plan.removals(["topic/sluice.odl"])
    with pytest.raises(SluiceError, match=r"topic/sluice\.disclosures"):
        plan.removals([f"topic/{topics.DISCLOSURES}"])


def test_evidence_is_never_left_over() -> None:
    for actual in (as_desired(), *(beside(as_desired()) for beside in BESIDE.values())):
        removable = {one.address for one in planned(actual).left_over}
        assert not removable & {f"topic/{name}" for name in (*topics.OWN, topics.CONTRACT_SETS)}


def test_what_changes_with_the_set_is_said() -> None:
    before = msgspec.structs.replace(recorded("adresso"), laws={"ZZ.yaml": "older"}, source_schema="[]")
    (step,) = planned(as_desired(newest=before)).steps
    for said in ("hoshi-card.yaml added", "ZZ.yaml edited", "source schema changed"):
        assert said in step.says


def test_another_master_key_is_not_passed_over() -> None:
    before = msgspec.structs.replace(SET, master_key="another")
    (step,) = planned(as_desired(newest=before)).steps
    assert "every pseudonym changes" in step.says


def test_the_digest_is_that_of_what_was_seen() -> None:
    plan = planned(as_desired())
    digests = {planned(change(as_desired())).digest for change in (*MISSING.values(), *BESIDE.values())}
    assert len(digests) == len(MISSING) + len(BESIDE)
    assert plan.digest not in digests
    assert plan.digest == planned(as_desired()).digest
    unmade = msgspec.structs.replace(SET, master_key="")
    assert planned(as_desired(), proposed=unmade).contract_set == plan.contract_set, "a key is made while it is applied"


def test_the_summary_counts_by_kind() -> None:
    plan = planned(MISSING["quota/hoshi-card"](MISSING["user/hoshi-card"](as_desired())))
    assert summary(plan.steps) == "1 user, 1 quota"


def schema(**fields: Any) -> str:  # noqa: ANN401
    listed = [{"name": name, "type": ["null", avro], "default": None} for name, avro in fields.items()]
    return msgspec.json.encode({"type": "record", "name": "Customer", "fields": listed}).decode()


@pytest.mark.parametrize(
    ("wanted", "before"),
    [
        ({"a": "string"}, {"a": "string", "b": "int"}),
        ({"a": "string", "b": "int"}, {"a": "string"}),
        ({"b": "int"}, {"a": "string"}),
    ],
)
def test_a_field_that_goes_or_comes_breaks_nobody(wanted: dict[str, str], before: dict[str, str]) -> None:
    assert breaks("s", schema(**wanted), [schema(**before)]) is None


DATE = {"type": "int", "logicalType": "date"}


@pytest.mark.parametrize(
    ("after", "before"),
    [("int", "string"), ("string", "int"), ("long", "int"), ("int", "long"), (DATE, "int"), ("int", DATE)],
)
def test_a_type_that_changes_breaks_one_side_and_is_named(after: str, before: str) -> None:
    """A reader of longs reads ints, and not the other way round: both ways have to hold.

    Avro has a date read as a year without a word, and Apache's checker with it.
    """
    broken = breaks("partner.x.customers-value", schema(a=after, b="string"), [schema(a=before, b="string")])
    assert broken is not None
    assert "the field `a` changes from " in broken
    assert "docs/contracts.md" in broken


def test_every_earlier_version_counts() -> None:
    assert breaks("s", schema(a="int"), [schema(a="string"), schema(b="string")]) is not None
    assert breaks("s", schema(a="int"), []) is None


def test_a_schema_that_would_break_its_readers_stops() -> None:
    actual = as_desired()
    subject = f"{_TOPIC}-value"
    other = Subject("FULL_TRANSITIVE", is_registered=False, versions=(schema(email="int"),))
    plan = planned(replace(actual, subjects={**actual.subjects, subject: other}))
    assert [finding.address for finding in plan.stopping()] == [f"schema/{subject}"]
