"""One rule at a time: its test, what a contract has to prove, what lifts or replaces it (DOMAIN A3, 4-6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sluice.consent import Actor, ConsentEvent, Expression, RecipientKind, State
from sluice.decision import Denied
from sluice.facts import Facts
from sluice.judgement import Verdict, may_have_consented
from sluice.law.rule import GUARDIAN_CONSENT, NOTICE, NOTICE_NAMES_RECIPIENT, Ages, Alternative, Entitled, Mode, Rule
from sluice.model import Millis, Reason
from tests.unit.deciding import (
    NAMES_HOSHI,
    NAMES_PARTNERS,
    TERMS,
    TO_HOSHI,
    TO_PARTNERS,
    answer,
    grant,
    judgement,
    no,
    question,
    reason,
    rule,
    terms,
    under,
)

YES, OPT_IN, IMPLIED = grant(), grant(expression=Expression.OPT_IN), grant(expression=Expression.IMPLIED)
NOTICED = terms(evidence=frozenset({NOTICE}))
EVERYTHING = frozenset(RecipientKind)


def verdict(one: Rule, *said: ConsentEvent, **more: object) -> Verdict:
    """What the rule says to the contract's first field."""
    return judgement(*said, **{"law": under(one)} | more).categories[0].verdicts[0]  # type: ignore[arg-type]


def denied(mode: Mode, *said: ConsentEvent, evidence: tuple[str, ...] = (NOTICE,)) -> Reason | None:
    return verdict(rule(mode=mode), *said, terms=terms(evidence=frozenset(evidence))).denied


# --- the table of DOMAIN A3 (6)


SAID: dict[str, tuple[ConsentEvent, ...]] = {
    "nothing": (),
    "an implied yes": (IMPLIED,),
    "a yes": (OPT_IN,),
    "an explicit yes": (YES,),
    "a no": (YES, no(purpose="marketing")),
    "a question": (YES, question()),
    "an end": (YES, no(state=State.EXPIRED)),
}
NO_YES, NOT_EXPRESS = Reason.NO_CONSENT_RECORD, Reason.GRANT_NOT_EXPRESS
SAID_NO, OPEN, ENDED = Reason.WITHDRAWN, Reason.UNANSWERED, Reason.GRANT_EXPIRED


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (Mode.ALLOW, (None, None, None, None, None, None, None)),
        (Mode.OPT_OUT, (None, None, None, None, SAID_NO, OPEN, None)),
        (Mode.LIMIT, (None, None, None, None, SAID_NO, OPEN, None)),
        (Mode.OPT_IN, (NO_YES, NOT_EXPRESS, None, None, SAID_NO, OPEN, ENDED)),
        (Mode.OPT_IN_EXPLICIT, (NO_YES, NOT_EXPRESS, NOT_EXPRESS, None, SAID_NO, OPEN, ENDED)),
        (Mode.FORBID, (Reason.FORBIDDEN_BY_LAW,) * 7),
    ],
)
def test_what_each_test_makes_of_what_was_said(mode: Mode, expected: tuple[Reason | None, ...]) -> None:
    found = {name: denied(mode, *said) for name, said in SAID.items()}
    assert found == dict(zip(SAID, expected, strict=True))


@pytest.mark.parametrize("mode", [Mode.OPT_OUT, Mode.LIMIT])
def test_silence_is_enough_only_of_who_was_told(mode: Mode) -> None:
    assert denied(mode, evidence=()) is Reason.NOTICE_MISSING
    assert denied(mode, evidence=(NOTICE_NAMES_RECIPIENT,)) is None, "who is named is also told the kind"
    assert denied(mode, IMPLIED, evidence=()) is None, "a grant is more than silence"


def test_a_no_that_names_the_recipient_denies_where_the_law_allows() -> None:
    assert denied(Mode.ALLOW, no(recipient_scope=TO_HOSHI)) is Reason.WITHDRAWN


def test_a_limitation_leaves_open_what_the_law_says() -> None:
    """For California 11 CCR 7027(m)."""
    law = under(rule(mode=Mode.LIMIT), limit_permits=("essential",), sensitive=frozenset({"user"}))
    limited = no(state=State.LIMITED, purpose="*")
    open_purpose = replace(NOTICED, purpose="essential.fraud_detection")
    assert reason(answer(limited, law=law, terms=open_purpose)) is None
    assert reason(answer(limited, law=law, terms=replace(open_purpose, evidence=frozenset()))) is Reason.NOTICE_MISSING
    assert reason(answer(limited, question(purpose="*"), law=law, terms=open_purpose)) is Reason.UNANSWERED
    assert reason(answer(limited, law=law, terms=NOTICED)) is Reason.LIMITED


# --- what a verdict rests on


@pytest.mark.parametrize(("basis", "passed"), [(None, True), ("consent", True), ("legitimate_interests", False)])
def test_a_record_on_another_basis_is_no_opt_in(basis: str | None, passed: bool) -> None:  # noqa: FBT001
    """Nobody was asked, whatever it says; where nobody has to be, it is as good as any."""
    yes = grant(100, lawful_basis=basis)
    assert (denied(Mode.OPT_IN, yes) is None) is passed
    assert denied(Mode.OPT_OUT, yes) is None


def test_a_verdict_names_the_grant_or_the_negatives_that_it_rests_on() -> None:
    lasting = grant(valid_until=Millis(5_000))
    assert verdict(rule(), lasting) == Verdict("T-R1", "ZZ", Mode.OPT_IN, grants=("given-100",), until=Millis(5_000))
    assert verdict(rule(), no(210), no(200)).negatives == ("withdrawn-200", "withdrawn-210")


def test_the_newest_grant_that_satisfies_the_test_is_relied_on() -> None:
    assert verdict(rule(), grant(90), YES, grant(110, expression=Expression.IMPLIED)).grants == ("given-100",)
    assert verdict(rule(mode=Mode.OPT_OUT), grant(90), YES).grants == ("given-100",)


# --- what a contract has to prove

PROVEN = terms(evidence=frozenset({"contract", "audit"}))


def test_all_that_a_rule_requires_has_to_be_proven() -> None:
    asks = rule(mode=Mode.ALLOW, requires=frozenset({"contract", "audit", "seal", "bond"}))
    assert verdict(asks, terms=PROVEN).missing == ("bond", "seal")
    assert verdict(asks, terms=PROVEN).denied is Reason.EVIDENCE_MISSING
    assert verdict(replace(asks, requires=frozenset({"contract", "audit"})), terms=PROVEN).denied is None
    one_missing = verdict(replace(asks, requires=frozenset({"contract", "seal"})), terms=PROVEN)
    assert (one_missing.denied, one_missing.missing) == (Reason.EVIDENCE_MISSING, ("seal",))


def test_what_holds_otherwise_is_tested_when_something_is_missing() -> None:
    """As in Japan: joint use with its notice is allowed, otherwise consent is asked (APPI 27(5)(iii))."""
    joint_use = rule(mode=Mode.ALLOW, requires=frozenset({"joint_use_notice"}), otherwise=Mode.OPT_IN)
    assert verdict(joint_use).denied is Reason.NO_CONSENT_RECORD
    assert verdict(joint_use).mode is Mode.OPT_IN
    assert verdict(joint_use, YES).denied is None
    assert verdict(joint_use, terms=terms(evidence=frozenset({"joint_use_notice"}))).mode is Mode.ALLOW


def test_a_notice_may_be_proven_by_the_contract_or_by_the_grants_own() -> None:
    """DOMAIN A4.4, A4.10."""
    kind_told = rule(requires=frozenset({NOTICE}))
    by_kind = grant(recipient_scope=TO_PARTNERS)
    assert verdict(kind_told, by_kind).denied is Reason.NOTICE_MISSING
    assert verdict(kind_told, by_kind).missing == (NOTICE,)
    assert verdict(kind_told, by_kind, terms=NOTICED).denied is None
    assert verdict(kind_told, grant(notice=NAMES_PARTNERS)).denied is None
    assert verdict(kind_told, grant(notice=NAMES_HOSHI)).denied is None
    assert verdict(kind_told).denied is Reason.NO_CONSENT_RECORD, "without a grant that is the reason"
    named = rule(requires=frozenset({NOTICE_NAMES_RECIPIENT}))
    assert verdict(named, grant(notice=NAMES_HOSHI)).denied is None
    assert verdict(named, grant(notice=NAMES_PARTNERS)).denied is not None


def test_a_lifted_rule_asks_nothing() -> None:
    forbids = rule(mode=Mode.FORBID, unless=frozenset({"waiver", "audit"}), requires=frozenset({"seal"}))
    assert verdict(forbids, no(), terms=PROVEN) == Verdict("T-R1", "ZZ", Mode.FORBID, lifted_by="audit")
    assert verdict(forbids).denied is not None


# --- alternatives

INTEREST = Alternative("interest", Mode.OPT_OUT, frozenset({"assessment", NOTICE}), EVERYTHING, None)
ON = terms(alt_basis=frozenset({"interest"}), evidence=frozenset({"assessment", NOTICE}))


@pytest.mark.parametrize(
    ("contract", "used"),
    [
        pytest.param(ON, True, id="on and proven"),
        pytest.param(replace(ON, alt_basis=frozenset()), False, id="not switched on"),
        pytest.param(replace(ON, alt_basis=frozenset({"other"})), False, id="another is on"),
        pytest.param(replace(ON, evidence=frozenset({NOTICE})), False, id="not proven"),
    ],
)
def test_an_alternative_counts_when_it_is_switched_on_and_proven(contract: object, used: bool) -> None:  # noqa: FBT001
    found = verdict(rule(alternatives=(INTEREST,)), terms=contract)
    assert (found.alternative, found.mode, found.denied) == (
        ("interest", Mode.OPT_OUT, None) if used else (None, Mode.OPT_IN, Reason.NO_CONSENT_RECORD)
    )


def test_an_alternative_is_for_its_recipients_and_not_for_the_data_that_it_excludes() -> None:
    processors = replace(INTEREST, recipients=frozenset({RecipientKind.PROCESSOR}))
    assert verdict(rule(alternatives=(processors,)), terms=ON).alternative is None
    tame = replace(INTEREST, not_for="sensitive")
    assert verdict(rule(alternatives=(tame,)), terms=ON).alternative == "interest"
    names = under(rule(alternatives=(tame,)), sensitive=frozenset({"user.name.first"}))
    categories = judgement(law=names, terms=ON).categories
    assert [one.verdicts[0].alternative for one in categories] == [None, "interest", "interest"]


def test_an_alternative_frees_from_what_the_rule_requires_and_a_no_still_denies() -> None:
    strict = rule(requires=frozenset({"seal"}), alternatives=(INTEREST,))
    assert verdict(strict, terms=ON).denied is None
    assert verdict(strict, no(), terms=ON).denied is Reason.WITHDRAWN


# --- transfers


@pytest.mark.parametrize(
    ("mechanisms", "evidence", "why"),
    [
        pytest.param(None, (), None, id="the law restricts no destination"),
        pytest.param(frozenset({"JP"}), (), None, id="the destination has a mechanism"),
        pytest.param(frozenset({"AU"}), (), Reason.TRANSFER_NOT_COVERED, id="it has none"),
        pytest.param(frozenset(), (), Reason.TRANSFER_NOT_COVERED, id="none has"),
        pytest.param(frozenset(), ("clauses",), None, id="clauses that the rule names"),
        pytest.param(frozenset(), ("addendum",), None, id="an instrument of the law"),
        pytest.param(frozenset(), ("letter",), Reason.TRANSFER_NOT_COVERED, id="something else"),
    ],
)
def test_data_goes_where_a_mechanism_or_an_instrument_covers_it(
    mechanisms: frozenset[str] | None, evidence: tuple[str, ...], why: Reason | None
) -> None:
    """DOMAIN A4.11."""
    law = under(
        rule(mode=Mode.ALLOW),
        rule("X", Mode.FORBID, outside=True, unless=frozenset({"clauses"})),
        mechanisms=mechanisms,
        instruments=frozenset({"addendum"}),
    )
    assert reason(answer(law=law, terms=terms(country="JP", evidence=frozenset(evidence)))) is why


def test_an_instrument_for_transfers_lifts_no_other_rule() -> None:
    law = under(rule(mode=Mode.FORBID), instruments=frozenset({"addendum"}))
    assert isinstance(answer(law=law, terms=terms(evidence=frozenset({"addendum"}))), Denied)


# --- who may consent

TEENS_THEMSELVES = (Entitled(Ages(13, 16), Actor.SUBJECT), Entitled(Ages(0, 13), Actor.GUARDIAN))
AGED = rule("C", Mode.OPT_IN, ages=Ages(0, 16), entitled=TEENS_THEMSELVES)


@pytest.mark.parametrize(
    ("age", "actor", "could"),
    [
        (12, Actor.GUARDIAN, True),
        (12, Actor.SUBJECT, False),
        (13, Actor.SUBJECT, True),
        (13, Actor.GUARDIAN, False),
        (15, Actor.AGENT, False),
        (16, Actor.AGENT, True),
    ],
)
def test_who_could_consent_at_an_age(age: int, actor: Actor, could: bool) -> None:  # noqa: FBT001 - a table's column
    """As in California: from 13 to 15 the customer, below a parent (Civ. 1798.120(c)-(d))."""
    assert may_have_consented(grant(actor=actor), [AGED], age, 13) is could


def test_every_rule_on_an_age_has_to_let_the_customer_consent() -> None:
    forbids = rule(mode=Mode.FORBID, ages=Ages(0, 13))
    assert not may_have_consented(grant(), [replace(forbids, ages=Ages(13, 16)), forbids], 10, 13)
    assert not may_have_consented(grant(), [replace(forbids, ages=None), forbids], 10, 13)


def test_a_childs_age_is_the_laws_own_where_a_rule_says_so() -> None:
    forbids = rule(mode=Mode.FORBID, ages=Ages(0, None), unless=frozenset({GUARDIAN_CONSENT}))
    assert not may_have_consented(grant(), [forbids], 15, 16)
    assert may_have_consented(grant(), [forbids], 15, 15)
    assert not may_have_consented(grant(actor=Actor.GUARDIAN), [replace(forbids, unless=frozenset())], 15, 16)


def test_a_grant_by_who_is_not_entitled_now_is_not_enough() -> None:
    day = 86_400_000
    born, now = 0, Millis(13 * 366 * day)
    contract = replace(TERMS, valid_from=Millis(0), valid_until=None)
    asks = under(rule(mode=Mode.ALLOW), AGED)
    by_guardian = grant(12 * 365 * day, actor=Actor.GUARDIAN)
    facts = Facts("AU", born=born)
    assert reason(answer(by_guardian, law=asks, terms=contract, facts=facts, now=by_guardian.event_time)) is None
    later = answer(by_guardian, law=asks, terms=contract, facts=facts, now=now)
    assert later == Denied(Reason.NOT_ENTITLED_TO_CONSENT, ("C",)), (
        "the customer is old enough now, and has to be asked"
    )
