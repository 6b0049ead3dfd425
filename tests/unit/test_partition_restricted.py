"""Processing is restricted: what partners hold stays and is not used (GDPR 18). What was wrong is put right (16)."""

from __future__ import annotations

from typing import Any

import pytest

from sluice import topics
from sluice.model import Held, Millis, Reason, Recalled, Restricted, Shared, Unchanged, Withheld
from tests.unit.installation import ADRESSO, DAY_MS, HOSHI
from tests.unit.lane import A, Lane, hoshi, written


def kinds(lane: Lane) -> list[str]:
    return [message["type"] for _, message in lane.messages]


def restrict(lane: Lane, **changes: Any) -> Held:  # noqa: ANN401 - any field of the profile
    """Of a customer whom the partner holds."""
    lane.update(A, lane.installation.profile(restricted=True, **changes))
    batch = lane.step()
    held = lane.held(A)
    assert held is not None
    assert hoshi(batch) == [Restricted(held)]
    return held


def test_a_restriction_is_told_and_the_record_stays(lane: Lane) -> None:
    before = lane.share()
    lane.update(A, lane.installation.profile(restricted=True))
    batch = lane.step()
    assert written(batch) == ["partner.hoshi-card.control", topics.DISCLOSURES]
    ((_, message),) = lane.messages
    assert (message["type"], message["customer"]) == ("RESTRICT", before.pseudonym)
    held = lane.held(A)
    assert held is not None
    assert held.restricted
    assert (held.digest, held.fields) == (before.digest, before.fields)
    assert lane.record(A) is not None


def test_nothing_new_is_shared_of_whom_processing_is_restricted(lane: Lane) -> None:
    lane.update(A, lane.installation.profile(restricted=True))
    lane.consent(A, "hoshi-card")
    assert hoshi(lane.step()) == [Withheld(Reason.PROCESSING_RESTRICTED)]
    assert kinds(lane) == []


def test_while_it_lasts_no_new_value_reaches_the_partner(lane: Lane) -> None:
    lane.share()
    before = restrict(lane)
    lane.update(A, lane.installation.profile(restricted=True, given_name="Hana"))
    batch = lane.step()
    assert hoshi(batch) == [Unchanged()]
    assert batch.outputs == []
    assert lane.held(A) == before


def test_when_it_ends_the_record_comes_again_though_nothing_changed(lane: Lane) -> None:
    before = lane.share()
    restrict(lane)
    lane.update(A, lane.installation.profile())
    assert [type(one) for one in hoshi(lane.step())] == [Shared]
    assert lane.held(A) == before


@pytest.mark.parametrize(
    ("state", "scope", "reason"),
    [
        ("WITHDRAWN", ["*"], Reason.WITHDRAWN),
        ("OBJECTED", ["*"], Reason.OBJECTED),
        ("WITHDRAWN", ["user.contact"], Reason.PROCESSING_RESTRICTED),
    ],
)
def test_a_no_recalls_what_is_kept(lane: Lane, state: str, scope: list[str], reason: Reason) -> None:
    """One for some of the data too: a record without it would be another record, and used."""
    lane.share()
    held = restrict(lane)
    lane.consent(A, "hoshi-card", state, data_scope=scope)
    assert hoshi(lane.step()) == [Recalled(held, reason)]
    assert kinds(lane) == ["RESTRICT", "WITHDRAW"]
    assert lane.record(A) is None


def test_a_deletion_recalls_what_is_kept(lane: Lane) -> None:
    lane.share()
    restrict(lane)
    lane.update(A, None)
    lane.step()
    assert kinds(lane) == ["RESTRICT", "ERASE"]
    assert lane.held(A) is None


def test_a_grant_that_ends_recalls_what_is_kept(lane: Lane) -> None:
    lane.update(A, lane.installation.profile())
    lane.consent(A, "hoshi-card", valid_until=lane.now + DAY_MS)
    lane.step()
    held = restrict(lane)
    lane.now += DAY_MS
    assert hoshi(lane.step()) == [Recalled(held, Reason.GRANT_EXPIRED)]


def test_a_grant_renewed_meanwhile_is_disclosed_and_nobody_is_told_twice(lane: Lane) -> None:
    lane.share()
    restrict(lane)
    lane.consent(A, "hoshi-card", "RENEWED")
    assert written(lane.step()) == [topics.DISCLOSURES]
    held = lane.held(A)
    assert held is not None
    assert held.restricted
    assert held.consents == (f"{A} hoshi-card RENEWED 1",)
    assert kinds(lane) == ["RESTRICT"]


def test_a_restriction_survives_a_restart(lane: Lane) -> None:
    lane.share()
    held = restrict(lane)
    lane.open(lane.stores.open(0))
    assert lane.held(A) == held
    lane.update(A, lane.installation.profile(restricted=True, given_name="Hana"))
    assert lane.step().outputs == []


def test_what_was_wrong_is_told_to_whom_it_was_told_wrong(lane: Lane) -> None:
    lane.share()
    lane.update(A, lane.installation.profile(given_name="Hana", rectified_at=7))
    batch = lane.step()
    assert written(batch) == ["partner.hoshi-card.customers", "partner.hoshi-card.control", topics.DISCLOSURES]
    assert kinds(lane) == ["RECTIFY"]
    held = lane.held(A)
    assert held is not None
    assert held.rectified_at == Millis(7)


def test_what_merely_changes_is_no_rectification(lane: Lane) -> None:
    lane.share(rectified_at=7)
    lane.update(A, lane.installation.profile(given_name="Hana", rectified_at=7))
    lane.step()
    assert kinds(lane) == []


def test_what_was_wrong_and_never_told_is_not_told_later(lane: Lane) -> None:
    """The rectified field is none of the partner's; the next change of its record is a change and no more."""
    lane.share()
    lane.update(A, lane.installation.profile(note="of no interest to the partner", rectified_at=7))
    assert [type(one) for one in hoshi(lane.step())] == [Unchanged]
    lane.update(A, lane.installation.profile(given_name="Hana", rectified_at=7))
    assert written(lane.step()) == ["partner.hoshi-card.customers", topics.DISCLOSURES]
    assert kinds(lane) == []


@pytest.mark.parametrize("rectified_at", [None, 5])
def test_a_rectification_taken_back_is_none(lane: Lane, rectified_at: int | None) -> None:
    """A writer with an older schema says nothing of it."""
    lane.share(rectified_at=7)
    lane.update(A, lane.installation.profile(given_name="Hana", rectified_at=rectified_at))
    assert written(lane.step()) == ["partner.hoshi-card.customers", topics.DISCLOSURES]
    assert kinds(lane) == []


@pytest.mark.parametrize(
    "otherwise",
    [{"pseudonym_epoch": 2}, {"fields": {**HOSHI["fields"], "email": {"truncate": 3}}}],
    ids=["key", "transform"],
)
def test_another_contract_recalls_what_is_kept(lane: Lane, otherwise: dict[str, Any]) -> None:
    """A record under it would be used; one that stays would be one that the contract does not allow any more."""
    lane.share()
    held = restrict(lane)
    lane.adopt(lane.installation.renewed({**HOSHI, **otherwise}, ADRESSO))
    assert hoshi(lane.step()) == [Recalled(held, Reason.PROCESSING_RESTRICTED)]
