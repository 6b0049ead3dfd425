"""The way of one customer: for each partner exactly one outcome. Pure; everything else serves this page.

consents, contract, time ─▶ decide ─▶ row filter ─▶ project ─▶ compare with what is held ─▶ outcome
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sluice import keys
from sluice.decision import Denied, Permitted, Terms, decide
from sluice.keys import PartnerKeys
from sluice.model import (  # fmt: skip
    Cause,
    CustomerId,
    Held,
    Millis,
    Outcome,
    PartnerId,
    Reason,
    Recalled,
    Rejected,
    Shared,
    Unchanged,
    Withheld,
)
from sluice.projection import Projector, Snapshot, Unread
from sluice.store import Row


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no profile to share."""

    reason: Reason


Profile = Snapshot | Unread | Gone


@dataclass(frozen=True, slots=True)
class Partnership:
    """One partner, as the processor serves it."""

    partner: PartnerId
    terms: Terms
    contract: str
    """The contract's digest."""
    keys: PartnerKeys
    projector: Projector
    acknowledge_within_ms: int


@dataclass(frozen=True, slots=True)
class Case:
    """One customer, and what is known when the answer is given."""

    customer: CustomerId
    row: Row
    profile: Profile
    may_widen: bool
    """False: no partner and no field may be added now; narrowing is never delayed (LOOP 12)."""
    now: Millis
    acknowledged: Collection[str]


def reconcile(case: Case, partner: Partnership) -> Outcome:
    """What must become of the customer at this partner, for what is held to equal what is allowed."""
    held = case.row.held.get(partner.partner)
    if isinstance(case.profile, Gone):
        return _stop(held, case.profile.reason)
    verdict = _decide(case, partner, held)
    if isinstance(verdict, Denied):
        return _stop(held, verdict.reason)
    if isinstance(case.profile, Unread):
        return _without_profile(held, verdict)
    if not partner.projector.admits(case.profile):
        return _stop(held, Reason.OUTSIDE_ROW_FILTER)
    pseudonym = held.pseudonym if held else keys.pseudonym(partner.keys.record, case.customer)
    match partner.projector.project(case.profile, verdict.fields, pseudonym):
        case None:
            return _stop(held, Reason.REQUIRED_FIELD_MISSING)
        case Cause() as cause:
            return Rejected(cause, recalls=held)
        case bytes() as record:
            digest = keys.keyed_digest(partner.keys.digest, record)
            new = Held(
                pseudonym, partner.keys.epoch, partner.contract, verdict.fields, digest, verdict.consents, verdict.until
            )
            return _compare(held, new, record)


def _decide(case: Case, partner: Partnership, held: Held | None) -> Permitted | Denied:
    """The decision; while nothing may be added, the one for what is held already."""
    verdict = decide(partner.terms, case.row.consents, case.now, case.acknowledged)
    if case.may_widen or isinstance(verdict, Denied) or isinstance(case.profile, Unread):
        return verdict
    if held is None:
        return Denied(Reason.WAITING_FOR_UPDATES)
    return decide(partner.terms.only(held.fields), case.row.consents, case.now, case.acknowledged)


def _without_profile(held: Held | None, verdict: Permitted) -> Recalled | Unchanged | Withheld:
    """Left as it is, unless a field has to go: a record without it cannot be made now (LOOP 22)."""
    if held is None:
        return Withheld(Reason.PROFILE_NOT_READ_YET)
    narrowed = not set(held.fields) <= set(verdict.fields)
    return Recalled(held, Reason.PROFILE_NOT_READ_YET) if narrowed else Unchanged()


def _compare(held: Held | None, new: Held, record: bytes) -> Shared | Unchanged:
    if held is None or held.digest != new.digest:
        return Shared(new, record)
    return Unchanged(renewed=None if new == held else new)


def _stop(held: Held | None, reason: Reason) -> Recalled | Withheld:
    return Recalled(held, reason) if held else Withheld(reason)


NO_PROFILE: Final = Gone(Reason.NO_PROFILE)
DELETED: Final = Gone(Reason.DELETED_AT_SOURCE)
UNREADABLE: Final = Gone(Reason.PROFILE_UNREADABLE)
