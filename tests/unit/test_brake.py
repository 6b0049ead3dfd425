"""Too large a share of rejects holds a partition's updates (LOOP 24), and nothing less does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice import topics
from stream_processors.sharing.batch import Batch
from stream_processors.sharing.brake import Brake, BrakePolicy
from tests.unit.installation import Installation
from tests.unit.lane import DAMAGED, Lane, written

GOOD, BAD = False, True
POLICY = BrakePolicy()


def braking(*passed: bool) -> Brake:
    """After these updates were committed."""
    brake = Brake(POLICY)
    brake.passed(passed)
    return brake


@pytest.mark.parametrize(
    ("passed", "rejected", "trips"),
    [
        pytest.param([], [BAD] * 49, False, id="49 of 49: too few to judge"),
        pytest.param([], [BAD] * 50, True, id="50 of 50"),
        pytest.param([GOOD] * 200, [BAD] * 50, False, id="50 of 250: a fifth is not over a fifth"),
        pytest.param([GOOD] * 199, [BAD] * 50, True, id="50 of 249: over a fifth"),
        pytest.param([BAD] * 49, [BAD], True, id="those before count too"),
        pytest.param([BAD] * 49 + [GOOD] * 1_000, [BAD] * 49, False, id="what is out of the window does not"),
        pytest.param([GOOD] * 5_000, [BAD] * 200, False, id="200 of 1,000"),
        pytest.param([GOOD] * 5_000, [BAD] * 201, True, id="201 of 1,000"),
        pytest.param([GOOD] * 5_000, [], False, id="nothing"),
        pytest.param([], [BAD] * 3_900 + [GOOD] * 1_000, True, id="anywhere in a batch larger than the window"),
        pytest.param([], [GOOD] * 3_000 + [BAD] * 201 + [GOOD] * 1_000, True, id="in its middle"),
    ],
)
def test_fifty_rejects_and_over_a_fifth_of_the_newest_thousand_trip_it(
    passed: list[bool],
    rejected: list[bool],
    trips: bool,  # noqa: FBT001 - a table's column
) -> None:
    brake = braking(*passed)
    assert brake.trips(rejected) is trips
    assert brake.trips(rejected) is trips, "asking changes nothing"


@given(st.lists(st.booleans(), max_size=300), st.lists(st.booleans(), max_size=300))
def test_it_trips_exactly_when_the_rule_says_so(passed: list[bool], rejected: list[bool]) -> None:
    windows = [(passed + rejected[:end])[-POLICY.window :] for end in range(1, len(rejected) + 1)]
    expected = any(sum(one) >= POLICY.at_least and sum(one) / len(one) > POLICY.share for one in windows)
    assert braking(*passed).trips(rejected) is expected


def test_it_holds_until_it_is_time_to_try_again() -> None:
    brake = Brake(POLICY)
    assert not brake.holds(0.0)
    brake.retry_at_ms = 10_000.0
    assert brake.holds(9_999.0)
    assert not brake.holds(10_000.0)


# --- of a partition


def _bad(lane: Lane, count: int) -> None:
    for number in range(count):
        lane.update(f"crm:bad-{number}", DAMAGED)


def _peek(lane: Lane) -> Batch:
    return lane.peek()[0]


def test_a_bad_deploy_trips_it_and_whatever_was_held_stays(lane: Lane) -> None:
    held = lane.share()
    _bad(lane, 50)
    lane.update("dell-crm:1", DAMAGED)
    batch = _peek(lane)
    assert lane.partition.brakes(batch)
    assert lane.held("dell-crm:1") == held, "nothing of it is applied"
    assert not lane.partition.brakes(lane.peek(updates=0)[0]), "without its updates the partition goes on"


def test_rejects_for_one_partner_count_too() -> None:
    """A schema that lost a partner's required field decodes well, and would recall everybody there."""
    lane = Lane(Installation(max_bytes=300))
    for number in range(50):
        lane.update(f"crm:{number}", lane.installation.profile(email="x" * 200))
        lane.consent(f"crm:{number}", "hoshi-card")
    batch = _peek(lane)
    assert set(batch.updates.values()) == {True}
    assert lane.partition.brakes(batch)


def test_deletions_at_the_source_and_other_recalls_are_no_rejects(lane: Lane) -> None:
    for number in range(60):
        lane.update(f"crm:{number}", None)
    assert not lane.partition.brakes(_peek(lane))


def test_consents_that_cannot_be_read_are_no_updates(lane: Lane) -> None:
    for number in range(60):
        lane.consents.append(f"crm:{number}".encode(), DAMAGED)
    batch = _peek(lane)
    assert batch.updates == {}
    assert not lane.partition.brakes(batch)


def test_rejects_of_batches_that_passed_are_remembered(lane: Lane) -> None:
    _bad(lane, 49)
    assert not lane.partition.brakes(_peek(lane))
    lane.step()
    _bad(lane, 1)
    assert lane.partition.brakes(_peek(lane))


def test_what_was_not_committed_is_not_remembered(lane: Lane) -> None:
    """The same updates are read again after every wait: they count once."""
    _bad(lane, 30)
    for _ in range(5):
        assert not lane.partition.brakes(_peek(lane))


@pytest.mark.parametrize(("offset", "brakes"), [(59, False), (10, False), (9, True), (None, True)])
def test_rejects_up_to_an_acknowledged_update_do_not_count(
    offset: int | None,
    brakes: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Of 60; beyond the 10th there are 49, and beyond the 9th there are 50."""
    acknowledged = [] if offset is None else [f"{topics.CUSTOMER_UPDATES}/0@{offset}"]
    lane = Lane(Installation(), acknowledged=acknowledged)
    _bad(lane, 60)
    assert lane.partition.brakes(_peek(lane)) is brakes


def test_rejects_that_were_acknowledged_do_not_trip_it_later_either() -> None:
    lane = Lane(Installation(), acknowledged=[f"{topics.CUSTOMER_UPDATES}/0@59"])
    _bad(lane, 60)
    lane.step()
    assert not lane.partition.brakes(_peek(lane)), "an empty batch"
    lane.update("dell-crm:1", lane.installation.profile())
    assert not lane.partition.brakes(_peek(lane)), "a good update"
    _bad(lane, 49)
    assert not lane.partition.brakes(_peek(lane))
    _bad(lane, 1)
    assert lane.partition.brakes(_peek(lane)), "and new ones are counted from there"


@pytest.mark.parametrize("elsewhere", [f"{topics.CUSTOMER_UPDATES}/1@99", f"{topics.CONSENT_EVENTS}/0@99"])
def test_acknowledgements_of_other_places_do_not_count(elsewhere: str) -> None:
    lane = Lane(Installation(), acknowledged=[elsewhere])
    _bad(lane, 60)
    assert lane.partition.brakes(_peek(lane))


def test_updates_that_were_mended_pass_after_the_wait(lane: Lane) -> None:
    """The cause was the registry's or ours: the same records are good now."""
    lane.update("dell-crm:1", lane.installation.profile())
    for number in range(60):
        lane.update(f"crm:{number}", lane.installation.profile())
    known = lane.installation.shelf.texts.pop(1)
    assert lane.partition.brakes(_peek(lane))
    lane.installation.shelf.texts[1] = known
    batch = lane.step()
    assert not lane.partition.brakes(batch)
    assert written(batch) == []


def test_a_policy_of_ones_own_is_kept() -> None:
    lane = Lane(Installation(), brake=BrakePolicy(at_least=3, share=0.5, window=10))
    _bad(lane, 2)
    assert not lane.partition.brakes(_peek(lane))
    _bad(lane, 1)
    assert lane.partition.brakes(_peek(lane))
