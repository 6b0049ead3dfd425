"""What customers' answers reach and how long they stand, seen through a law that asks (DOMAIN A3, 5; A4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from sluice.consent import (
    CLOCK_TOLERANCE_MS,
    Actor,
    Channel,
    ConsentEvent,
    Expression,
    Notice,
    RecipientKind,
    RecipientScope,
    State,
)
from sluice.decision import Denied, Permitted
from sluice.facts import Facts
from sluice.law.pack import Law
from sluice.law.rule import GUARDIAN_CONSENT, NOTICE, NOTICE_NAMES_RECIPIENT, Mode
from sluice.model import Millis, Reason
from sluice.terms import Terms
from tests.unit.deciding import (
    ADVERTISING,
    ALL_FIELDS,
    ANYWHERE,
    EMAIL,
    GPC,
    HARMLESS,
    HYGIENE,
    NAME_FIELDS,
    NAMES_HOSHI,
    NAMES_PARTNERS,
    NEGATIVES,
    NOW,
    TO_HOSHI,
    TO_OTHERS,
    TO_PARTNERS,
    TO_SALE,
    answer,
    basis,
    event,
    fields,
    grant,
    law_of,
    no,
    pack,
    question,
    reason,
    rule,
    terms,
    under,
)

SISTER = RecipientKind.AFFILIATE_OTHER_BRAND
ENDS = {
    State.EXPIRED: Reason.GRANT_EXPIRED,
    State.INVALIDATED: Reason.GRANT_INVALIDATED,
    State.UNKNOWN: Reason.UNANSWERED,
}


def refused(reason: Reason, *rules: str) -> Denied:
    """By the one rule of the tests' law, unless others are named."""
    return Denied(reason, rules or ("T-R1",))


# --- what a grant reaches


@pytest.mark.parametrize(
    "missed",
    [
        pytest.param({"purpose": "marketing.communications"}, id="purpose above: never inherited downward"),
        pytest.param({"purpose": "marketing"}, id="purpose far above"),
        pytest.param({"purpose": "*"}, id="every purpose"),
        pytest.param({"purpose": EMAIL + ".weekly"}, id="purpose below"),
        pytest.param({"purpose": "marketing.communications.sms"}, id="purpose beside"),
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
    assert answer(grant(**missed)) == refused(Reason.NO_MATCHING_GRANT)


@pytest.mark.parametrize("said", [Expression.IMPLIED, Expression.DEFAULT, Expression.OPT_OUT_SIGNAL])
def test_what_was_not_expressly_said_is_no_opt_in(said: Expression) -> None:
    assert answer(grant(expression=said)) == refused(Reason.GRANT_NOT_EXPRESS)
    assert isinstance(answer(grant(90), grant(100, expression=said)), Permitted), "beside one that was"


@pytest.mark.parametrize("actor", [Actor.CONTROLLER, Actor.AUTHORITY, Actor.SIGNAL])
def test_nobody_consents_for_the_customer_but_a_guardian_or_an_agent(actor: Actor) -> None:
    assert answer(grant(actor=actor)) == refused(Reason.NO_MATCHING_GRANT)


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
    assert answer(grant(data_scope=("user.name", "user.contact")), terms=uncategorised) == refused(
        Reason.NO_MATCHING_GRANT
    )
    assert fields(answer(grant(data_scope=("user",)), terms=uncategorised)) == ("extra",)


def test_a_kind_is_enough_only_while_the_contract_is_not_newer_than_the_answer() -> None:
    by_kind = grant(100, recipient_scope=TO_PARTNERS)
    by_notice = grant(100, recipient_scope=None, notice=Notice(names_recipient_kinds=(RecipientKind.PARTNER,)))
    same_instant, newer = terms(valid_from=Millis(100)), terms(valid_from=Millis(101))
    assert isinstance(answer(by_kind, terms=same_instant), Permitted)
    assert isinstance(answer(by_notice, terms=same_instant), Permitted)
    assert answer(by_kind, terms=newer) == refused(Reason.NO_MATCHING_GRANT)
    assert answer(by_notice, terms=newer) == refused(Reason.NO_MATCHING_GRANT)
    assert isinstance(answer(grant(100), terms=newer), Permitted), "who is named is named"


def test_an_answer_dated_ahead_of_its_record_does_not_make_the_contract_older() -> None:
    newer = terms(valid_from=Millis(500))
    ahead = grant(500 + CLOCK_TOLERANCE_MS, recorded_at=Millis(499), recipient_scope=TO_PARTNERS)
    assert answer(ahead, terms=newer) == refused(Reason.NO_MATCHING_GRANT)


def test_an_answer_recorded_late_was_still_given_before_the_contract() -> None:
    late = grant(100, recorded_at=Millis(900), recipient_scope=TO_PARTNERS)
    assert answer(late, terms=terms(valid_from=Millis(500))) == refused(Reason.NO_MATCHING_GRANT)


def test_a_grant_that_names_no_partner_reaches_none() -> None:
    """Null means the whole kind; an empty list of partners is a list, and nobody is on it."""
    nobody = grant(recipient_scope=RecipientScope(RecipientKind.PARTNER, ()))
    assert answer(nobody) == refused(Reason.NO_MATCHING_GRANT)


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
        ({"valid_from": Millis(99)}, 98, None),  # nor is one before it
    ],
)
def test_a_grant_is_valid_from_its_start_to_below_its_end(
    more: dict[str, Any], now: int, expected: Reason | None
) -> None:
    verdict = answer(grant(100, **more), now=now)
    assert verdict == refused(expected) if expected else isinstance(verdict, Permitted)


def test_a_clock_may_run_ahead_of_ours_by_its_tolerance_and_no_more() -> None:
    assert isinstance(answer(grant(NOW + CLOCK_TOLERANCE_MS)), Permitted)
    assert answer(grant(NOW + 1 + CLOCK_TOLERANCE_MS)) == refused(Reason.GRANT_NOT_YET_VALID)


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
        ("given_name",), ("given-100",), ("T-R1",), Millis(5_000)
    )
    assert answer(*both, terms=terms().only(())) == Denied(Reason.NO_MATCHING_GRANT), "nothing to ask about"


def test_the_newest_grant_in_force_counts() -> None:
    old, new = grant(100), grant(150, valid_from=Millis(2_000))
    assert basis(answer(old, new)) == (ALL_FIELDS, ("given-100",), 9_000)
    assert basis(answer(old, new, now=2_000)) == (ALL_FIELDS, ("given-150",), 9_000)


@pytest.mark.parametrize(("state", "reason"), ENDS.items())
def test_what_ends_a_grant(state: State, reason: Reason) -> None:
    assert answer(grant(100), event(state, 150)) == refused(reason)
    assert answer(grant(100), event(state, 100)) == refused(reason), "at the same time: the more restrictive"
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
    assert answer(grant(100), no(200), question) == refused(Reason.WITHDRAWN)


# --- negatives


@pytest.mark.parametrize(("state", "reason"), NEGATIVES.items())
def test_a_negative_beats_grants_before_it_and_unspecific_ones_after_it(state: State, reason: Reason) -> None:
    assert answer(grant(100), no(200, state)) == refused(reason)
    assert answer(no(200, state), grant(300, recipient_scope=TO_PARTNERS)) == refused(reason)


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
    assert (verdict == refused(Reason.WITHDRAWN)) is binds
    assert binds or isinstance(verdict, Permitted)


def test_a_no_for_a_channel_binds_a_purpose_that_is_about_none() -> None:
    advertising = terms(purpose="marketing.advertising")
    unsubscribed = no(200, purpose="marketing", channel="email")
    assert answer(grant(100, purpose="marketing.advertising"), unsubscribed, terms=advertising) == refused(
        Reason.WITHDRAWN
    )


def test_a_negative_for_some_data_leaves_the_rest_and_holds_for_what_it_may_mean() -> None:
    assert fields(answer(grant(), no(data_scope=("user.contact",)))) == NAME_FIELDS
    assert fields(answer(grant(), no(data_scope=("user.name.first",)))) == ("family_name", "email")
    whole_name = terms(categories={"full_name": "user.name", "email": "user.contact.email"})
    assert fields(answer(grant(), no(data_scope=("user.name.first",)), terms=whole_name)) == ("email",)


def test_the_gravest_reason_stands_for_all() -> None:
    verdict = answer(grant(data_scope=("user.contact",)), no(data_scope=("user.contact",), state=State.REFUSED))
    assert verdict == refused(Reason.REFUSED)


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
    assert answer(grant(100), no(200), again) == refused(Reason.WITHDRAWN)


def test_an_answer_dated_ahead_of_its_record_takes_no_later_no_back() -> None:
    ahead = grant(10**9, recorded_at=Millis(150))
    assert answer(ahead, no(200)) == refused(Reason.WITHDRAWN)


def test_a_yes_from_the_future_takes_no_no_back() -> None:
    """A source whose clock is years ahead would otherwise make withdrawals impossible until then."""
    from_a_wrong_clock = grant(10**12)
    assert answer(from_a_wrong_clock, no(900)) == refused(Reason.WITHDRAWN)


def test_every_negative_has_to_be_taken_back() -> None:
    assert answer(no(200), grant(300), no(400, State.OBJECTED)) == refused(Reason.OBJECTED)
    a_part, the_whole = no(200, data_scope=("user.name.first",)), no(210)
    only_first = terms(categories={"given_name": "user.name.first"})
    wider_than_the_older = grant(300, data_scope=("user.name",))
    assert answer(a_part, the_whole, wider_than_the_older, terms=only_first) == refused(Reason.WITHDRAWN)
    two = (no(200, data_scope=("user.name",)), no(210, data_scope=("user.contact",)))
    assert fields(answer(*two, grant(300, data_scope=("user.contact",)))) == ("email",)


def test_the_newest_standing_negative_is_the_reason() -> None:
    assert answer(grant(100), no(200, State.REFUSED), no(210, State.OBJECTED)) == refused(Reason.OBJECTED)
    assert answer(grant(100), no(200, State.OBJECTED), no(210, State.REFUSED)) == refused(Reason.REFUSED)


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


def test_what_was_taken_back_supports_nothing_that_follows() -> None:
    """Neither its notice nor who gave it counts beside the yes that came after the no."""
    told = under(rule(requires=frozenset({NOTICE})))
    assert reason(answer(grant(100, notice=NAMES_PARTNERS), no(200), grant(300), law=told)) is Reason.NOTICE_MISSING
    assert reason(answer(no(50), grant(100, notice=NAMES_PARTNERS), grant(300), law=told)) is None
    for between in (150, 200):
        earlier = (no(50), grant(between, notice=NAMES_PARTNERS), no(200))
        assert reason(answer(*earlier, grant(300), law=told)) is Reason.NOTICE_MISSING, "the newest no counts"
    by_guardian = under(rule("C", Mode.FORBID, unless=frozenset({GUARDIAN_CONSENT})))
    verdict = answer(grant(100, actor=Actor.GUARDIAN), no(200), grant(300), law=by_guardian)
    assert reason(verdict) is Reason.GUARDIAN_CONSENT_MISSING


def test_a_no_stands_again_when_the_yes_that_took_it_back_was_none() -> None:
    """A later unspecific grant never ends a negative, and an invalidated one has ended nothing."""
    unspecific = grant(500, expression=Expression.OPT_IN, recipient_scope=TO_PARTNERS)
    assert answer(no(200), grant(300), event(State.INVALIDATED, 400), unspecific) == refused(Reason.WITHDRAWN)


# --- objections and opt-outs


@pytest.mark.parametrize("said", ["marketing", "marketing.communications.sms", "marketing.advertising.third_party"])
@pytest.mark.parametrize("scope", [None, TO_OTHERS, TO_SALE])
def test_an_objection_to_marketing_covers_all_marketing_to_all(said: str, scope: RecipientScope | None) -> None:
    objection = no(200, State.OBJECTED, purpose=said, recipient_scope=scope)
    assert answer(grant(100), objection) == refused(Reason.OBJECTED)
    hygiene = terms(purpose="operations.address_hygiene", kind=RecipientKind.PROCESSOR)
    assert isinstance(answer(grant(100, purpose="operations.address_hygiene"), objection, terms=hygiene), Permitted)


@pytest.mark.parametrize("state", sorted(set(NEGATIVES) - {State.OBJECTED}))
def test_other_negatives_for_a_marketing_purpose_stay_in_it(state: State) -> None:
    assert isinstance(answer(grant(100), no(200, state, purpose="marketing.communications.sms")), Permitted)


def test_an_objection_to_something_else_is_an_ordinary_negative() -> None:
    assert isinstance(answer(grant(100), no(200, State.OBJECTED, purpose="operations")), Permitted)


SISTERS = under(rule(), opt_outs=replace(HARMLESS, sale_reaches=HARMLESS.sale_reaches | {SISTER}))
"""As in California, where a sister company under another brand is a third party."""


@pytest.mark.parametrize("said", ["sales", "sales.list", "third_party_sharing", "third_party_sharing.legal_obligation"])
@pytest.mark.parametrize("kind", RecipientKind)
def test_an_opt_out_of_sale_binds_by_what_is_done(said: str, kind: RecipientKind) -> None:
    opt_out = no(200, State.OPTED_OUT, purpose=said)
    ordinary, with_sisters = (
        reason(answer(grant(100), opt_out, terms=terms(kind=kind), law=law)) for law in (ANYWHERE, SISTERS)
    )
    assert ordinary is (Reason.OPTED_OUT if kind in {RecipientKind.PARTNER, RecipientKind.THIRD_PARTY_SALE} else None)
    assert with_sisters is (Reason.OPTED_OUT if kind is SISTER else ordinary)


def test_an_opt_out_of_sale_told_as_one_to_buyers_binds_partners_too() -> None:
    """It denies every disclosure to partners and buyers: what is done counts, not how it was labelled."""
    opt_out = no(200, State.OPTED_OUT, purpose="sales", recipient_scope=TO_SALE)
    assert answer(grant(100), opt_out) == refused(Reason.OPTED_OUT)
    only_others = no(200, State.OPTED_OUT, purpose="sales", recipient_scope=TO_OTHERS)
    assert isinstance(answer(grant(100), only_others), Permitted)


@pytest.mark.parametrize("state", [State.REFUSED, State.WITHDRAWN, State.OBJECTED])
def test_any_no_to_sale_binds_by_what_is_done(state: State) -> None:
    """A refusal of sharing is no weaker than an opt-out of it, or than an answer that nobody can read."""
    assert answer(grant(100), no(200, state, purpose="sales")) == refused(NEGATIVES[state])
    assert isinstance(answer(grant(100), no(200, State.LIMITED, purpose="sales")), Permitted)


@pytest.mark.parametrize(
    ("notice", "reached"),
    [
        (Notice(names_recipients=("hoshi-card",)), True),
        (Notice(names_recipient_kinds=(RecipientKind.PARTNER,)), True),
        (Notice(), True),
        (Notice(names_recipients=("adresso",)), False),
        (Notice(names_recipient_kinds=(RecipientKind.PROCESSOR,)), False),
    ],
)
def test_a_grant_never_exceeds_what_its_notice_says_of_recipients(notice: Notice, reached: bool) -> None:  # noqa: FBT001
    """DOMAIN A3, 5f: whatever the scope claims, and no other takes a no back."""
    assert isinstance(answer(grant(100, notice=notice)), Permitted) is reached
    assert isinstance(answer(no(50), grant(100, notice=notice)), Permitted) is reached


@pytest.mark.parametrize(
    ("yes", "answered"),
    [
        ({}, True),
        ({"data_scope": ("user.name",)}, False),
        ({"actor": Actor.CONTROLLER}, False),
        ({"channel": Channel.EMAIL}, False),
        ({"purpose": "analytics"}, False),
    ],
)
def test_an_open_question_is_closed_by_a_yes_to_that_question(yes: dict[str, Any], answered: bool) -> None:  # noqa: FBT001
    told = under(rule(mode=Mode.OPT_OUT))
    asked = event(State.UNKNOWN, 100, purpose="sales", data_scope=("*",))
    later = event(
        State.GIVEN, 200, **{"purpose": "sales", "data_scope": ("*",), "expression": Expression.DEFAULT} | yes
    )
    noticed = terms(evidence=frozenset({NOTICE}))
    assert ("email" in fields(answer(asked, later, law=told, terms=noticed))) is answered


def test_a_number_makes_no_answer_later_than_its_time_or_its_source_does() -> None:
    ranked = law_of(pack(rule()), source_priority={"crm": 2, "shop": 1})
    assert answer(grant(150, sequence=9), no(200, sequence=1)) == refused(Reason.WITHDRAWN)
    less_trusted = grant(200, source_system="shop", sequence=9)
    assert answer(less_trusted, no(200, source_system="crm", sequence=1), law=ranked) == refused(Reason.WITHDRAWN)


@pytest.mark.parametrize("number", [1, -1])
def test_of_grants_at_one_time_the_one_with_the_higher_number_is_relied_on(number: int) -> None:
    """One without a number stands where 0 would."""
    unnumbered = grant(100, record_id="a" if number > 0 else "b")
    numbered = grant(100, record_id="b" if number > 0 else "a", sequence=number)
    assert basis(answer(unnumbered, numbered)) == (ALL_FIELDS, ("b",), 9_000)


def test_numbers_of_different_sources_are_not_compared() -> None:
    """DOMAIN A4.14: where neither is later for certain, the more restrictive wins."""
    one = {"source_system": "web", "sequence": 9}
    assert answer(no(200, source_system="crm"), grant(200, **one)) == refused(Reason.WITHDRAWN)
    assert answer(no(200, source_system="crm", sequence=1), grant(200, **one)) == refused(Reason.WITHDRAWN)
    assert isinstance(answer(no(200, source_system="web", sequence=8), grant(200, **one)), Permitted)


def test_an_opt_out_of_sale_is_taken_back_by_naming_purpose_and_recipient() -> None:
    opt_out = no(200, State.OPTED_OUT, purpose="sales", actor=Actor.SIGNAL, expression=Expression.OPT_OUT_SIGNAL)
    assert isinstance(answer(opt_out, grant(300)), Permitted)
    assert answer(opt_out, grant(300, recipient_scope=TO_PARTNERS)) == refused(Reason.OPTED_OUT)


# --- limitations of sensitive data


def test_a_limitation_is_a_no_for_sensitive_data_alone() -> None:
    """DOMAIN A4.2. A field that may hold such data counts as such."""
    names = under(rule(), sensitive=frozenset({"user.name.first"}))
    limited = no(200, State.LIMITED)
    assert fields(answer(grant(100), limited)) == ALL_FIELDS
    assert fields(answer(grant(100), limited, law=names)) == ("family_name", "email")
    whole = terms(categories={"name": "user.name", "email": "user.contact.email"})
    assert fields(answer(grant(100), limited, law=names, terms=whole)) == ("email",)


# --- questions without an answer


OPT_OUT = under(rule(mode=Mode.OPT_OUT))
NOTICED = terms(evidence=frozenset({NOTICE}))


@pytest.mark.parametrize(
    ("later", "open_still"),
    [
        pytest.param(grant(300), False, id="a yes that reaches"),
        pytest.param(grant(300, recipient_scope=None, expression=Expression.IMPLIED), False, id="to the same question"),
        pytest.param(grant(300, recipient_scope=TO_OTHERS), True, id="a yes to others"),
        pytest.param(grant(300, purpose="marketing", recipient_scope=None), True, id="a yes for a purpose above"),
        pytest.param(grant(300, purpose=HYGIENE, recipient_scope=None), True, id="a yes for another purpose"),
        pytest.param(grant(200), True, id="a yes at the same time"),
        pytest.param(no(300, State.EXPIRED), True, id="an end"),
        pytest.param(grant(NOW + CLOCK_TOLERANCE_MS, recipient_scope=None), False, id="a yes by a clock ahead"),
        pytest.param(grant(NOW + 1 + CLOCK_TOLERANCE_MS, recipient_scope=None), True, id="a yes from the future"),
    ],
)
def test_a_question_stays_open_until_it_is_answered_with_yes(later: Any, open_still: bool) -> None:  # noqa: ANN401, FBT001
    verdict = answer(question(200), later, law=OPT_OUT, terms=NOTICED)
    assert (reason(verdict) is Reason.UNANSWERED) is open_still


def test_an_open_question_of_sale_is_about_all_partners_and_one_for_others_about_none() -> None:
    assert reason(answer(question(purpose="sales"), law=OPT_OUT, terms=NOTICED)) is Reason.UNANSWERED
    assert reason(answer(question(recipient_scope=TO_OTHERS), law=OPT_OUT, terms=NOTICED)) is None


# --- the name of the recipient


def test_where_a_law_wants_the_name_nothing_less_reaches() -> None:
    """DOMAIN A4.4: and what one law wants, every law's test then rests on."""
    named = rule("N-R1", requires=frozenset({NOTICE_NAMES_RECIPIENT}))
    law = law_of(pack(rule()), pack(named, jurisdiction="JP"))
    for facts in ({"residence": "JP"}, {"residence": "AU", "collected_in": "JP"}):
        assert reason(_in(facts, law, grant(recipient_scope=TO_PARTNERS, notice=NAMES_PARTNERS))) is not None
        assert reason(_in(facts, law, grant(notice=NAMES_HOSHI))) is None
        assert reason(_in(facts, law, grant())) is Reason.NO_MATCHING_GRANT, "a name that no notice told"
    assert reason(_in({"residence": "AU"}, law, grant(recipient_scope=TO_PARTNERS))) is None


def _in(facts: dict[str, Any], law: Law, *said: ConsentEvent) -> Permitted | Denied:
    return answer(*said, law=law, facts=Facts(**facts))


# --- signals


BINDING = under(rule(mode=Mode.OPT_OUT), opt_outs=replace(HARMLESS, gpc_binds=True))
SIGNALLED = no(200, State.OPTED_OUT, purpose="sales", signal=GPC, actor=Actor.SIGNAL)


@pytest.mark.parametrize(
    ("kind", "purpose", "stopped"),
    [
        (RecipientKind.PARTNER, EMAIL, True),
        (RecipientKind.PARTNER, HYGIENE, True),
        (RecipientKind.THIRD_PARTY_SALE, EMAIL, True),
        (RecipientKind.AFFILIATE_SAME_BRAND, EMAIL, False),
        (RecipientKind.AFFILIATE_SAME_BRAND, ADVERTISING, True),
        (RecipientKind.PROCESSOR, EMAIL, False),
        (RecipientKind.PROCESSOR, ADVERTISING, False),
    ],
)
def test_global_privacy_control_stops_sale_sharing_and_advertising(
    kind: RecipientKind,
    purpose: str,
    stopped: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Where the law says that it binds, and nowhere else (DOMAIN A3, 5e)."""
    contract = replace(NOTICED, kind=kind, purpose=purpose)
    assert reason(answer(SIGNALLED, law=BINDING, terms=contract)) is (Reason.OPTED_OUT if stopped else None)
    assert reason(answer(SIGNALLED, law=OPT_OUT, terms=contract)) is None


def test_the_signal_is_taken_back_only_knowingly() -> None:
    again = grant(300)
    assert reason(answer(SIGNALLED, again, law=BINDING, terms=NOTICED)) is Reason.OPTED_OUT
    knowingly = msgspec.structs.replace(again, gpc_conflict_ack=True)
    assert reason(answer(SIGNALLED, knowingly, law=BINDING, terms=NOTICED)) is None


def test_where_the_opt_in_takes_two_steps_one_is_none() -> None:
    two_steps = under(rule(), opt_outs=replace(HARMLESS, two_step_opt_in=True))
    assert reason(answer(no(200), grant(300), law=two_steps)) is Reason.WITHDRAWN
    assert reason(answer(no(200), grant(300, confirmed=True), law=two_steps)) is None
    assert reason(answer(grant(300), law=two_steps)) is None, "nothing was to be taken back"


@pytest.mark.parametrize(
    ("yes", "denied", "taken_back"),
    [
        (("*",), ("*",), True),
        (("*",), (), True),
        (("user.name",), ("user",), True),
        (("user",), ("user.name",), False),
        (("*",), ("user.name",), False),
        (("user.name.first",), ("user.name",), True),
        (("*", "user.name"), ("user.name",), True),
    ],
)
def test_a_no_is_taken_back_in_its_own_scope_or_a_narrower_one(yes: Any, denied: Any, taken_back: bool) -> None:  # noqa: ANN401, FBT001
    only_first = terms(categories={"given_name": "user.name.first"})
    verdict = answer(no(200, data_scope=denied), grant(300, data_scope=yes), terms=only_first)
    assert isinstance(verdict, Permitted) is taken_back


# --- the order of answers


def test_at_the_same_time_the_more_trusted_source_wins_then_the_later_number() -> None:
    """DOMAIN A4.14."""
    ranked = law_of(pack(rule()), source_priority={"crm": 2, "shop": 1})

    def verdict(yes: dict[str, Any], told_no: dict[str, Any]) -> Reason | None:
        return reason(answer(no(200, **told_no), grant(200, **yes), law=ranked))

    assert verdict({"source_system": "crm"}, {"source_system": "shop"}) is None
    assert verdict({"source_system": "shop"}, {"source_system": "crm"}) is Reason.WITHDRAWN
    assert verdict({"source_system": "shop"}, {"source_system": "fair"}) is None
    assert verdict({"sequence": 2}, {"sequence": 1}) is None
    assert verdict({"sequence": 1}, {"sequence": 2}) is Reason.WITHDRAWN
    assert verdict({"sequence": 1}, {"sequence": 1}) is Reason.WITHDRAWN
    assert verdict({"sequence": 1}, {}) is Reason.WITHDRAWN, "what has no number is not known to be earlier"
    assert verdict({}, {"sequence": -1}) is Reason.WITHDRAWN
    assert verdict({"source_system": "shop", "sequence": 9}, {"source_system": "crm"}) is Reason.WITHDRAWN


# --- what binds where nobody has to be asked


ALLOWED = under(rule(mode=Mode.ALLOW))
US = under(rule(mode=Mode.ALLOW), opt_outs=replace(HARMLESS, advertising=True))
AD = terms(purpose=ADVERTISING)


@pytest.mark.parametrize(
    ("said", "contract", "binds"),
    [
        pytest.param(no(purpose="marketing"), terms(), False, id="a no to everybody"),
        pytest.param(
            no(purpose="marketing", recipient_scope=RecipientScope()),
            terms(),
            False,
            id="the same, with an empty scope",
        ),
        pytest.param(no(), terms(), True, id="a no to e-mail itself is an unsubscribe"),
        pytest.param(no(purpose=HYGIENE), terms(purpose=HYGIENE), False, id="a no to what needs no channel"),
        pytest.param(no(state=State.OBJECTED, purpose="*"), terms(), True, id="an objection to everything"),
        pytest.param(
            no(state=State.OPTED_OUT, purpose="*"), terms(purpose=HYGIENE), True, id="an opt-out of everything"
        ),
        pytest.param(
            no(state=State.OBJECTED, purpose="sales"),
            terms(purpose=HYGIENE),
            True,
            id="an objection to sale, to a partner",
        ),
        pytest.param(no(recipient_scope=TO_HOSHI), terms(), True, id="it names the recipient"),
        pytest.param(no(recipient_scope=TO_PARTNERS), terms(), True, id="its kind"),
        pytest.param(no(recipient_scope=TO_OTHERS), terms(), False, id="it names others"),
        pytest.param(no(channel=Channel.EMAIL), terms(), True, id="its channel"),
        pytest.param(no(channel=Channel.SMS), terms(), False, id="another channel"),
        pytest.param(no(state=State.OBJECTED), terms(), True, id="an objection to marketing"),
        pytest.param(
            no(state=State.OBJECTED, purpose="operations"), terms(purpose=HYGIENE), False, id="to something else"
        ),
        pytest.param(no(state=State.OPTED_OUT, purpose="sales"), terms(), True, id="an opt-out of sale, to a partner"),
        pytest.param(
            no(state=State.OPTED_OUT, purpose="sales"), terms(kind=RecipientKind.PROCESSOR), False, id="to a processor"
        ),
        pytest.param(no(state=State.OPTED_OUT, purpose="marketing"), AD, False, id="an opt-out of advertising"),
        pytest.param(question(), terms(), False, id="an open question"),
    ],
)
def test_what_denies_although_the_law_allows(said: ConsentEvent, contract: Terms, binds: bool) -> None:  # noqa: FBT001
    """DOMAIN A4.5."""
    assert isinstance(answer(said, terms=contract, law=ALLOWED), Denied) is binds


def test_an_opt_out_of_advertising_binds_everywhere_in_the_states() -> None:
    opt_out = no(state=State.OPTED_OUT, purpose="marketing")
    assert reason(answer(opt_out, terms=AD, law=US)) is Reason.OPTED_OUT
    assert reason(answer(opt_out, terms=terms(purpose=EMAIL), law=US)) is None, "e-mail is no advertising"
    assert reason(answer(no(purpose="marketing"), terms=AD, law=US)) is Reason.WITHDRAWN, "nor is a withdrawal weaker"
