"""The difference between what is desired and what there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from sluice.planning import ownership
from sluice.planning.actual import NO_SUBJECT, Actual
from sluice.planning.compatibility import breaks
from sluice.planning.plan import Finding, Plan
from sluice.planning.steps import (
    ChangeSetting,
    CreateTopic,
    Grant,
    RecordSet,
    RegisterSchema,
    Removal,
    RemoveQuota,
    RemoveRight,
    RemoveSchema,
    RemoveTopic,
    RemoveUser,
    ResetSetting,
    SetCompatibility,
    SetPassword,
    SetQuota,
    Step,
    right_address,
    right_in_words,
)
from sluice.provisioning import Desired, Quota, Topic
from sluice.recorded_set import RecordedSet


def difference(desired: Desired, proposed: RecordedSet, actual: Actual, partitions: int) -> Plan:
    """What to do, what is left over and what no step can mend.

    The steps come in an order in which a failure half-way leaves nothing unsafe:

    1. topics and their settings, so that nothing is granted or recorded that is not there;
    2. schemas, without which the processor would refuse the set;
    3. users, and quotas before rights: nobody reads faster than the contract says, not even for a moment;
    4. rights;
    5. the set, last: only now is anything shared under it.

    Removals come after it: the set no longer names what they take away. First who may, then what they might.
    `proposed` is the set as it would be recorded if there were nothing to create.
    """
    steps = (
        *_topics(desired, actual, partitions),
        *_schemas(desired, actual),
        *_users(desired, actual),
        *_quotas(desired, actual),
        *_rights(desired, actual),
        *_set(proposed, actual.recorded),
    )
    return Plan(
        steps,
        tuple(_left_over(desired, actual)),
        tuple(_findings(desired, proposed, actual, partitions)),
        msgspec.structs.replace(proposed, master_key="").digest,
    )


def _topics(desired: Desired, actual: Actual, partitions: int) -> Iterator[Step]:
    for topic in desired.topics:
        there = actual.topics.get(topic.name)
        if there is None:
            yield CreateTopic(topic, topic.partitions or partitions)
            continue
        for name, value in topic.settings.items():
            if there.settings.get(name) != value:
                yield ChangeSetting(topic.name, name, value, there.settings.get(name))


def _schemas(desired: Desired, actual: Actual) -> Iterator[Step]:
    for schema in desired.schemas:
        there = actual.subjects.get(schema.subject, NO_SUBJECT)
        if not there.is_registered:
            yield RegisterSchema(schema, len(there.versions))
        elif there.compatibility != schema.compatibility:
            yield SetCompatibility(schema.subject, schema.compatibility, there.compatibility)


def _users(desired: Desired, actual: Actual) -> Iterator[Step]:
    """A user without a file is not touched as long as it can log in: its file was handed over."""
    for user in (one for one in desired.users if one not in desired.certified):
        mechanisms = actual.users.get(user, frozenset())
        usable = actual.files[user] in mechanisms if user in actual.files else bool(mechanisms)
        if not usable:
            yield SetPassword(user)


def _quotas(desired: Desired, actual: Actual) -> Iterator[Step]:
    for quota in desired.quotas:
        before = actual.quotas.get(quota.user)
        if before != quota.bytes_per_second:
            yield SetQuota(quota, before)


def _rights(desired: Desired, actual: Actual) -> Iterator[Step]:
    there = set(actual.rights)
    return (Grant(right) for right in desired.rights if right not in there)


def _set(proposed: RecordedSet, before: RecordedSet | None) -> Iterator[Step]:
    if before is None:
        yield RecordSet({f"{len(proposed.contracts)} files of contracts": "for the first time"})
    elif proposed.digest != before.digest:
        yield RecordSet(dict(_changes(proposed, before)))


def _changes(proposed: RecordedSet, before: RecordedSet) -> Iterator[tuple[str, str]]:
    yield from _edited(before.contracts, proposed.contracts)
    yield from _edited(before.laws, proposed.laws)
    for partner in sorted(before.names().keys() - proposed.names().keys()):
        yield f"partner {partner}", "out"
    if proposed.source_schema != before.source_schema:
        yield "source schema", "changed"
    if (proposed.source_priority, proposed.facts) != (before.source_priority, before.facts):
        yield "settings", "changed"
    if proposed.master_key != before.master_key:
        yield "master key", "ANOTHER: every pseudonym changes, everything is recalled and shared anew"
    if proposed.topic_ids() != before.topic_ids():
        yield "topics", "as they are now"


def _edited(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield name, "added"
        elif name not in after:
            yield name, "taken out"
        elif before[name] != after[name]:
            yield name, "edited"


def _left_over(desired: Desired, actual: Actual) -> Iterator[Removal]:
    """First rights and users, so that nobody uses what goes; topics and schemas last, which say whose the rest is."""
    ours = ownership.our_users(desired, actual)
    wanted = set(desired.rights)
    for right in sorted(actual.rights):
        user = ownership.user_called(right.user, ours)
        if user is not None and right not in wanted:
            whose = ownership.partner_in(right.name) or (user if user not in desired.users else None)
            yield RemoveRight(whose, right)
    for user in sorted(ours & actual.users.keys()):
        yield from _passwords(user, desired, actual)
    limited = {quota.user for quota in desired.quotas}
    for name in sorted(actual.quotas.keys() - limited):
        if (whose := ownership.user_called(name, ours)) is not None:
            yield RemoveQuota(whose, Quota(name, actual.quotas[name]))
    topics = {topic.name: topic for topic in desired.topics}
    for name in sorted(actual.topics.keys() & topics.keys()):
        yield from _beside(topics[name], actual.topics[name].settings)
    for name in sorted(actual.topics.keys() - topics.keys()):
        yield RemoveTopic(ownership.partner_in(name), name)
    for subject in sorted(actual.subjects.keys() - {schema.subject for schema in desired.schemas}):
        yield RemoveSchema(ownership.partner_in(subject), subject)


def _passwords(user: str, desired: Desired, actual: Actual) -> Iterator[Removal]:
    is_wanted = user in desired.users
    for mechanism in sorted(actual.users[user]):
        if not is_wanted:
            yield RemoveUser(user, user, mechanism)
        elif user in actual.files and actual.files[user] in actual.users[user] - {mechanism}:
            yield RemoveUser(user, user, mechanism, is_former=True)


def _beside(topic: Topic, settings: Mapping[str, str]) -> Iterator[Removal]:
    for name in sorted(settings.keys() - topic.settings.keys()):
        yield ResetSetting(ownership.partner_in(topic.name), topic.name, name, settings[name])


def _findings(desired: Desired, proposed: RecordedSet, actual: Actual, partitions: int) -> Iterator[Finding]:
    for topic in desired.topics:
        there = actual.topics.get(topic.name)
        wanted = topic.partitions or partitions
        if there is not None and there.partitions != wanted:
            yield Finding(
                f"topic/{topic.name}",
                f"has {there.partitions} partitions, and has to have {wanted}: no topic ever gets more or fewer. "
                "Put back `partitions` in the settings, or make the topic anew while nothing is in it",
                stops=True,
            )
    for schema in desired.schemas:
        there_is = actual.subjects.get(schema.subject, NO_SUBJECT)
        broken = None if there_is.is_registered else breaks(schema.subject, schema.text, there_is.versions)
        if broken is not None:
            yield Finding(f"schema/{schema.subject}", broken, stops=True)
    names = [topic.name for topic in desired.topics]
    ours = ownership.our_users(desired, actual)
    for right in sorted(set(actual.rights) - set(desired.rights)):
        is_strange = ownership.user_called(right.user, ours) is None
        if is_strange and ownership.touches_ours(right, {*names, *actual.topics}):
            yield Finding(
                right_address(right), f"{right_in_words(right)}: nobody here knows {right.user}; see to it by hand"
            )
    for partner in proposed.partners:
        if partner.ended:
            yield Finding(
                f"partner/{partner.partner}",
                "has no contract any more: everything is being recalled. When it holds nothing and has read that, "
                f"`sluice apply --destroy partner/{partner.partner}` removes what is left",
            )
