"""Carrying a plan out, kind by kind in the plan's order. Every step may be repeated: what is there already stays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import TypeVar

from sluice.interrupts import interrupts_held
from sluice.kafka import provisioning as broker_side
from sluice.kafka import quotas
from sluice.planning import Removal, Step
from sluice.planning.steps import (
    ChangeSetting,
    CreateTopic,
    Grant,
    RecordSet,
    RegisterSchema,
    RemoveQuota,
    RemoveRight,
    RemoveSchema,
    RemoveTopic,
    RemoveUser,
    ResetSetting,
    SetCompatibility,
    SetPassword,
    SetQuota,
)
from sluice.survey import Place
from sluice.user_files import ConnectionFiles

T = TypeVar("T")


def carry_out(
    steps: Iterable[Step | Removal], place: Place, record: Callable[[], None], on_done: Callable[[Step | Removal], None]
) -> None:
    """`record` puts the set in force. `on_done` is told of each step; Ctrl-C is heard between kinds of steps.

    Raises SluiceError; what was told is done.
    """
    for _, alike in groupby(steps, type):
        batch = list(alike)
        with interrupts_held():
            if isinstance(batch[0], RecordSet):
                record()
            elif batch[0].sign == "-":
                _remove(batch, place)
            else:
                _make(batch, place)
        for step in batch:
            on_done(step)


def _make(batch: Sequence[Step | Removal], place: Place) -> None:
    broker, registry = place.broker, place.registry
    match batch[0]:
        case CreateTopic():
            wanted = [step.topic for step in _all(CreateTopic, batch)]
            broker_side.create_topics(broker, wanted, place.settings.partitions)
        case ChangeSetting():
            changes = [(step.topic, step.name, step.value) for step in _all(ChangeSetting, batch)]
            broker_side.change_settings(broker, changes)
        case RegisterSchema():
            for step in _all(RegisterSchema, batch):
                registry.register(step.schema.subject, step.schema.text, step.schema.compatibility)
        case SetCompatibility():
            for level in _all(SetCompatibility, batch):
                registry.set_compatibility(level.subject, level.level)
        case SetPassword():
            files = ConnectionFiles(place.settings.clients)
            users = [step.user for step in _all(SetPassword, batch)]
            broker_side.set_passwords(broker, {user: files.ensure(user, place.administrator) for user in users})
        case SetQuota():
            rates = {step.quota.user: step.quota.bytes_per_second for step in _all(SetQuota, batch)}
            quotas.set_rates(place.administrator, rates)
        case Grant():
            broker_side.grant(broker, [step.right for step in _all(Grant, batch)])


def _remove(batch: Sequence[Step | Removal], place: Place) -> None:
    broker = place.broker
    match batch[0]:
        case RemoveRight():
            broker_side.revoke(broker, [step.right for step in _all(RemoveRight, batch)])
        case RemoveUser():
            broker_side.remove_passwords(broker, [(step.user, step.mechanism) for step in _all(RemoveUser, batch)])
        case RemoveQuota():
            quotas.set_rates(place.administrator, {step.quota.user: None for step in _all(RemoveQuota, batch)})
        case ResetSetting():
            resets = [(step.topic, step.name, None) for step in _all(ResetSetting, batch)]
            broker_side.change_settings(broker, resets)
        case RemoveTopic():
            broker_side.delete_topics(broker, [step.topic for step in _all(RemoveTopic, batch)])
        case RemoveSchema():
            for step in _all(RemoveSchema, batch):
                place.registry.delete(step.subject)


def _all(kind: type[T], batch: Iterable[object]) -> list[T]:
    return [step for step in batch if isinstance(step, kind)]
