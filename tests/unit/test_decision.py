"""Every rule of the decision as a case, and what must hold for all of them whatever customers say."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.consent import (
    CLOCK_TOLERANCE_MS,
    Actor,
    ConsentEvent,
    ConsentRecord,
    Expression,
    Notice,
    RecipientKind,
    RecipientScope,
    State,
)
from sluice.decision import Denied, Permitted, Terms, decide
from sluice.model import Millis, PartnerId, Reason

HOSHI = PartnerId("hoshi-card")
EMAIL = "marketing.communications.email"
NOW = Millis(1_000)
TERMS = Terms(
    partner=HOSHI,
    kind=RecipientKind.PARTNER,
    purpose=EMAIL,
    brand="hoshi",
    valid_from=Millis(10),
    valid_until=Millis(9_000),
    categories={
        "given_name": "user.name.first",
        "family_name": "user.name.last",
        "email": "user.contact.email",
    },
)
NAME_FIELDS = ("given_name", "family_name")
ALL_FIELDS = (*NAME_FIELDS, "email")
TO_HOSHI = RecipientScope(partner_ids=("hoshi-card",))
TO_OTHERS = RecipientScope(partner_ids=("adresso", "listmart"))
TO_PARTNERS = RecipientScope(category=RecipientKind.PARTNER)
TO_SALE = RecipientScope(category=RecipientKind.THIRD_PARTY_SALE)

NEGATIVES = {
    State.REFUSED: Reason.REFUSED,
    State.WITHDRAWN: Reason.WITHDRAWN,
    State.REVOKED: Reason.WITHDRAWN,
    State.OBJECTED: Reason.OBJECTED,
    State.OPTED_OUT: Reason.OPTED_OUT,
    State.LIMITED: Reason.LIMITED,
}
ENDS = {
    State.EXPIRED: Reason.GRANT_EXPIRED,
    State.INVALIDATED: Reason.GRANT_INVALIDATED,
    State.UNKNOWN: Reason.UNANSWERED,
}


def event(state: State, at: int, **more: Any) -> ConsentEvent:  # noqa: ANN401 - any field of the event
    return msgspec.structs.replace(
        ConsentEvent(
            record_id=f"{state.lower()}-{at}",
            subject_id="c",
            purpose=EMAIL,
            state=state,
            expression=Expression.EXPLICIT,
            actor=Actor.SUBJECT,
            event_time=Millis(at),
            recorded_at=Millis(at),
        ),
        **more,
    )


def grant(at: int = 100, **more: Any) -> ConsentEvent:  # noqa: ANN401 - any field of the event
    """Reaches everything, unless something says otherwise."""
    return event(State.GIVEN, at, **{"data_scope": ("*",), "recipient_scope": TO_HOSHI} | more)


def no(at: int = 200, state: State = State.WITHDRAWN, **more: Any) -> ConsentEvent:  # noqa: ANN401 - the same
    """For everything and everybody, unless something says otherwise."""
    return event(state, at, **more)


def record(*events: ConsentEvent) -> ConsentRecord:
    known = ConsentRecord()
    for one in events:
        known = known.with_event(one)
    return known


def answer(*events: ConsentEvent, terms: Terms = TERMS, now: int = NOW) -> Permitted | Denied:
    return decide(terms, record(*events), Millis(now))


def basis(verdict: Permitted | Denied) -> tuple[tuple[str, ...], tuple[str, ...], int | None] | Reason:
    """What may be held, on which answers, until when."""
    return (verdict.fields, verdict.consents, verdict.until) if isinstance(verdict, Permitted) else verdict.reason


def fields(verdict: Permitted | Denied) -> tuple[str, ...]:
    return verdict.fields if isinstance(verdict, Permitted) else ()


def terms(**changes: Any) -> Terms:  # noqa: ANN401 - any field of the terms
    base: dict[str, Any] = {name: getattr(TERMS, name) for name in Terms.__slots__}
    return Terms(**base | changes)


def test_a_positive_current_matching_grant_permits_what_the_contract_lists_in_its_order() -> None:
    assert basis(answer(grant())) == (ALL_FIELDS, ("given-100",), 9_000)


def test_renewed_is_a_grant() -> None:
    renewed = event(State.RENEWED, 100, data_scope=("*",), recipient_scope=TO_HOSHI)
    assert basis(answer(renewed)) == (ALL_FIELDS, ("renewed-100",), 9_000)


# --- rule 1: the contract


@pytest.mark.parametrize(
    ("now", "in_force"), [(9, False), (10, True), (8_999, True), (9_000, False), (-(10**15), False)]
)
def test_the_contract_is_in_force_from_its_start_to_below_its_end(now: int, in_force: bool) -> None:  # noqa: FBT001
    verdict = answer(grant(5, recorded_at=5), now=now)
    assert isinstance(verdict, Permitted) is in_force
    assert in_force or verdict == Denied(Reason.CONTRACT_NOT_IN_FORCE)


def test_a_contract_without_end_has_none() -> None:
    endless = terms(valid_until=None)
    assert basis(answer(grant(), terms=endless, now=10**15)) == (ALL_FIELDS, ("given-100",), None)


# --- rules 2 and 3: what is not known


def test_an_unreadable_event_denies_until_it_is_acknowledged_and_each_by_itself() -> None:
    consents = record(grant()).with_unreadable("t/0@7").with_unreadable("t/0@8")
    assert decide(TERMS, consents, NOW) == Denied(Reason.CONSENT_UNREADABLE)
    assert decide(TERMS, consents, NOW, {"t/0@7"}) == Denied(Reason.CONSENT_UNREADABLE)
    assert decide(TERMS, consents, NOW, {"t/0@7", "t/0@80"}) == Denied(Reason.CONSENT_UNREADABLE)
    assert isinstance(decide(TERMS, consents, NOW, {"t/0@7", "t/0@8"}), Permitted)


def test_nothing_known_and_nothing_but_acknowledged_damage_are_a_no() -> None:
    assert answer() == Denied(Reason.NO_CONSENT_RECORD)
    only_damage = ConsentRecord().with_unreadable("t/0@7")
    assert decide(TERMS, only_damage, NOW, {"t/0@7"}) == Denied(Reason.NO_CONSENT_RECORD)


@pytest.mark.parametrize("state", sorted(set(State) - {State.GIVEN, State.RENEWED}))
def test_without_a_grant_no_answer_permits_anything(state: State) -> None:
    alone = answer(event(state, 100, data_scope=("*",), recipient_scope=TO_HOSHI))
    assert alone == Denied(NEGATIVES.get(state, Reason.NO_MATCHING_GRANT))


# --- what a grant reaches


@pytest.mark.parametrize(
    "missed",
    [
        pytest.param({"purpose": "marketing.communications"}, id="purpose above: never inherited downward"),
        pytest.param({"purpose": "marketing"}, id="purpose far above"),
        pytest.param({"purpose": "*"}, id="every purpose"),
        pytest.param({"purpose": EMAIL + ".weekly"}, id="purpose below"),
        pytest.param({"purpose": "marketing.communications.sms"}, id="purpose beside"),
        pytest.param({"expression": Expression.IMPLIED}, id="implied"),
        pytest.param({"expression": Expression.DEFAULT}, id="default"),
        pytest.param({"expression": Expression.OPT_OUT_SIGNAL}, id="signal"),
        pytest.param({"recipient_scope": None}, id="to nobody in particular"),
        pytest.param({"recipient_scope": RecipientScope()}, id="to an empty scope"),
        pytest.param({"recipient_scope": TO_OTHERS}, id="to others"),
        pytest.param({"recipient_scope": TO_SALE}, id="to another kind"),
        pytest.param(
            {"recipient_scope": RecipientScope(RecipientKind.PROCESSOR, ("hoshi-card",))}, id="named as another kind"
        ),
        pytest.param(
            {"recipient_scope": RecipientScope(RecipientKind.PARTNER, ("adresso",))}, id="the kind, but others named"
        ),
        pytest.param(
            {"recipient_scope": TO_OTHERS, "notice": Notice(names_recipients=("hoshi-card",))},
            id="others chosen, though the notice names it",
        ),
        pytest.param({"data_scope": ()}, id="for no data"),
        pytest.param({"data_scope": ("user.demographic", "user.names")}, id="for other data"),
        pytest.param({"channel": "sms"}, id="another channel"),
        pytest.param({"brand_id": "kaze"}, id="another brand"),
        pytest.param({"notice": Notice(covers_purposes=("operations", "marketing"))}, id="notice about other purposes"),
        pytest.param({"notice": Notice(covers_categories=("user.demographic",))}, id="notice about other data"),
    ],
)
def test_a_grant_for_something_else_is_none(missed: dict[str, Any]) -> None:
    assert answer(grant(**missed)) == Denied(Reason.NO_MATCHING_GRANT)


@pytest.mark.parametrize(
    "reaching",
    [
        pytest.param({"expression": Expression.OPT_IN}, id="opt-in"),
        pytest.param({"actor": Actor.GUARDIAN}, id="by a guardian"),
        pytest.param({"recipient_scope": TO_PARTNERS}, id="the kind"),
        pytest.param(
            {"recipient_scope": RecipientScope(RecipientKind.PARTNER, ("adresso", "hoshi-card"))}, id="among others"
        ),
        pytest.param({"recipient_scope": None, "notice": Notice(names_recipients=("hoshi-card",))}, id="in the notice"),
        pytest.param(
            {"recipient_scope": None, "notice": Notice(names_recipient_kinds=(RecipientKind.PARTNER,))},
            id="the kind in the notice",
        ),
        pytest.param({"data_scope": ("user.contact", "user.name")}, id="categories above"),
        pytest.param({"channel": "email"}, id="its channel"),
        pytest.param({"channel": "any"}, id="any channel"),
        pytest.param({"brand_id": "hoshi"}, id="its brand"),
        pytest.param({"notice": Notice(covers_purposes=("sales", EMAIL))}, id="notice covers the purpose"),
        pytest.param({"notice": Notice(covers_categories=("*",))}, id="notice covers all data"),
    ],
)
def test_a_grant_reaches_what_it_names(reaching: dict[str, Any]) -> None:
    assert basis(answer(grant(**reaching))) == (ALL_FIELDS, ("given-100",), 9_000)


def test_each_data_category_is_judged_by_itself() -> None:
    assert fields(answer(grant(data_scope=("user.name",)))) == NAME_FIELDS
    assert fields(answer(grant(data_scope=("user.name.last",)))) == ("family_name",)
    assert fields(answer(grant(notice=Notice(covers_categories=("user.contact",))))) == ("email",)
    both = answer(grant(100, data_scope=("user.name",)), grant(110, data_scope=("user.contact.email",)))
    assert basis(both) == (ALL_FIELDS, ("given-100", "given-110"), 9_000)


def test_a_field_without_a_category_needs_a_grant_for_everything_about_the_person() -> None:
    uncategorised = terms(categories={"extra": "user"})
    assert answer(grant(data_scope=("user.name", "user.contact")), terms=uncategorised) == Denied(
        Reason.NO_MATCHING_GRANT
    )
    assert fields(answer(grant(data_scope=("user",)), terms=uncategorised)) == ("extra",)


def test_a_kind_is_enough_only_while_the_contract_is_not_newer_than_the_answer() -> None:
    by_kind = grant(100, recipient_scope=TO_PARTNERS)
    by_notice = grant(100, recipient_scope=None, notice=Notice(names_recipient_kinds=(RecipientKind.PARTNER,)))
    same_instant, newer = terms(valid_from=Millis(100)), terms(valid_from=Millis(101))
    assert isinstance(answer(by_kind, terms=same_instant), Permitted)
    assert isinstance(answer(by_notice, terms=same_instant), Permitted)
    assert answer(by_kind, terms=newer) == Denied(Reason.NO_MATCHING_GRANT)
    assert answer(by_notice, terms=newer) == Denied(Reason.NO_MATCHING_GRANT)
    assert isinstance(answer(grant(100), terms=newer), Permitted), "who is named is named"


def test_an_answer_dated_ahead_of_its_record_does_not_make_the_contract_older() -> None:
    newer = terms(valid_from=Millis(500))
    ahead = grant(500 + CLOCK_TOLERANCE_MS, recorded_at=Millis(499), recipient_scope=TO_PARTNERS)
    assert answer(ahead, terms=newer) == Denied(Reason.NO_MATCHING_GRANT)


def test_an_answer_recorded_late_was_still_given_before_the_contract() -> None:
    late = grant(100, recorded_at=Millis(900), recipient_scope=TO_PARTNERS)
    assert answer(late, terms=terms(valid_from=Millis(500))) == Denied(Reason.NO_MATCHING_GRANT)


def test_a_grant_that_names_no_partner_reaches_none() -> None:
    """Null means the whole kind; an empty list of partners is a list, and nobody is on it."""
    nobody = grant(recipient_scope=RecipientScope(RecipientKind.PARTNER, ()))
    assert answer(nobody) == Denied(Reason.NO_MATCHING_GRANT)


# --- validity


@pytest.mark.parametrize(
    ("more", "now", "expected"),
    [
        ({"valid_from": Millis(300)}, 299, Reason.GRANT_NOT_YET_VALID),
        ({"valid_from": Millis(300)}, 300, None),
        ({"valid_until": Millis(300)}, 299, None),
        ({"valid_until": Millis(300)}, 300, Reason.GRANT_EXPIRED),
        ({"valid_from": Millis(300), "valid_until": Millis(200)}, 250, Reason.GRANT_NOT_YET_VALID),
        ({"valid_from": Millis(300), "valid_until": Millis(200)}, 350, Reason.GRANT_EXPIRED),
        ({"valid_from": Millis(100)}, 99, None),  # the answer's own time is no date in the future
        ({"valid_from": Millis(101)}, 99, Reason.GRANT_NOT_YET_VALID),
    ],
)
def test_a_grant_is_valid_from_its_start_to_below_its_end(
    more: dict[str, Any], now: int, expected: Reason | None
) -> None:
    verdict = answer(grant(100, **more), now=now)
    assert verdict == Denied(expected) if expected else isinstance(verdict, Permitted)


def test_the_basis_ends_with_the_first_of_contract_and_grants_relied_on() -> None:
    assert basis(answer(grant(valid_until=Millis(5_000)))) == (ALL_FIELDS, ("given-100",), 5_000)
    assert basis(answer(grant(valid_until=Millis(90_000)))) == (ALL_FIELDS, ("given-100",), 9_000)
    two = answer(
        grant(100, data_scope=("user.name",), valid_until=Millis(5_000)),
        grant(110, data_scope=("user.contact",), valid_until=Millis(4_000)),
    )
    assert isinstance(two, Permitted)
    assert two.until == 4_000


def test_the_basis_of_fewer_fields_is_that_of_the_answers_about_them() -> None:
    both = (
        grant(100, data_scope=("user.name",), valid_until=Millis(5_000)),
        grant(110, data_scope=("user.contact",), valid_until=Millis(4_000)),
    )
    assert answer(*both, terms=terms().only({"given_name"})) == Permitted(
        ("given_name",), ("given-100",), Millis(5_000)
    )
    assert answer(*both, terms=terms().only(())) == Denied(Reason.NO_MATCHING_GRANT)


def test_the_newest_grant_in_force_counts() -> None:
    old, new = grant(100), grant(150, valid_from=Millis(2_000))
    assert basis(answer(old, new)) == (ALL_FIELDS, ("given-100",), 9_000)
    assert basis(answer(old, new, now=2_000)) == (ALL_FIELDS, ("given-150",), 9_000)


@pytest.mark.parametrize(("state", "reason"), ENDS.items())
def test_what_ends_a_grant(state: State, reason: Reason) -> None:
    assert answer(grant(100), event(state, 150)) == Denied(reason)
    assert answer(grant(100), event(state, 100)) == Denied(reason), "at the same time: the more restrictive"
    assert isinstance(answer(event(state, 99), grant(100)), Permitted), "an earlier end ends nothing"
    assert isinstance(answer(grant(100), event(state, 150), grant(160)), Permitted), "it is no negative"
    implied = grant(160, expression=Expression.OPT_IN, recipient_scope=TO_PARTNERS, actor=Actor.AGENT)
    assert isinstance(answer(grant(100), event(state, 150), implied), Permitted), "any matching grant will do"


@pytest.mark.parametrize("state", ENDS)
@pytest.mark.parametrize(
    ("more", "ends"),
    [
        ({"purpose": "marketing"}, True),
        ({"purpose": "operations"}, False),
        ({"purpose": EMAIL + ".weekly"}, False),
        ({"recipient_scope": TO_HOSHI}, True),
        ({"recipient_scope": TO_PARTNERS}, True),
        ({"recipient_scope": TO_OTHERS}, False),
        ({"recipient_scope": TO_SALE}, False),
    ],
)
def test_an_end_ends_what_it_names(state: State, more: dict[str, Any], ends: bool) -> None:  # noqa: FBT001
    assert isinstance(answer(grant(100), event(state, 150, **more)), Denied) is ends


@pytest.mark.parametrize("state", ENDS)
def test_an_end_for_some_data_leaves_the_rest(state: State) -> None:
    assert fields(answer(grant(100), event(state, 150, data_scope=("user.contact",)))) == NAME_FIELDS


@pytest.mark.parametrize("state", [State.REQUESTED, State.DEFERRED])
def test_no_answer_ends_neither_a_grant_nor_a_negative(state: State) -> None:
    question = event(state, 900, data_scope=("*",))
    assert answer(grant(100), question) == answer(grant(100))
    assert answer(grant(100), no(200), question) == Denied(Reason.WITHDRAWN)


# --- negatives


@pytest.mark.parametrize(("state", "reason"), NEGATIVES.items())
def test_a_negative_beats_grants_before_it_and_unspecific_ones_after_it(state: State, reason: Reason) -> None:
    assert answer(grant(100), no(200, state)) == Denied(reason)
    assert answer(no(200, state), grant(300, recipient_scope=TO_PARTNERS)) == Denied(reason)


@pytest.mark.parametrize(
    ("more", "binds"),
    [
        pytest.param({"purpose": "marketing"}, True, id="purpose above"),
        pytest.param({"purpose": "marketing.communications"}, True, id="purpose just above"),
        pytest.param({"purpose": "*"}, True, id="every purpose"),
        pytest.param({"purpose": "market"}, False, id="a prefix that is no node"),
        pytest.param({"purpose": "marketing.communications.sms"}, False, id="purpose beside"),
        pytest.param({"purpose": "operations"}, False, id="another purpose"),
        pytest.param({"recipient_scope": RecipientScope()}, True, id="everybody, said with an empty scope"),
        pytest.param({"recipient_scope": TO_HOSHI}, True, id="named"),
        pytest.param({"recipient_scope": TO_PARTNERS}, True, id="its kind"),
        pytest.param({"recipient_scope": TO_OTHERS}, False, id="others"),
        pytest.param({"recipient_scope": TO_SALE}, False, id="another kind"),
        pytest.param({"channel": "email"}, True, id="its channel"),
        pytest.param({"channel": "any"}, True, id="any channel"),
        pytest.param({"channel": "sms"}, False, id="another channel"),
        pytest.param({"data_scope": ("*",)}, True, id="all data"),
        pytest.param({"brand_id": "kaze"}, True, id="told to another brand"),
        pytest.param({"actor": Actor.AUTHORITY}, True, id="by an authority"),
        pytest.param({"expression": Expression.DEFAULT}, True, id="by default"),
        pytest.param({"valid_until": Millis(250)}, True, id="a no does not expire"),
        pytest.param({"valid_from": Millis(5_000)}, True, id="a no does not wait"),
    ],
)
def test_what_a_negative_binds(more: dict[str, Any], binds: bool) -> None:  # noqa: FBT001
    verdict = answer(grant(100), no(200, **more))
    assert (verdict == Denied(Reason.WITHDRAWN)) is binds
    assert binds or isinstance(verdict, Permitted)


def test_a_no_for_a_channel_binds_a_purpose_that_is_about_none() -> None:
    advertising = terms(purpose="marketing.advertising")
    unsubscribed = no(200, purpose="marketing", channel="email")
    assert answer(grant(100, purpose="marketing.advertising"), unsubscribed, terms=advertising) == Denied(
        Reason.WITHDRAWN
    )


def test_a_negative_for_some_data_leaves_the_rest_and_holds_for_what_it_may_mean() -> None:
    assert fields(answer(grant(), no(data_scope=("user.contact",)))) == NAME_FIELDS
    assert fields(answer(grant(), no(data_scope=("user.name.first",)))) == ("family_name", "email")
    whole_name = terms(categories={"full_name": "user.name", "email": "user.contact.email"})
    assert fields(answer(grant(), no(data_scope=("user.name.first",)), terms=whole_name)) == ("email",)


def test_the_first_categorys_reason_stands_for_all() -> None:
    verdict = answer(grant(data_scope=("user.contact",)), no(data_scope=("user.contact",), state=State.REFUSED))
    assert verdict == Denied(Reason.NO_MATCHING_GRANT)


@pytest.mark.parametrize("state", sorted(NEGATIVES))
def test_the_subject_takes_a_no_back_later_explicitly_and_by_name(state: State) -> None:
    again = grant(300)
    assert basis(answer(grant(100), no(200, state), again)) == (ALL_FIELDS, ("given-300",), 9_000)
    named_in_notice = grant(300, recipient_scope=None, notice=Notice(names_recipients=("hoshi-card",)))
    assert isinstance(answer(no(200, state), named_in_notice), Permitted)


@pytest.mark.parametrize(
    "flaw",
    [
        pytest.param({"event_time": Millis(199), "recorded_at": Millis(900)}, id="earlier, though recorded later"),
        pytest.param({"event_time": Millis(200), "recorded_at": Millis(200)}, id="at the same time: more restrictive"),
        pytest.param({"expression": Expression.OPT_IN}, id="not explicit"),
        pytest.param({"actor": Actor.AGENT}, id="by an agent"),
        pytest.param({"actor": Actor.GUARDIAN}, id="by a guardian"),
        pytest.param({"actor": Actor.CONTROLLER}, id="by the controller"),
        pytest.param({"recipient_scope": TO_PARTNERS}, id="for the kind"),
        pytest.param({"purpose": "marketing"}, id="for a purpose above"),
        pytest.param({"data_scope": ("user.demographic",)}, id="for other data"),
        pytest.param({"channel": "sms"}, id="for another channel"),
        pytest.param({"brand_id": "kaze"}, id="for another brand"),
    ],
)
def test_nothing_less_takes_a_no_back(flaw: dict[str, Any]) -> None:
    again = msgspec.structs.replace(grant(300), **flaw)
    assert answer(grant(100), no(200), again) == Denied(Reason.WITHDRAWN)


def test_an_answer_dated_ahead_of_its_record_takes_no_later_no_back() -> None:
    ahead = grant(10**9, recorded_at=Millis(150))
    assert answer(ahead, no(200)) == Denied(Reason.WITHDRAWN)


def test_a_yes_from_the_future_takes_no_no_back() -> None:
    """A source whose clock is years ahead would otherwise make withdrawals impossible until then."""
    from_a_wrong_clock = grant(10**12)
    assert answer(from_a_wrong_clock, no(900)) == Denied(Reason.WITHDRAWN)


def test_every_negative_has_to_be_taken_back() -> None:
    assert answer(no(200), grant(300), no(400, State.OBJECTED)) == Denied(Reason.OBJECTED)
    two = (no(200, data_scope=("user.name",)), no(210, data_scope=("user.contact",)))
    assert fields(answer(*two, grant(300, data_scope=("user.contact",)))) == ("email",)


def test_the_newest_standing_negative_is_the_reason() -> None:
    assert answer(grant(100), no(200, State.REFUSED), no(210, State.LIMITED)) == Denied(Reason.LIMITED)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param({"valid_until": Millis(500)}, id="the second yes has expired"),
        pytest.param({"valid_from": Millis(5_000)}, id="the second yes is for later"),
    ],
)
def test_a_yes_from_before_a_no_never_comes_back(second: dict[str, Any]) -> None:
    """What was taken back stays so, also when the yes that followed is over or has not begun."""
    assert isinstance(answer(grant(100), no(200), grant(300, **second)), Denied)


def test_a_no_stands_again_when_the_yes_that_took_it_back_was_none() -> None:
    """A later unspecific grant never ends a negative, and an invalidated one has ended nothing."""
    unspecific = grant(500, expression=Expression.OPT_IN, recipient_scope=TO_PARTNERS)
    assert answer(no(200), grant(300), event(State.INVALIDATED, 400), unspecific) == Denied(Reason.WITHDRAWN)


# --- objections and opt-outs


@pytest.mark.parametrize("said", ["marketing", "marketing.communications.sms", "marketing.advertising.third_party"])
@pytest.mark.parametrize("scope", [None, TO_OTHERS, TO_SALE])
def test_an_objection_to_marketing_covers_all_marketing_to_all(said: str, scope: RecipientScope | None) -> None:
    objection = no(200, State.OBJECTED, purpose=said, recipient_scope=scope)
    assert answer(grant(100), objection) == Denied(Reason.OBJECTED)
    hygiene = terms(purpose="operations.address_hygiene", kind=RecipientKind.PROCESSOR)
    assert isinstance(answer(grant(100, purpose="operations.address_hygiene"), objection, terms=hygiene), Permitted)


@pytest.mark.parametrize("state", sorted(set(NEGATIVES) - {State.OBJECTED}))
def test_other_negatives_for_a_marketing_purpose_stay_in_it(state: State) -> None:
    assert isinstance(answer(grant(100), no(200, state, purpose="marketing.communications.sms")), Permitted)


def test_an_objection_to_something_else_is_an_ordinary_negative() -> None:
    assert isinstance(answer(grant(100), no(200, State.OBJECTED, purpose="operations")), Permitted)


@pytest.mark.parametrize("said", ["sales", "sales.list", "third_party_sharing", "third_party_sharing.legal_obligation"])
@pytest.mark.parametrize("kind", RecipientKind)
def test_an_opt_out_of_sale_binds_by_what_is_done(said: str, kind: RecipientKind) -> None:
    verdict = answer(grant(100), no(200, State.OPTED_OUT, purpose=said), terms=terms(kind=kind))
    bound = kind not in (RecipientKind.PROCESSOR, RecipientKind.AFFILIATE_SAME_BRAND)
    assert basis(verdict) == (Reason.OPTED_OUT if bound else (ALL_FIELDS, ("given-100",), 9_000))


def test_an_opt_out_of_sale_told_as_one_to_buyers_binds_partners_too() -> None:
    """It denies every disclosure to partners and buyers: what is done counts, not how it was labelled."""
    opt_out = no(200, State.OPTED_OUT, purpose="sales", recipient_scope=TO_SALE)
    assert answer(grant(100), opt_out) == Denied(Reason.OPTED_OUT)
    only_others = no(200, State.OPTED_OUT, purpose="sales", recipient_scope=TO_OTHERS)
    assert isinstance(answer(grant(100), only_others), Permitted)


def test_only_an_opt_out_binds_by_what_is_done() -> None:
    assert isinstance(answer(grant(100), no(200, State.REFUSED, purpose="sales")), Permitted)


def test_an_opt_out_of_sale_is_taken_back_by_naming_purpose_and_recipient() -> None:
    opt_out = no(200, State.OPTED_OUT, purpose="sales", actor=Actor.SIGNAL, expression=Expression.OPT_OUT_SIGNAL)
    assert isinstance(answer(opt_out, grant(300)), Permitted)
    assert answer(opt_out, grant(300, recipient_scope=TO_PARTNERS)) == Denied(Reason.OPTED_OUT)


# --- for all of them

SCOPES = st.sampled_from([None, RecipientScope(), TO_HOSHI, TO_OTHERS, TO_PARTNERS, TO_SALE])
NOTICES = st.sampled_from(
    [
        None,
        Notice(),
        Notice(names_recipients=("hoshi-card",)),
        Notice(names_recipient_kinds=(RecipientKind.PARTNER,)),
        Notice(covers_purposes=("sales",), covers_categories=("user.name",)),
    ]
)
DATA = st.sampled_from([("*",), ("user",), ("user.name",), ("user.name.first", "user.contact"), ()])
PURPOSES = st.sampled_from([EMAIL, EMAIL, "marketing", "sales", "marketing.communications.sms", "operations", "*"])
MOMENTS = st.integers(0, 6).map(lambda n: Millis(n * 300))


def events(states: st.SearchStrategy[State]) -> st.SearchStrategy[ConsentEvent]:
    return st.builds(
        ConsentEvent,
        record_id=st.uuids().map(str),
        subject_id=st.just("c"),
        purpose=PURPOSES,
        state=states,
        expression=st.sampled_from(Expression),
        actor=st.sampled_from(Actor),
        event_time=MOMENTS,
        recorded_at=MOMENTS,
        sequence=st.none() | st.integers(0, 2),
        brand_id=st.sampled_from([None, "hoshi", "kaze"]),
        channel=st.sampled_from([None, "any", "email", "sms"]),
        recipient_scope=SCOPES,
        data_scope=DATA,
        valid_from=st.none() | MOMENTS,
        valid_until=st.none() | MOMENTS,
        notice=NOTICES,
    )


def good_grants() -> st.SearchStrategy[ConsentEvent]:
    """Grants that reach, so that the properties are not about refusals alone."""
    return st.builds(
        grant,
        st.integers(0, 6).map(lambda n: n * 300),
        record_id=st.uuids().map(str),
        data_scope=DATA,
        recipient_scope=st.sampled_from([TO_HOSHI, TO_HOSHI, TO_PARTNERS]),
        valid_until=st.none() | MOMENTS,
        valid_from=st.none() | MOMENTS,
    )


ANYTHING = events(st.sampled_from(State)) | good_grants()
RECORDS = st.lists(ANYTHING, max_size=6)


@given(RECORDS, events(st.sampled_from(sorted(NEGATIVES))))
def test_adding_a_negative_never_widens(known: list[ConsentEvent], negative: ConsentEvent) -> None:
    assert set(fields(answer(*known, negative))) <= set(fields(answer(*known)))


@given(RECORDS, good_grants() | events(st.sampled_from([State.GIVEN, State.RENEWED])))
def test_removing_a_grant_never_widens(known: list[ConsentEvent], removed: ConsentEvent) -> None:
    assert set(fields(answer(*known))) <= set(fields(answer(*known, removed)))


@given(RECORDS, st.randoms(use_true_random=False))
def test_arrival_order_and_repetition_do_not_matter(known: list[ConsentEvent], random: Any) -> None:  # noqa: ANN401
    shuffled = [*known, *known]
    random.shuffle(shuffled)
    assert answer(*shuffled) == answer(*known)


@given(RECORDS)
def test_nothing_is_permitted_without_a_grant(known: list[ConsentEvent]) -> None:
    assert not fields(answer(*(one for one in known if one.state not in (State.GIVEN, State.RENEWED))))


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.none() | st.integers(0, 5), st.none() | st.integers(0, 5)), max_size=3),
    st.integers(0, 4),
    st.sampled_from(sorted(NEGATIVES)),
    st.integers(0, 5),
)
def test_nothing_rests_on_a_grant_from_before_a_no(
    grants: list[tuple[int, int | None, int | None]], at: int, state: State, now: int
) -> None:
    always = terms(valid_from=Millis(0), valid_until=None)
    given_at = [
        grant(time, record_id=str(n), valid_from=start, valid_until=end) for n, (time, start, end) in enumerate(grants)
    ]
    said_no = no(at, state)
    verdict = answer(*given_at, said_no, terms=always, now=now)
    relied_on = set(verdict.consents) if isinstance(verdict, Permitted) else set()
    assert all(one.order > said_no.order for one in given_at if one.record_id in relied_on)


@given(RECORDS, st.integers(-10, 3_000))
def test_everything_that_is_relied_on_is_in_force(known: list[ConsentEvent], now: int) -> None:
    verdict = answer(*known, now=now)
    if isinstance(verdict, Permitted):
        assert verdict.until is not None
        assert now < verdict.until
        assert verdict.fields == tuple(path for path in ALL_FIELDS if path in verdict.fields)
        relied_on = [one for one in known if one.record_id in verdict.consents]
        assert len(relied_on) == len(verdict.consents)
        assert all(one.purpose == EMAIL and one.state in (State.GIVEN, State.RENEWED) for one in relied_on)
        assert all(one.valid_until is None or now < one.valid_until for one in relied_on)


@given(
    RECORDS,
    st.builds(
        terms,
        kind=st.sampled_from(RecipientKind),
        purpose=PURPOSES,
        brand=st.sampled_from([None, "hoshi"]),
        valid_from=MOMENTS,
        valid_until=st.none() | MOMENTS,
        categories=st.dictionaries(st.sampled_from(ALL_FIELDS), st.sampled_from(["user", "user.name", "", "*"])),
    ),
    st.integers(-(2**63), 2**63),
)
def test_there_is_always_an_answer(known: list[ConsentEvent], any_terms: Terms, now: int) -> None:
    verdict = answer(*known, terms=any_terms, now=now)
    assert isinstance(verdict, Denied) or set(verdict.fields) <= set(any_terms.categories)
