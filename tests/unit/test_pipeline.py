"""The way of one customer: every combination of what is held, known and allowed has one outcome, and this is which."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import catalogue
from sluice import keys
from sluice.consent import ConsentRecord, parse_event
from sluice.contract import CheckedContract, Contract
from sluice.law.loading import shipped_law
from sluice.model import (
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
    Shared,
    Unchanged,
    Withheld,
    label,
)
from sluice.projection import Snapshot, Unread
from sluice.ruling import Policy
from sluice.source_schema import leaves
from sluice.store import Row
from stream_processors.sharing.parties import Partnership
from stream_processors.sharing.pipeline import DELETED, NO_PROFILE, UNREADABLE, Case, Gone, reconcile, ruling_on
from tests.unit.installation import Installation

CUSTOMER = CustomerId("dell-crm:1")
NOW = Millis(1_780_000_000_000)
CONTRACT = {
    "partner": "hoshi-card",
    "name": "Hoshi Card",
    "recipient": "corporate_partner",
    "purpose": "marketing.communications.email",
    "country": "JP",
    "valid": {"from": date(2026, 1, 1)},
    "fields": {"given_name": "keep", "family_name": {"keep": {"required": True}}, "email": "keep"},
    "where": {"preferred_language": "ja"},
}
RECORD = {"given_name": "Hanako", "family_name": "Sato", "email": "h@example.com", "residence": "JP"}
RECORD |= {"preferred_language": "ja"}
GOOD = Snapshot(RECORD)
ABROAD = Snapshot(RECORD | {"preferred_language": "en"})
NAMELESS = Snapshot(RECORD | {"family_name": None})
OLD_SCHEMA = Snapshot({key: value for key, value in RECORD.items() if key != "family_name"})
STRANGE = Snapshot(RECORD | {"email": {"address": "h@example.com"}})
HUGE = Snapshot(RECORD | {"email": "h" * 2_000})
PROFILES = [GOOD, ABROAD, NAMELESS, OLD_SCHEMA, STRANGE, HUGE, Unread(), NO_PROFILE, DELETED, UNREADABLE]


@pytest.fixture(scope="module")
def installation() -> Installation:
    return Installation(CONTRACT, max_bytes=1_000)


@pytest.fixture(scope="module")
def hoshi(installation: Installation) -> Partnership:
    return installation.partner("hoshi-card")


def consents(installation: Installation, *said: tuple[str, list[str]]) -> ConsentRecord:
    record = ConsentRecord()
    for at, (state, data) in enumerate(said):
        event = installation.decode(installation.answer(CUSTOMER, "hoshi-card", at, state, data_scope=data))
        record = record.with_event(parse_event(event, CUSTOMER, NOW))
    return record


def case(profile: Any, known: ConsentRecord, held: Held | None = None, *, may_widen: bool = True) -> Case:  # noqa: ANN401
    row = Row(consents=known, held={} if held is None else {PartnerId("hoshi-card"): held})
    return Case(CUSTOMER, row, profile, ruling_on(row.consents, profile, policy(), NOW), may_widen, NOW, policy())


@cache
def policy() -> Policy:
    contract = Contract.model_validate(CONTRACT)
    schema = leaves(catalogue.text("customer_profile"))
    checked = CheckedContract(contract, {path: schema[path] for path in contract.shared_fields})
    return Policy({checked.partner: checked.terms()}, shipped_law())


def held_of(outcome: Outcome) -> Held:
    assert isinstance(outcome, Shared)
    return outcome.held


@pytest.fixture(scope="module")
def everything(installation: Installation) -> ConsentRecord:
    return consents(installation, ("GIVEN", ["*"]))


@pytest.fixture(scope="module")
def names(installation: Installation) -> ConsentRecord:
    return consents(installation, ("GIVEN", ["user.name"]))


def test_what_is_shared_says_on_what_it_rests(
    installation: Installation, hoshi: Partnership, everything: ConsentRecord
) -> None:
    outcome = reconcile(case(GOOD, everything), hoshi)
    assert isinstance(outcome, Shared)
    assert installation.decode(outcome.record) == {
        "given_name": "Hanako",
        "family_name": "Sato",
        "email": "h@example.com",
    }
    assert outcome.held == Held(
        pseudonym=keys.pseudonym(hoshi.keys.record, CUSTOMER),
        key_epoch=1,
        contract=hoshi.contract,
        fields=("given_name", "family_name", "email"),
        digest=keys.keyed_digest(hoshi.keys.digest, outcome.record),
        consents=(f"{CUSTOMER} hoshi-card GIVEN 0",),
        rules=("JP-R3",),
        expires_at=None,
    )


@pytest.mark.parametrize("may_widen", [True, False])
@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        (NO_PROFILE, Reason.NO_PROFILE),
        (DELETED, Reason.DELETED_AT_SOURCE),
        (UNREADABLE, Reason.PROFILE_UNREADABLE),
        (ABROAD, Reason.OUTSIDE_ROW_FILTER),
        (NAMELESS, Reason.REQUIRED_FIELD_MISSING),
    ],
)
def test_without_a_profile_to_share_what_is_held_is_recalled(
    hoshi: Partnership,
    everything: ConsentRecord,
    profile: Any,  # noqa: ANN401
    reason: Reason,
    may_widen: bool,  # noqa: FBT001 - a table's column
) -> None:
    held = held_of(reconcile(case(GOOD, everything), hoshi))
    assert reconcile(case(profile, everything, held, may_widen=may_widen), hoshi) == Recalled(held, reason)
    expected = {reason} if may_widen or isinstance(profile, Gone) else {Reason.WAITING_FOR_UPDATES}
    outcome = reconcile(case(profile, everything, may_widen=may_widen), hoshi)
    assert isinstance(outcome, Withheld)
    assert {outcome.reason} == expected


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("may_widen", [True, False])
def test_a_no_recalls_whatever_the_profile(
    installation: Installation,
    hoshi: Partnership,
    everything: ConsentRecord,
    profile: Any,  # noqa: ANN401
    may_widen: bool,  # noqa: FBT001
) -> None:
    held = held_of(reconcile(case(GOOD, everything), hoshi))
    withdrawn = consents(installation, ("GIVEN", ["*"]), ("WITHDRAWN", ["*"]))
    reason = profile.reason if isinstance(profile, Gone) else Reason.WITHDRAWN
    assert reconcile(case(profile, withdrawn, held, may_widen=may_widen), hoshi) == Recalled(held, reason)
    unknown = Reason.PROFILE_NOT_READ_YET if isinstance(profile, Unread) else reason
    assert reconcile(case(profile, withdrawn, may_widen=may_widen), hoshi) == Withheld(unknown)


@pytest.mark.parametrize(
    ("profile", "cause"),
    [
        (OLD_SCHEMA, Cause.REQUIRED_FIELD_NOT_IN_SCHEMA),
        (STRANGE, Cause.UNENCODABLE),
        (HUGE, Cause.RECORD_TOO_LARGE),
    ],
)
def test_a_record_that_cannot_be_made_is_rejected_and_recalled(
    hoshi: Partnership, everything: ConsentRecord, profile: Snapshot, cause: Cause
) -> None:
    held = held_of(reconcile(case(GOOD, everything), hoshi))
    assert reconcile(case(profile, everything), hoshi) == Rejected(cause, None)
    assert reconcile(case(profile, everything, held), hoshi) == Rejected(cause, held)


def test_a_profile_that_is_not_read_yet_changes_nothing(hoshi: Partnership, everything: ConsentRecord) -> None:
    held = held_of(reconcile(case(GOOD, everything), hoshi))
    assert reconcile(case(Unread(), everything, held), hoshi) == Unchanged()
    assert reconcile(case(Unread(), everything), hoshi) == Withheld(Reason.PROFILE_NOT_READ_YET)


def test_a_profile_that_is_not_read_yet_keeps_no_field_that_may_not_be_held(
    hoshi: Partnership, everything: ConsentRecord, names: ConsentRecord
) -> None:
    """A smaller record cannot be made without the profile, so the whole has to be recalled."""
    held = held_of(reconcile(case(GOOD, everything), hoshi))
    outcome = reconcile(case(Unread(), names, held), hoshi)
    assert isinstance(outcome, Recalled)


def test_the_same_again_is_unchanged(hoshi: Partnership, everything: ConsentRecord) -> None:
    held = held_of(reconcile(case(GOOD, everything), hoshi))
    for may_widen in (True, False):
        assert reconcile(case(GOOD, everything, held, may_widen=may_widen), hoshi) == Unchanged()


@pytest.mark.parametrize(
    "change", [{"consents": ("other",)}, {"expires_at": Millis(5)}, {"contract": "other"}, {"key_epoch": 9}]
)
def test_the_same_bytes_on_another_basis_are_renewed(
    hoshi: Partnership, everything: ConsentRecord, change: dict[str, Any]
) -> None:
    new = held_of(reconcile(case(GOOD, everything), hoshi))
    old = msgspec.structs.replace(new, **change)
    assert reconcile(case(GOOD, everything, old), hoshi) == Unchanged(renewed=new)


def test_less_consent_is_an_ordinary_record_with_less(
    installation: Installation, hoshi: Partnership, everything: ConsentRecord, names: ConsentRecord
) -> None:
    held = held_of(reconcile(case(GOOD, everything), hoshi))
    for may_widen in (True, False):
        outcome = reconcile(case(GOOD, names, held, may_widen=may_widen), hoshi)
        assert isinstance(outcome, Shared)
        assert installation.decode(outcome.record)["email"] is None
        assert outcome.held.fields == ("given_name", "family_name")


def test_before_the_mark_no_partner_and_no_field_is_added_but_values_are_kept_up_to_date(
    installation: Installation, hoshi: Partnership, everything: ConsentRecord, names: ConsentRecord
) -> None:
    assert reconcile(case(GOOD, everything, may_widen=False), hoshi) == Withheld(Reason.WAITING_FOR_UPDATES)
    held = held_of(reconcile(case(GOOD, names), hoshi))
    changed = Snapshot(RECORD | {"given_name": "Hana"})
    outcome = reconcile(case(changed, everything, held, may_widen=False), hoshi)
    assert isinstance(outcome, Shared)
    assert installation.decode(outcome.record) == {"given_name": "Hana", "family_name": "Sato", "email": None}


def test_a_recall_uses_the_pseudonym_that_was_disclosed(hoshi: Partnership, everything: ConsentRecord) -> None:
    held = msgspec.structs.replace(
        held_of(reconcile(case(GOOD, everything), hoshi)), pseudonym=Pseudonym("of-an-earlier-epoch---")
    )
    assert reconcile(case(DELETED, everything, held), hoshi) == Recalled(held, Reason.DELETED_AT_SOURCE)


@pytest.mark.parametrize("may_widen", [True, False])
def test_a_record_under_another_pseudonym_is_replaced_whatever_it_says(
    hoshi: Partnership,
    everything: ConsentRecord,
    may_widen: bool,  # noqa: FBT001
) -> None:
    """The key has another epoch; also while nothing may be added, for it is the same data."""
    new = held_of(reconcile(case(GOOD, everything), hoshi))
    old = msgspec.structs.replace(new, pseudonym=Pseudonym("of-an-earlier-epoch---"), key_epoch=0)
    outcome = reconcile(case(GOOD, everything, old, may_widen=may_widen), hoshi)
    assert isinstance(outcome, Shared)
    assert (outcome.held, outcome.replaces) == (new, old)
    assert reconcile(case(GOOD, everything, new, may_widen=may_widen), hoshi) == Unchanged()


def test_an_unreadable_answer_counts_until_it_is_acknowledged(hoshi: Partnership, everything: ConsentRecord) -> None:
    one = case(GOOD, everything.with_unreadable("t/0@1"))
    assert reconcile(one, hoshi) == Withheld(Reason.CONSENT_UNREADABLE)
    looked_into = replace(policy(), acknowledged={"t/0@1"})
    ruling = ruling_on(one.row.consents, GOOD, looked_into, NOW)
    assert isinstance(reconcile(replace(one, policy=looked_into, ruling=ruling), hoshi), Shared)


ANSWERS = st.lists(
    st.tuples(
        st.sampled_from(["GIVEN", "GIVEN", "WITHDRAWN", "EXPIRED", "UNKNOWN"]),
        st.sampled_from([["*"], ["user.name"], ["user.contact"]]),
    ),
    max_size=4,
)


@given(st.tuples(ANSWERS, ANSWERS), st.sampled_from(PROFILES), st.booleans())
def test_there_is_always_one_outcome_and_it_never_adds_what_must_wait(
    installation: Installation,
    hoshi: Partnership,
    said: tuple[list[tuple[str, list[str]]], list[tuple[str, list[str]]]],
    profile: Any,  # noqa: ANN401
    may_widen: bool,  # noqa: FBT001
) -> None:
    before, after = said
    first = reconcile(case(GOOD, consents(installation, *before)), hoshi)
    held = first.held if isinstance(first, Shared) else None
    outcome = reconcile(case(profile, consents(installation, *before, *after), held, may_widen=may_widen), hoshi)
    assert label(outcome)[0] in ("shared", "recalled", "unchanged", "withheld", "rejected")
    if isinstance(outcome, Shared) and not may_widen:
        assert held is not None
        assert set(outcome.held.fields) <= set(held.fields)
    if held is None:
        assert not isinstance(outcome, Recalled | Unchanged)
    else:
        assert not isinstance(outcome, Withheld)
    if isinstance(outcome, Shared):
        again = case(profile, consents(installation, *before, *after), outcome.held, may_widen=may_widen)
        assert reconcile(again, hoshi) == Unchanged(), "one reconcile settles"
