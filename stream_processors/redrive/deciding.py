"""What would become of a rejected record today. Pure, but for the schemas that decoding asks for.

The same functions decide as in the processor: `folding`, `reconcile`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from sluice import topics
from sluice.avro import Undecodable
from sluice.errors import SluiceError
from sluice.keys import CustomerKey
from sluice.log import Record
from sluice.model import Cause, CustomerId, Millis, Outcome, PartnerId, Rejected, Unchanged, Withheld
from sluice.projection import Unread
from sluice.store import Row
from stream_processors.redrive.rejections import Rejection
from stream_processors.sharing import folding
from stream_processors.sharing.folding import Misplaced
from stream_processors.sharing.pipeline import (
    DELETED,
    NO_PROFILE,
    UNREADABLE,
    Case,
    Profile,
    needs_customer_key,
    reconcile,
    ruling_on,
)
from stream_processors.sharing.view import View


class State(StrEnum):
    """What is to be done about a pointer, or was. A closed set: programs read it."""

    TO_REDRIVE = "to_redrive"
    """Today's rules accept the record, and its customer has to be reconciled for it: not asked for yet."""
    REDRIVEN = "redriven"
    """The same, and it was asked for."""
    SUPERSEDED = "superseded"
    """A newer update of the customer was read since: this one will never count again."""
    GONE = "gone"
    """The record is no longer there: compacted away, or deleted."""
    STILL_REJECTED = "still_rejected"
    """Today's rules reject it too."""
    NEEDS_PRODUCER = "needs_producer"
    """It names nobody, or stands where its customer is not served: its producer has to send it again."""
    ACKNOWLEDGED = "acknowledged"
    """It names nobody, and an operator has looked into it: nothing waits for it."""
    ALREADY_ACCEPTED = "already_accepted"
    """Partners hold what today's rules say, or it was written again where it belongs: nothing is to be done."""


@dataclass(frozen=True, slots=True)
class Source:
    """What the topics say today of a rejected record and its customer."""

    record: Record | None
    """None: it is not there any more."""
    row: Row = field(default_factory=Row)
    """The customer's, from all inputs and disclosures."""
    newest: int | None = None
    """Offset of the customer's newest update."""


@dataclass(frozen=True, slots=True)
class Verdict:
    rejection: Rejection
    state: State
    cause: Cause | None = None
    """Why it is still rejected."""
    customer: CustomerId | None = None
    outcomes: Mapping[PartnerId, Outcome] = field(default_factory=dict)
    """What reconciling the customer today comes to, at each partner."""

    @property
    def changed(self) -> frozenset[PartnerId]:
        """Where a disclosure will follow."""
        return frozenset(partner for partner, outcome in self.outcomes.items() if _changes(outcome))


@dataclass(frozen=True, slots=True)
class Judge:
    """Today's rules."""

    view: View
    now: Millis
    key_of: Callable[[CustomerId], CustomerKey]
    """The customer's own key, without issuing one."""
    _known: dict[CustomerId, Mapping[PartnerId, Outcome]] = field(default_factory=dict)

    def judge(self, rejection: Rejection, source: Source) -> Verdict:
        """By these rules, of which the first that fits decides.

        1. What is not there any more is gone.
        2. What names nobody has to be sent again, unless an operator has acknowledged it.
        3. What was misplaced was written again by the processor, but for a customer's snapshot.
        4. Of a customer's updates only the newest counts.
        5. What today's rules reject is not asked for: it would be rejected without end.
        6. Where nothing would change, nothing is asked for.

        Raises RegistryUnavailable, SluiceError.
        """
        record = source.record
        if record is None:
            return Verdict(rejection, State.GONE)
        named = folding.named(record, self.view.partitions)
        if named is None:
            seen = str(rejection.where) in self.view.acknowledged
            return Verdict(rejection, State.ACKNOWLEDGED if seen else State.NEEDS_PRODUCER)
        if isinstance(named, Misplaced):
            again = record.topic == topics.CONSENT_EVENTS or record.value is None
            return Verdict(rejection, State.ALREADY_ACCEPTED if again else State.NEEDS_PRODUCER)
        if record.topic == topics.CONSENT_EVENTS:
            return self._consent(rejection, record, source, named)
        return self._update(rejection, source, named)

    def _update(self, rejection: Rejection, source: Source, customer: CustomerId) -> Verdict:
        if source.newest is not None and source.newest > rejection.offset:
            return Verdict(rejection, State.SUPERSEDED, customer=customer)
        cause = self._unreadable(source.row)
        if cause is not None:
            return Verdict(rejection, State.STILL_REJECTED, cause, customer)
        outcomes = self._outcomes(customer, source.row)
        verdict = Verdict(rejection, State.TO_REDRIVE, None, customer, outcomes)
        meant = outcomes if rejection.partner is None else {PartnerId(rejection.partner)} & outcomes.keys()
        if not verdict.changed.intersection(meant):
            rejects = [one.cause for p in meant if isinstance(one := outcomes[p], Rejected)]
            state = State.STILL_REJECTED if rejects else State.ALREADY_ACCEPTED
            return replace(verdict, state=state, cause=rejects[0] if rejects else None)
        return verdict

    def _consent(self, rejection: Rejection, record: Record, source: Source, customer: CustomerId) -> Verdict:
        """While the processor cannot read one of a customer's answers, no partner holds the customer.

        So where one does, and nothing would change, the answer was read. Otherwise it is asked for, though nothing
        changes now: answers to come count only once this one can be read.
        """
        _, cause = folding.with_consent(Row(), customer, folding.consent_in(record), self.view.decode)
        if cause is not None:
            return Verdict(rejection, State.STILL_REJECTED, cause, customer)
        outcomes = self._outcomes(customer, source.row)
        verdict = Verdict(rejection, State.TO_REDRIVE, None, customer, outcomes)
        was_read = bool(source.row.held) and str(rejection.where) not in self.view.acknowledged
        return replace(verdict, state=State.ALREADY_ACCEPTED) if was_read and not verdict.changed else verdict

    def _unreadable(self, row: Row) -> Cause | None:
        try:
            self._profile(row)
        except Undecodable as error:
            return error.cause
        return None

    def _profile(self, row: Row) -> Profile:
        """Raises Undecodable."""
        if row.profile is None:
            return DELETED if row.deleted else NO_PROFILE
        profile = self.view.source.read(row.profile)
        if isinstance(profile, Unread):
            raise SluiceError("The schema registry does not answer, so nothing can be decided: is it running?")
        return profile

    def _outcomes(self, customer: CustomerId, row: Row) -> Mapping[PartnerId, Outcome]:
        if customer not in self._known:
            self._known[customer] = self._reconciled(customer, row)
        return self._known[customer]

    def _reconciled(self, customer: CustomerId, row: Row) -> Mapping[PartnerId, Outcome]:
        try:
            profile = self._profile(row)
        except Undecodable:
            profile = UNREADABLE
        ruling = ruling_on(row.consents, profile, self.view.policy, self.now)
        case = Case(customer, row, profile, ruling, True, self.now, self.view.policy)
        if needs_customer_key(case, self.view.parties):
            case = replace(case, customer_key=self.key_of(customer))
        return {party.partner: reconcile(case, party) for party in self.view.parties}


def _changes(outcome: Outcome) -> bool:
    return not isinstance(outcome, Withheld) and outcome != Unchanged() and not _is_idle_reject(outcome)


def _is_idle_reject(outcome: Outcome) -> bool:
    return isinstance(outcome, Rejected) and outcome.recalls is None
