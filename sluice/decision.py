"""May this partner hold this customer, on what basis, which fields, until when? Pure: no clock, no I/O, no logging.

Before law packs exist every recipient kind is opt-in: a positive, current, matching grant, or nothing (LOOP 26).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from sluice.consent import (
    CLOCK_TOLERANCE_MS,
    Actor,
    ConsentEvent,
    ConsentRecord,
    Expression,
    RecipientKind,
    State,
    within,
)
from sluice.model import Millis, PartnerId, Reason

_GRANTS = frozenset({State.GIVEN, State.RENEWED})
_NEGATIVES: Mapping[State, Reason] = {
    State.REFUSED: Reason.REFUSED,
    State.WITHDRAWN: Reason.WITHDRAWN,
    State.REVOKED: Reason.WITHDRAWN,
    State.OBJECTED: Reason.OBJECTED,
    State.OPTED_OUT: Reason.OPTED_OUT,
    State.LIMITED: Reason.LIMITED,
}
_ENDS_A_GRANT: Mapping[State, Reason] = {
    State.EXPIRED: Reason.GRANT_EXPIRED,
    State.INVALIDATED: Reason.GRANT_INVALIDATED,
    State.UNKNOWN: Reason.UNANSWERED,
}
_MAY_CONSENT = frozenset({Actor.SUBJECT, Actor.GUARDIAN, Actor.AGENT})
_OPT_IN = frozenset({Expression.EXPLICIT, Expression.OPT_IN})
_MARKETING = "marketing"
_SHARING_PURPOSES = ("sales", "third_party_sharing")
_SHARED_BY_WHAT_IS_DONE = frozenset(
    {RecipientKind.PARTNER, RecipientKind.THIRD_PARTY_SALE, RecipientKind.AFFILIATE_OTHER_BRAND}
)
"""Disclosures that an opt-out of sale or sharing is about: the strictest reading, as long as no law pack says less."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a decision needs to know of a contract."""

    partner: PartnerId
    kind: RecipientKind
    purpose: str
    brand: str | None
    valid_from: Millis
    valid_until: Millis | None
    categories: Mapping[str, str]
    """Data category of each field the contract lists, by dotted path, in the contract's order."""

    def only(self, paths: Collection[str]) -> Terms:
        """The same for fewer fields."""
        return replace(self, categories={path: c for path, c in self.categories.items() if path in paths})

    @property
    def channel(self) -> str | None:
        """The channel that the purpose is about: `marketing.communications.email` is about email."""
        head, _, channel = self.purpose.rpartition(".")
        return channel if head == "marketing.communications" else None


@dataclass(frozen=True, slots=True)
class Permitted:
    """These fields may be held, on the strength of these consent records, until the basis ends."""

    fields: tuple[str, ...]
    consents: tuple[str, ...]
    until: Millis | None
    """None: no end is known."""


@dataclass(frozen=True, slots=True)
class Denied:
    reason: Reason


def decide(
    terms: Terms, consents: ConsentRecord, now: Millis, acknowledged: Collection[str] = ()
) -> Permitted | Denied:
    """The answer for one customer and one partner; total: every input gives an answer, and unknown means no.

    1. The contract is in force: `valid_from` included, `valid_until` not.
    2. No consent event of the customer is unreadable, unless an operator has acknowledged it.
    3. There is at least one consent event.
    4. Each data category is judged by itself (`_judge`); fields of a permitted category may be held.
    5. At least one field may be held; otherwise the first category's reason stands for all.
    """
    if now < terms.valid_from or (terms.valid_until is not None and now >= terms.valid_until):
        return Denied(Reason.CONTRACT_NOT_IN_FORCE)
    if any(pointer not in acknowledged for pointer in consents.unreadable):
        return Denied(Reason.CONSENT_UNREADABLE)
    if not consents.events:
        return Denied(Reason.NO_CONSENT_RECORD)
    verdicts = {
        category: _judge(terms, category, consents, now) for category in dict.fromkeys(terms.categories.values())
    }
    grants = [verdict for verdict in verdicts.values() if isinstance(verdict, ConsentEvent)]
    if not grants:
        refusals = (verdict for verdict in verdicts.values() if isinstance(verdict, Reason))
        return Denied(next(refusals, Reason.NO_MATCHING_GRANT))
    ends = [end for end in (terms.valid_until, *(grant.valid_until for grant in grants)) if end is not None]
    return Permitted(
        fields=tuple(
            path for path, category in terms.categories.items() if isinstance(verdicts[category], ConsentEvent)
        ),
        consents=tuple(sorted({grant.record_id for grant in grants})),
        until=min(ends, default=None),
    )


def _judge(terms: Terms, category: str, consents: ConsentRecord, now: Millis) -> ConsentEvent | Reason:
    """The grant that permits one data category, or why none does.

    a. A grant dated in the future has not been given; a no counts whenever it is dated.
    b. A negative stands for its purpose and everything below it, for all recipients unless it names some, until the
       customer themselves explicitly grants this purpose to this recipient later (DOMAIN A4.2, A4.3).
    c. A standing negative beats every other grant, and one that was taken back still ends what was granted before it.
    d. Of the grants that reach this partner, purpose and category (A4.4), the newest in force now counts: begun, not
       expired, not invalidated, not followed by an answer that cannot be understood. One that is over takes none of
       the others away: removing a grant never widens.
    """
    grants = [event for event in consents.events if _is_given(event, now) and _reaches(event, terms, category)]
    negatives = [event for event in consents.events if _forbids(event, terms, category)]
    ends = [event for event in consents.events if _ends_grants(event, terms, category)]
    valid = [grant for grant in grants if not _ended_by(grant, ends, State.INVALIDATED)]
    for negative in reversed(negatives):
        if not any(_takes_back(grant, negative, terms) for grant in valid):
            return _NEGATIVES[negative.state]
    reason = Reason.NO_MATCHING_GRANT
    for grant in reversed(grants):
        if negatives and grant.order <= negatives[-1].order:
            break
        ended = _not_in_force(grant, ends, now)
        if ended is None:
            return grant
        if reason is Reason.NO_MATCHING_GRANT:
            reason = ended
    return reason


def _is_given(event: ConsentEvent, now: Millis) -> bool:
    return event.state in _GRANTS and event.effective_time <= now + CLOCK_TOLERANCE_MS


def _forbids(event: ConsentEvent, terms: Terms, category: str) -> bool:
    return (
        event.state in _NEGATIVES
        and _negative_names_purpose(event, terms)
        and _negative_names_recipient(event, terms)
        and _scope_holds(event, category)
        and event.channel in (None, "any", terms.channel or event.channel)
    )


def _negative_names_purpose(event: ConsentEvent, terms: Terms) -> bool:
    if within(terms.purpose, event.purpose):
        return True
    if event.state is State.OBJECTED:  # GDPR 21(2)-(3): an objection to direct marketing covers all of it
        return within(event.purpose, _MARKETING) and within(terms.purpose, _MARKETING)
    return _is_opt_out_of_sharing(event) and terms.kind in _SHARED_BY_WHAT_IS_DONE


def _is_opt_out_of_sharing(event: ConsentEvent) -> bool:
    """Such an opt-out binds by what is done, not by the purpose or the kind of recipient given (A4.7)."""
    return event.state is State.OPTED_OUT and any(within(event.purpose, purpose) for purpose in _SHARING_PURPOSES)


def _negative_names_recipient(event: ConsentEvent, terms: Terms) -> bool:
    if event.state is State.OBJECTED and within(event.purpose, _MARKETING):
        return True
    scope = event.recipient_scope
    if scope is None or (scope.category is None and not scope.partner_ids):
        return True
    if scope.partner_ids:
        return terms.partner in scope.partner_ids
    if _is_opt_out_of_sharing(event) and scope.category in _SHARED_BY_WHAT_IS_DONE:
        return terms.kind in _SHARED_BY_WHAT_IS_DONE
    return scope.category is terms.kind


def _takes_back(grant: ConsentEvent, negative: ConsentEvent, terms: Terms) -> bool:
    """Only the customer, explicitly, later, and naming purpose and recipient, takes a no back."""
    return (
        grant.actor is Actor.SUBJECT
        and grant.expression is Expression.EXPLICIT
        and grant.order > negative.order
        and _names_partner(grant, terms)
    )


def _reaches(event: ConsentEvent, terms: Terms, category: str) -> bool:
    """Whether this is a grant for exactly this purpose, this recipient and this category; grants do not inherit."""
    notice = event.notice
    return (
        event.expression in _OPT_IN
        and event.actor in _MAY_CONSENT
        and event.purpose == terms.purpose
        and event.channel in (None, "any", terms.channel)
        and event.brand_id in (None, terms.brand)
        and _scope_holds(event, category)
        and (_names_partner(event, terms) or _names_kind(event, terms))
        and (notice is None or not notice.names_recipients or terms.partner in notice.names_recipients)
        and (notice is None or not notice.covers_purposes or terms.purpose in notice.covers_purposes)
        and (
            notice is None or not notice.covers_categories or any(within(category, c) for c in notice.covers_categories)
        )
    )


def _names_partner(event: ConsentEvent, terms: Terms) -> bool:
    scope = event.recipient_scope
    if scope is not None and scope.category not in (None, terms.kind):
        return False
    if scope is not None and scope.partner_ids is not None:
        return terms.partner in scope.partner_ids
    return event.notice is not None and terms.partner in event.notice.names_recipients


def _names_kind(event: ConsentEvent, terms: Terms) -> bool:
    """A recipient kind is enough only for partners whose contract is not newer than the answer (A4.4)."""
    scope = event.recipient_scope
    if terms.valid_from > event.effective_time or (scope is not None and scope.partner_ids is not None):
        return False
    if scope is not None and scope.category is not None:
        return scope.category is terms.kind
    return event.notice is not None and terms.kind in event.notice.names_recipient_kinds


def _scope_holds(event: ConsentEvent, category: str) -> bool:
    """A grant has to say what it is for. A no holds for everything if it says nothing, and for what it may mean."""
    if any(within(category, scope) for scope in event.data_scope):
        return True
    if event.state in _GRANTS:
        return False
    return not event.data_scope or any(within(scope, category) for scope in event.data_scope)


def _not_in_force(grant: ConsentEvent, ends: Iterable[ConsentEvent], now: Millis) -> Reason | None:
    # a start that is not after the answer itself is no date in the future, whatever our clock and the source's say
    if grant.valid_from is not None and now < grant.valid_from and grant.effective_time < grant.valid_from:
        return Reason.GRANT_NOT_YET_VALID
    if grant.valid_until is not None and now >= grant.valid_until:
        return Reason.GRANT_EXPIRED
    return next((_ENDS_A_GRANT[event.state] for event in ends if event.order >= grant.order), None)


def _ends_grants(event: ConsentEvent, terms: Terms, category: str) -> bool:
    return (
        event.state in _ENDS_A_GRANT
        and within(terms.purpose, event.purpose)
        and _negative_names_recipient(event, terms)
        and _scope_holds(event, category)
    )


def _ended_by(grant: ConsentEvent, ends: Iterable[ConsentEvent], state: State) -> bool:
    return any(event.state is state and event.order >= grant.order for event in ends)
