"""What a recovery remembers of blockers, and what it refuses: evidence that is gone, offsets of something else."""

from __future__ import annotations

import msgspec
import pytest

from sluice import topics
from sluice.errors import SluiceError
from sluice.log import Committed
from tests.unit.lane import A, Lane
from tests.unit.recovering import lose_store, recover


def test_a_consent_that_names_nobody_is_remembered_by_a_gap_and_by_a_rebuild(lived: Lane) -> None:
    lived.consents.append(None, b"")
    lived.positions = lived.positions._replace(joined=lived.consents.high)
    where = f"{topics.CONSENT_EVENTS}/0@5"
    recover(lived)
    assert lived.partition.meta.blockers == (where,)
    assert lived.partition.stopped_by() == ["unreadable_consent_key"]
    recover(lived)
    assert lived.partition.meta.blockers == (where,), "also without a gap"
    lose_store(lived)
    recover(lived)
    assert lived.partition.meta.blockers == (where,)


def test_an_acknowledgement_reconciles_everybody(lived: Lane) -> None:
    lived.consents.append(A.encode(), b"")
    lived.consents.append(None, b"")
    lived.step()
    assert lived.held(A) is None
    recover(lived)
    assert not lived.partition.meta.catching_up
    recover(lived, acknowledged=[f"{topics.CONSENT_EVENTS}/0@5", f"{topics.CONSENT_EVENTS}/0@6"])
    assert lived.partition.meta.catching_up
    lived.step()
    assert lived.held(A)
    recover(lived, acknowledged=[f"{topics.CONSENT_EVENTS}/0@5", f"{topics.CONSENT_EVENTS}/0@6"])
    assert not lived.partition.meta.catching_up, "once"


def test_an_acknowledgement_taken_back_denies_again(lived: Lane) -> None:
    lived.consents.append(A.encode(), b"")
    lived.step()
    recover(lived, acknowledged=[f"{topics.CONSENT_EVENTS}/0@5"])
    lived.step()
    assert lived.held(A)
    recover(lived)
    lived.step()
    assert lived.held(A) is None


def test_an_unreadable_consent_in_a_gap_denies(lived: Lane) -> None:
    lived.consents.append(A.encode(), b"\x00\x00\x00\x00\x02damaged")
    lived.positions = lived.positions._replace(joined=lived.consents.high)
    recover(lived)
    assert lived.row(A).consents.unreadable == (f"{topics.CONSENT_EVENTS}/0@5",)
    lived.step()
    assert lived.held(A) is None


@pytest.mark.parametrize("name", ["consents", "disclosures"])
def test_evidence_that_lost_its_beginning_stops(lived: Lane, name: str) -> None:
    getattr(lived, name).low = 1
    with pytest.raises(SluiceError, match=r"/0 begins at offset 1: older records were deleted"):
        recover(lived)


@pytest.mark.parametrize("name", ["consents", "disclosures"])
def test_evidence_that_lost_its_end_stops(lived: Lane, name: str) -> None:
    committed = lived.committed()
    log = getattr(lived, name)
    log.high -= 1
    with pytest.raises(SluiceError, match=rf"/0 ends at offset {log.high}, but {log.high + 1} was committed"):
        recover(lived, committed)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"cluster": "elsewhere"}, "belong to the Kafka cluster cluster, and this is elsewhere"),
        ({"topics": "others"}, "A topic was re-created"),
    ],
)
def test_offsets_of_another_installation_stop(lived: Lane, change: dict[str, str], sentence: str) -> None:
    committed = lived.committed()
    lived.installation.identity = msgspec.structs.replace(lived.installation.identity, **change)
    with pytest.raises(SluiceError, match=sentence):
        recover(lived, committed)


def test_offsets_committed_by_somebody_else_stop(lived: Lane) -> None:
    with pytest.raises(SluiceError, match="not written by this processor"):
        recover(lived, Committed(lived.positions, "metadata of another program"))


def test_a_disclosure_that_cannot_be_read_stops(lived: Lane) -> None:
    lived.disclosures.append(A.encode(), b"damaged")
    lose_store(lived)
    with pytest.raises(SluiceError, match=r"sluice\.disclosures/0@\d+ cannot be read"):
        recover(lived)
