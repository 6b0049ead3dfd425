"""The way of one customer: for each partner exactly one outcome. Pure; everything else serves this page.

consents, facts, contract, law, time ─▶ decide ─▶ row filter ─▶ project ─▶ compare with what is held ─▶ outcome
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from msgspec.structs import replace

from sluice import keys
from sluice.consent import ConsentRecord
from sluice.decision import Denied, Permitted
from sluice.keys import CustomerKey, NoKey
from sluice.model import (  # fmt: skip
    Cause,
    CustomerId,
    Held,
    Millis,
    Outcome,
    PartnerId,
    Pseudonym,
    Reason,
    Recalled,
    Rejected,
    Restricted,
    Shared,
    Unchanged,
    Withheld,
)
from sluice.projection import Snapshot, Unread
from sluice.redaction import Customer
from sluice.ruling import Policy, Ruling
from sluice.store import Row
from sluice.terms import Terms
from stream_processors.sharing.parties import FormerPartnership, Partnership, Party


class Gone(NamedTuple):
    """There is no profile to share."""

    reason: Reason


Profile = Snapshot | Unread | Gone


@dataclass
class Case:
    """One customer, and what is known when the answer is given. Not to be changed; to be frozen costs too much."""

    customer: CustomerId
    row: Row
    profile: Profile
    ruling: Ruling | None
    """On the facts of the profile; None while there is no profile, or it cannot be read."""
    may_widen: bool
    """False: no partner and no field may be added now; narrowing is never delayed (LOOP 12)."""
    now: Millis
    policy: Policy
    customer_key: CustomerKey = field(default=NoKey.NOT_ISSUED, repr=False)
    """The customer's own; not looked for unless `needs_customer_key`."""

    @property
    def is_restricted(self) -> bool:
        """What is held is kept and not used (GDPR 18)."""
        return self.ruling is not None and self.ruling.facts.restricted

    @property
    def rectified_at(self) -> Millis | None:
        return None if self.ruling is None else self.ruling.facts.rectified_at


def ruling_on(consents: ConsentRecord, profile: Profile, policy: Policy, now: Millis) -> Ruling | None:
    """None while there is no profile, or it cannot be read."""
    if not isinstance(profile, Snapshot):
        return None
    return policy.rule(profile.facts(policy.law.paths), consents, now)


def reconcile(case: Case, partner: Party) -> Outcome:
    """What must become of the customer at this partner, for what is held to equal what is allowed."""
    held = case.row.held.get(partner.partner)
    if isinstance(partner, FormerPartnership):
        return _stop(held, Reason.CONTRACT_ENDED)
    verdict = _verdict(case, partner, held)
    if isinstance(verdict, Denied):
        return _stop(held, verdict.reason)
    if not isinstance(case.profile, Snapshot):
        return _without_profile(held, verdict)
    if held is not None and case.is_restricted:
        return _restrict(held, partner, verdict)
    pseudonym = _pseudonym(case, partner, held)
    customer = Customer(case.customer, pseudonym, case.customer_key)
    match partner.projector.project(case.profile, verdict.fields, customer):
        case None:
            return _stop(held, Reason.REQUIRED_FIELD_MISSING)
        case Cause() as cause:
            return Rejected(cause, recalls=held)
        case bytes() as record:
            return _compare(held, _held(case, partner, pseudonym, record, verdict), record)


def next_due(case: Case, held: Mapping[PartnerId, Held], partners: Iterable[Party]) -> Millis | None:
    """The first instant after now at which time alone may change an outcome; None: there is none.

    `held`: as the outcomes leave it. `partners`: those who hold or may hold something; to others nothing comes before
    the ruling ends.
    """
    instants = [case.ruling.until] if case.ruling else []
    for partner in partners:
        if isinstance(partner, FormerPartnership):
            continue
        if case.is_restricted:
            instants.append(held[partner.partner].expires_at if partner.partner in held else None)
        elif isinstance(case.profile, Snapshot):
            instants.append(partner.projector.next_change(case.profile, case.now))
            instants.append(retained_until(case, case.profile, partner.terms))
        elif partner.partner in held:
            instants.append(held[partner.partner].expires_at)
    return min((instant for instant in instants if instant is not None and instant > case.now), default=None)


def needs_customer_key(case: Case, partners: Iterable[Party]) -> bool:
    """Whether `reconcile` would seal a field at one of them: nobody is to get a key of whom nothing is shared."""
    return any(_seals(case, one) for one in partners if isinstance(one, Partnership) and one.projector.sealed)


def _seals(case: Case, partner: Partnership) -> bool:
    verdict = _verdict(case, partner, case.row.held.get(partner.partner))
    if isinstance(verdict, Denied) or not isinstance(case.profile, Snapshot) or case.is_restricted:
        return False
    return any(path in verdict.fields for path in partner.projector.sealed)


def _verdict(case: Case, partner: Partnership, held: Held | None) -> Permitted | Denied:
    """What may be held by law, contract and row filter, and until when."""
    if isinstance(case.profile, Gone):
        return Denied(case.profile.reason)
    ruling = _ruling(case, partner, held)
    if isinstance(ruling, Denied) or isinstance(case.profile, Unread):
        return ruling
    retained = retained_until(case, case.profile, partner.terms)
    if retained is not None and retained <= case.now:
        return Denied(Reason.RETENTION_ENDED)
    if not partner.projector.admits(case.profile, case.now):
        return Denied(Reason.OUTSIDE_ROW_FILTER)
    filtered = partner.projector.next_change(case.profile, case.now)
    until = ruling.until
    for end in (retained, filtered):
        if end is not None and (until is None or end < until):
            until = end
    return ruling if until == ruling.until else replace(ruling, until=until)


def _ruling(case: Case, partner: Partnership, held: Held | None) -> Permitted | Denied:
    """The decision; while nothing may be added, the one for what is held already.

    A restriction is asked for last: what may not be held anyway is recalled, and the rest is kept as it is.
    """
    if case.ruling is None:
        if held is None:
            return Denied(Reason.PROFILE_NOT_READ_YET)
        # LOOP 22: the rules that the disclosure rests on need no profile
        return case.policy.rule_on(partner.terms, held.rules, case.row.consents, case.now)
    if held is not None and case.is_restricted:
        facts = replace(case.ruling.facts, restricted=False)
        return case.policy.rule_on(partner.terms.only(held.fields), facts, case.row.consents, case.now)
    verdict = case.ruling.answer(partner.partner)
    if isinstance(verdict, Denied) or (case.may_widen and not partner.paused):
        return verdict
    if held is None:
        return Denied(Reason.CONTRACT_PAUSED if partner.paused else Reason.WAITING_FOR_UPDATES)
    narrow = partner.terms.only(held.fields)
    return case.policy.rule_on(narrow, case.ruling.facts, case.row.consents, case.now)


def _without_profile(held: Held | None, verdict: Permitted) -> Recalled | Unchanged | Withheld:
    """Left as it is, unless a field has to go: a record without it cannot be made now (LOOP 22)."""
    keeps_all = held is not None and set(held.fields) <= set(verdict.fields)
    return Unchanged() if keeps_all else _stop(held, Reason.PROFILE_NOT_READ_YET)


def _restrict(held: Held, partner: Partnership, verdict: Permitted) -> Restricted | Unchanged | Recalled:
    """Left as it is, unless a field has to go or the contract is another: another record would be used."""
    if not set(held.fields) <= set(verdict.fields) or held.contract != partner.contract:
        return Recalled(held, Reason.PROCESSING_RESTRICTED)
    basis = {"consents": verdict.consents, "rules": verdict.rules, "expires_at": verdict.until}
    new = replace(held, restricted=True, **basis)
    if not held.restricted:
        return Restricted(new)
    return Unchanged(renewed=None if new == held else new)


def retained_until(case: Case, profile: Snapshot, terms: Terms) -> Millis | None:
    """When the contract's retention ends, counted from the source's last change; what says none of it is over."""
    if terms.retain_ms is None:
        return None
    changed = profile.value(case.policy.law.paths.updated_at)
    return Millis(changed + terms.retain_ms) if isinstance(changed, int) else Millis(0)


def _pseudonym(case: Case, partner: Partnership, held: Held | None) -> Pseudonym:
    """Made once a contract, whose digest says which keys it was made with."""
    if held is not None and held.contract == partner.contract and held.key_epoch == partner.keys.epoch:
        return held.pseudonym
    return keys.pseudonym(partner.keys.record, case.customer)


def _held(case: Case, partner: Partnership, pseudonym: Pseudonym, record: bytes, verdict: Permitted) -> Held:
    return Held(
        pseudonym=pseudonym,
        key_epoch=partner.keys.epoch,
        contract=partner.contract,
        fields=verdict.fields,
        digest=keys.keyed_digest(partner.keys.digest, record),
        consents=verdict.consents,
        rules=verdict.rules,
        expires_at=verdict.until,
        rectified_at=case.rectified_at,
    )


def _compare(held: Held | None, new: Held, record: bytes) -> Shared | Unchanged:
    if held is not None and held.pseudonym != new.pseudonym:
        return Shared(new, record, replaces=held)
    if held is None:
        return Shared(new, record)
    if held.digest != new.digest:
        return Shared(new, record, rectifies=(new.rectified_at or 0) > (held.rectified_at or 0))
    if held.restricted:
        return Shared(new, record)
    return Unchanged(renewed=None if new == held else new)


def _stop(held: Held | None, reason: Reason) -> Recalled | Withheld:
    return Recalled(held, reason) if held else Withheld(reason)


NO_PROFILE: Final = Gone(Reason.NO_PROFILE)
DELETED: Final = Gone(Reason.DELETED_AT_SOURCE)
UNREADABLE: Final = Gone(Reason.PROFILE_UNREADABLE)
