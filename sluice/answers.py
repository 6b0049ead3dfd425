"""Which of a customer's answers concern one recipient, purpose and kind of data, and which of them stand. Pure.

The rules are those of DOMAIN A3 (5) and A4; their numbers stand where they are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sluice.consent import CLOCK_TOLERANCE_MS, Actor, ConsentEvent, Expression, Notice, RecipientKind, State, within
from sluice.law.pack import OptOuts
from sluice.model import Millis, Reason
from sluice.terms import Terms

NEGATIVES: Mapping[State, Reason] = {
    State.REFUSED: Reason.REFUSED,
    State.WITHDRAWN: Reason.WITHDRAWN,
    State.REVOKED: Reason.WITHDRAWN,
    State.OBJECTED: Reason.OBJECTED,
    State.OPTED_OUT: Reason.OPTED_OUT,
    State.LIMITED: Reason.LIMITED,
}
GRANTS = frozenset({State.GIVEN, State.RENEWED})
_ENDS: Mapping[State, Reason] = {State.EXPIRED: Reason.GRANT_EXPIRED, State.INVALIDATED: Reason.GRANT_INVALIDATED}
_MAY_CONSENT = frozenset({Actor.SUBJECT, Actor.GUARDIAN, Actor.AGENT})
_MARKETING = "marketing"
_ADVERTISING = "marketing.advertising"
_SHARING = ("sales", "third_party_sharing")
_BINDS_BY_WHAT_IS_DONE = frozenset({*NEGATIVES, State.UNKNOWN}) - {State.LIMITED}
_EVERY_CHANNEL = (None, "any")


@dataclass(frozen=True, slots=True)
class Chronology:
    """When answers were said, then the source's priority, then the number that one source gives its own (A3, 5b)."""

    rank: Callable[[str | None], int]
    """A source system's priority; the higher number wins."""

    def key(self, event: ConsentEvent) -> tuple[int, int, int]:
        return event.effective_time, self.rank(event.source_system), event.sequence or 0

    def is_later(self, one: ConsentEvent, other: ConsentEvent) -> bool:
        """For certain. Where neither of two answers is, the more restrictive wins (A4.14)."""
        (time, rank, sequence), (other_time, other_rank, other_sequence) = self.key(one), self.key(other)
        if (time, rank) != (other_time, other_rank):
            return (time, rank) > (other_time, other_rank)
        numbered = one.sequence is not None and other.sequence is not None
        return numbered and one.source_system == other.source_system and sequence > other_sequence


@dataclass(frozen=True, slots=True)
class Question:
    """Whether data of this category may go to this recipient for this purpose now."""

    terms: Terms
    category: str
    sensitive: bool
    """The category lies in a class that some law calls sensitive."""
    by_name: bool
    """An applicable rule requires that the notice names the recipient; its kind is not enough (A4.4)."""
    void: frozenset[ConsentEvent]
    """Grants by somebody who was not entitled to give them (A4.8)."""
    now: Millis


@dataclass(frozen=True, slots=True)
class Answers:
    """What a customer has said to one question, under laws that agree on how far a no reaches. Newest first."""

    negatives: tuple[ConsentEvent, ...]
    """Standing."""
    direct: tuple[ConsentEvent, ...]
    """Of these, what binds even where the law allows without asking (A4.5)."""
    unanswered: tuple[ConsentEvent, ...]
    """Questions without a readable answer; they deny wherever somebody has to be asked (A4.2)."""
    grants: tuple[ConsentEvent, ...]
    """In force, and given after every no, also those taken back."""
    why_none: Reason
    """Why there is no grant, if there is none."""


def addressees(event: ConsentEvent) -> frozenset[str] | None:
    """The partners whose questions alone the event may concern; None: anybody's.

    What names partners is to nobody else (`_is_to`, `_names_partner`, `_names_kind`, `_answers`), but for a signal that
    binds by law wherever it was sent, and an objection to direct marketing, which is to all recipients (A4.6).
    """
    scope = event.recipient_scope
    if scope is None or not scope.partner_ids or event.is_gpc:
        return None
    if event.state is State.OBJECTED and _speaks_of(event, _MARKETING):
        return None
    return frozenset(scope.partner_ids)


def find(question: Question, events: Sequence[ConsentEvent], opt_outs: OptOuts, when: Chronology) -> Answers:
    """The customer's answers to a question.

    a. A no stands until the customer takes it back: explicitly, later, naming purpose and recipient, by a grant in
       force (A4.3). Unlike a grant it counts whenever it is dated.
    b. What was granted before a no stays ended, also when the no was taken back.
    c. A grant that is over takes nothing from the others: removing a grant never widens.
    """
    negatives = _newest_first((event for event in events if _forbids(event, question, opt_outs)), when)
    asked = [event for event in events if event.state is State.UNKNOWN and _is_about(event, question, opt_outs)]
    ends = [event for event in events if event.state in _ENDS and _is_about(event, question, opt_outs)]
    reaching = _newest_first((event for event in events if _reaches(event, question)), when)
    lapses = [(grant, _lapse(grant, (*ends, *asked), question, when)) for grant in reaching]
    in_force = [grant for grant, lapse in lapses if lapse is None]
    nothing = Reason.NO_MATCHING_GRANT if events else Reason.NO_CONSENT_RECORD
    unanswered = tuple(u for u in asked if not _is_answered(u, events, question, when))
    standing = tuple(
        no for no in negatives if not any(_takes_back(grant, no, question, opt_outs, when) for grant in in_force)
    )
    return Answers(
        negatives=standing,
        direct=tuple(no for no in standing if _is_direct(no, question.terms, opt_outs)),
        unanswered=unanswered,
        grants=tuple(g for g in in_force if all(when.is_later(g, no) for no in negatives)),
        why_none=next((why for _, why in lapses if why is not None), Reason.UNANSWERED if unanswered else nothing),
    )


def _newest_first(events: Iterable[ConsentEvent], when: Chronology) -> list[ConsentEvent]:
    return sorted(events, key=when.key, reverse=True)


# --- negatives


def _forbids(event: ConsentEvent, question: Question, opt_outs: OptOuts) -> bool:
    if event.state not in NEGATIVES:
        return False
    if event.is_gpc:
        return _gpc_forbids(question.terms, opt_outs)
    if event.state is State.LIMITED and not question.sensitive:
        return False
    return _is_about(event, question, opt_outs)


def _gpc_forbids(terms: Terms, opt_outs: OptOuts) -> bool:
    """A standing opt-out of sale, sharing and targeted advertising, where the law says that it binds (A3, 5e)."""
    if not opt_outs.gpc_binds:
        return False
    advertises = within(terms.purpose, _ADVERTISING) and terms.kind is not RecipientKind.PROCESSOR
    return terms.kind in opt_outs.sale_reaches or advertises


def _is_about(event: ConsentEvent, question: Question, opt_outs: OptOuts) -> bool:
    """Whether something other than a grant concerns the question: in all it says, and in what it may mean."""
    terms = question.terms
    return (
        _names_purpose(event, terms, opt_outs)
        and _is_to(event, terms, opt_outs)
        and _may_mean(event.data_scope, question.category)
        and event.channel in (*_EVERY_CHANNEL, terms.channel or event.channel)
    )


def _names_purpose(event: ConsentEvent, terms: Terms, opt_outs: OptOuts) -> bool:
    if within(terms.purpose, event.purpose):
        return True
    if _is_marketing_objection(event, terms):
        return True
    return _is_about_sharing(event) and terms.kind in opt_outs.sale_reaches


def _is_marketing_objection(event: ConsentEvent, terms: Terms) -> bool:
    """An objection to direct marketing covers all of it, to all recipients (GDPR 21(2)-(3); A4.6)."""
    return event.state is State.OBJECTED and within(terms.purpose, _MARKETING) and _speaks_of(event, _MARKETING)


def _is_about_sharing(event: ConsentEvent) -> bool:
    """A no to sale or sharing binds by what is done, not by the purpose given (A4.7); so does an open question."""
    return event.state in _BINDS_BY_WHAT_IS_DONE and any(_speaks_of(event, own) for own in _SHARING)


def _speaks_of(event: ConsentEvent, purpose: str) -> bool:
    """Whether it is about this purpose, a part of it, or more."""
    return within(event.purpose, purpose) or within(purpose, event.purpose)


def _is_to(event: ConsentEvent, terms: Terms, opt_outs: OptOuts) -> bool:
    scope = event.recipient_scope
    if _is_marketing_objection(event, terms) or scope is None or (scope.category is None and not scope.partner_ids):
        return True
    if scope.partner_ids:
        return terms.partner in scope.partner_ids
    if _is_about_sharing(event) and scope.category in opt_outs.sale_reaches:
        return terms.kind in opt_outs.sale_reaches
    return scope.category is terms.kind


def _may_mean(data_scope: Sequence[str], category: str) -> bool:
    """A no that says nothing of data is about all; one about a part of what a field may hold is about the field."""
    return not data_scope or any(within(category, own) or within(own, category) for own in data_scope)


def _is_direct(event: ConsentEvent, terms: Terms, opt_outs: OptOuts) -> bool:
    """A no that binds where nobody has to be asked: it names the recipient, its kind, its channel, or what is done."""
    scope = event.recipient_scope
    return (
        event.is_gpc
        or (scope is not None and (terms.partner in (scope.partner_ids or ()) or scope.category is terms.kind))
        or _is_marketing_objection(event, terms)
        or _is_unsubscribe(event, terms)
        or (_is_about_sharing(event) and terms.kind in opt_outs.sale_reaches)
        or (
            opt_outs.advertising
            and event.state is not State.LIMITED
            and within(terms.purpose, _ADVERTISING)
            and within(terms.purpose, event.purpose)
        )
    )


def _is_unsubscribe(event: ConsentEvent, terms: Terms) -> bool:
    """From the channel that the contract's purpose is about: by naming the channel, or just this purpose."""
    by_name = event.channel == terms.channel
    by_purpose = event.purpose == terms.purpose and event.state is not State.LIMITED
    return terms.channel is not None and (by_name or by_purpose)


def _takes_back(grant: ConsentEvent, no: ConsentEvent, question: Question, opt_outs: OptOuts, when: Chronology) -> bool:
    """Only the customer, explicitly, later, in the no's own scope or a narrower one, by name (A4.3)."""
    return (
        grant.actor is Actor.SUBJECT
        and grant.expression is Expression.EXPLICIT
        and when.is_later(grant, no)
        and _names_partner(grant, question)
        and _is_narrower(grant.data_scope, no.data_scope, question.category)
        and (grant.confirmed or not opt_outs.two_step_opt_in)
        and (grant.gpc_conflict_ack or not no.is_gpc)
    )


def _is_narrower(granted: Sequence[str], denied: Sequence[str], category: str) -> bool:
    """Whether what is granted of this category lies inside what was denied: an unspecific yes takes nothing back."""
    return any(
        within(category, yes) and (not denied or any(within(yes, no) for no in denied if _may_mean((no,), category)))
        for yes in granted
    )


# --- grants


def _reaches(event: ConsentEvent, question: Question) -> bool:
    """Whether this is a grant for exactly this purpose, this recipient and this category; grants do not inherit."""
    terms, notice = question.terms, event.notice
    return (
        event.state in GRANTS
        and event.actor in _MAY_CONSENT
        and event.purpose == terms.purpose
        and event.channel in (*_EVERY_CHANNEL, terms.channel)
        and event.brand_id in (None, terms.brand)
        and any(within(question.category, own) for own in event.data_scope)
        and (_names_partner(event, question) or _names_kind(event, question))
        and (notice is None or not notice.covers_purposes or terms.purpose in notice.covers_purposes)
        and (
            notice is None
            or not notice.covers_categories
            or any(within(question.category, own) for own in notice.covers_categories)
        )
    )


def _names_partner(event: ConsentEvent, question: Question) -> bool:
    terms, scope = question.terms, event.recipient_scope
    in_notice = event.notice is not None and terms.partner in event.notice.names_recipients
    if scope is None:
        return in_notice
    if scope.category not in (None, terms.kind):
        return False
    if scope.partner_ids is None:
        return in_notice
    of_kind = event.notice is not None and terms.kind in event.notice.names_recipient_kinds
    enough = in_notice or (not question.by_name and (of_kind or _leaves_open(event.notice)))
    return terms.partner in scope.partner_ids and enough


def _leaves_open(notice: Notice | None) -> bool:
    """Whether the notice, if there was one, did not say who receives: what it says, a grant cannot exceed (A3, 5f)."""
    return notice is None or not (notice.names_recipients or notice.names_recipient_kinds)


def _names_kind(event: ConsentEvent, question: Question) -> bool:
    """A recipient's kind is enough only where no rule wants the name, and for contracts not newer than the answer."""
    terms, scope, notice = question.terms, event.recipient_scope, event.notice
    if question.by_name or terms.valid_from > event.effective_time:
        return False
    if scope is not None and (scope.partner_ids is not None or scope.category not in (None, terms.kind)):
        return False
    if notice is not None and terms.kind in notice.names_recipient_kinds:
        return True
    return scope is not None and scope.category is terms.kind and _leaves_open(notice)


def _lapse(grant: ConsentEvent, ends: Iterable[ConsentEvent], question: Question, when: Chronology) -> Reason | None:
    """Why a grant is not in force, if it is not."""
    now = question.now
    if grant in question.void:
        return Reason.NOT_ENTITLED_TO_CONSENT
    if grant.effective_time > now + CLOCK_TOLERANCE_MS:
        return Reason.GRANT_NOT_YET_VALID
    # a start that is not after the answer itself is no date in the future, whatever our clock and the source's say
    if grant.valid_from is not None and now < grant.valid_from and grant.effective_time < grant.valid_from:
        return Reason.GRANT_NOT_YET_VALID
    if grant.valid_until is not None and now >= grant.valid_until:
        return Reason.GRANT_EXPIRED
    return next((_ENDS.get(end.state, Reason.UNANSWERED) for end in ends if not when.is_later(grant, end)), None)


def _is_answered(asked: ConsentEvent, events: Iterable[ConsentEvent], question: Question, when: Chronology) -> bool:
    """By a later yes, however it was expressed: to this very question, or by a grant that reaches this recipient."""
    return any(
        event.state in GRANTS
        and event not in question.void
        and when.is_later(event, asked)
        and event.effective_time <= question.now + CLOCK_TOLERANCE_MS
        and (_reaches(event, question) or _answers(event, asked, question.category))
        for event in events
    )


def _answers(event: ConsentEvent, asked: ConsentEvent, category: str) -> bool:
    """Whether a yes is to the question that was asked: to the same purpose, recipients and channel, about this data."""
    return (
        event.actor in (*_MAY_CONSENT, Actor.SIGNAL)
        and event.purpose == asked.purpose
        and event.recipient_scope == asked.recipient_scope
        and event.channel == asked.channel
        and any(within(category, own) for own in event.data_scope)
    )
