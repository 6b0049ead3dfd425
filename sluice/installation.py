"""Plan and apply: what a set of contracts needs on a broker and in a registry, and doing it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from sluice.applying import carry_out
from sluice.contract import load_contracts
from sluice.errors import SluiceError
from sluice.kafka import inventory
from sluice.kafka.clients import admin_client
from sluice.key_sources import create_master_key
from sluice.model import PartnerId
from sluice.planning import Plan, Removal, Step
from sluice.recorded_set import RecordedSet
from sluice.recording import Draft, record
from sluice.registry import Registry
from sluice.settings import Settings
from sluice.survey import Place, Survey, source_schema, survey

Approve = Callable[[Plan, tuple[Removal, ...]], None]
"""Sees the plan and what is to be removed; raises to stop it."""
_PARTNER = "partner/"


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done."""

    steps: tuple[Step | Removal, ...]
    contract_set: str
    """Digest of the set in force."""


@contextmanager
def place_of(settings: Settings) -> Iterator[Place]:
    """Raises SluiceError when there are no connection files for the administrator and the registry."""
    administrator = settings.client("admin")
    with closing(Registry(settings.registry())) as registry:
        yield Place(settings, registry, administrator, admin_client(administrator))


def plan(settings: Settings) -> Survey:
    """What `apply` would do. Raises SluiceError."""
    loaded = load_contracts(settings.contracts)
    with place_of(settings) as place:
        return survey(place, loaded)


def apply(
    settings: Settings,
    on_done: Callable[[Step | Removal], None],
    *,
    destroy: Iterable[str] = (),
    approve: Approve = lambda _plan, _removals: None,
) -> Applied:
    """Everything that the contracts need, and away with what `destroy` names. Idempotent; raises SluiceError.

    Each user's connection file is written beside the administrator's, readable by its owner alone.
    """
    addresses = tuple(destroy)
    # before the contracts: those that name a token table need one, and a table is made with the key
    new_key = create_master_key(settings.master_key)
    loaded = load_contracts(settings.contracts)
    with place_of(settings) as place:
        found = survey(place, loaded, partners_in(addresses))
        if new_key is not None and found.draft.before is not None:
            new_key.unlink()
            raise SluiceError(f"There is no master key at {new_key}, and partners have names made with it: restore it.")
        _refuse_partners_with_contracts(found.draft, addresses)
        if stopping := found.plan.stopping():
            raise SluiceError("\n".join(f"{finding.address}: {finding.says}" for finding in stopping))
        removals = found.plan.removals(addresses)
        approve(found.plan, removals)
        steps = (*found.plan.steps, *removals)
        carry_out(steps, place, lambda: record(place.administrator, _recorded(place, found.draft)), on_done)
        return Applied(steps, _recorded(place, found.draft).digest)


def partners_in(addresses: Iterable[str]) -> frozenset[PartnerId]:
    """Those that are to be removed whole."""
    return frozenset(PartnerId(one.removeprefix(_PARTNER)) for one in addresses if one.startswith(_PARTNER))


def _refuse_partners_with_contracts(draft: Draft, addresses: Iterable[str]) -> None:
    named = {contract.partner for contract in draft.contracts.contracts}
    for partner in sorted(partners_in(addresses) & named):
        raise SluiceError(f"{partner} has a contract: take it out, `sluice apply`, and wait until all is recalled.")


def _recorded(place: Place, draft: Draft) -> RecordedSet:
    """As it is when the topics have their ids, and the source's schema is as the registry gives it."""
    source, _ = source_schema(place.registry)
    return replace(draft, source=source).as_recorded(place.settings, _topic_ids(place))


def _topic_ids(place: Place) -> dict[str, str]:
    found = inventory.topics(place.broker, lambda name: name.startswith(("crm.", "sluice.", "partner.")))
    return {name: topic.topic_id for name, topic in found.items()}
