"""What outcomes become on the way out: each kind, and that all of them fold back to what is held."""

from __future__ import annotations

import msgspec
import pytest

from sluice import topics
from sluice.model import (
    Cause,
    CustomerId,
    Held,
    Millis,
    Outcome,
    PartnerId,
    Pointer,
    Pseudonym,
    Reason,
    Recalled,
    Rejected,
    Restricted,
    Shared,
    Unchanged,
    Withheld,
)
from sluice.store import Row
from stream_processors.sharing import folding, output
from stream_processors.sharing.output import Decided, Output, held_after, outputs
from tests.unit.installation import HOSHI, Installation

CUSTOMER = CustomerId("dell-crm:1")
NOW = Millis(1_780_000_000_000)
DAY_MS = 86_400_000
OLD = Held(Pseudonym("old-pseudonym-22-chars"), 1, "contract", ("email",), bytes(16), ("r1",), ("ZZ-R0",), Millis(5))
NEW = Held(
    Pseudonym("new-pseudonym-22-chars"), 1, "contract", ("email",), bytes(15) + b"x", ("r1", "r2"), ("ZZ-R0",), None
)
RECTIFIED = msgspec.structs.replace(NEW, rectified_at=Millis(7))
KEPT = msgspec.structs.replace(NEW, restricted=True)
COVERS = (Pointer(topics.CUSTOMER_UPDATES, 0, 5), Pointer(topics.CONSENT_EVENTS, 0, 6))

KINDS = {
    Reason.DELETED_AT_SOURCE: "ERASE",
    Reason.CONTRACT_ENDED: "CONTRACT_ENDED",
    Reason.CONTRACT_NOT_IN_FORCE: "CONTRACT_ENDED",
}
Entries = list[tuple[str, str | None]]
CASES: list[tuple[Outcome, list[str], Entries]] = [
    (Shared(NEW, b"record"), ["customers"], [("SHARED", None)]),
    (
        Shared(NEW, b"record", replaces=OLD),
        ["customers", "control", "customers"],
        [("RECALLED", "pseudonym_replaced"), ("SHARED", None)],
    ),
    (Recalled(OLD, Reason.WITHDRAWN), ["customers", "control"], [("RECALLED", "withdrawn")]),
    (Recalled(OLD, Reason.DELETED_AT_SOURCE), ["customers", "control"], [("RECALLED", "deleted_at_source")]),
    (Recalled(OLD, Reason.CONTRACT_ENDED), ["customers", "control"], [("RECALLED", "contract_ended")]),
    (Rejected(Cause.RECORD_TOO_LARGE, OLD), ["customers", "control"], [("RECALLED", "record_too_large")]),
    (Shared(RECTIFIED, b"record", rectifies=True), ["customers", "control"], [("SHARED", "rectified")]),
    (Restricted(KEPT), ["control"], [("REAFFIRMED", "processing_restricted")]),
    (Unchanged(renewed=KEPT), [], [("REAFFIRMED", "still_restricted")]),
    (Unchanged(renewed=NEW), [], [("REAFFIRMED", None)]),
    (Unchanged(), [], []),
    (Withheld(Reason.NO_CONSENT_RECORD), [], []),
    (Rejected(Cause.UNENCODABLE), [], []),
]


@pytest.fixture(scope="module")
def installation() -> Installation:
    return Installation()


def written(installation: Installation, *outcomes: tuple[str, Outcome], now: int = NOW) -> list[Output]:
    pairs = tuple((installation.partner(name), outcome) for name, outcome in outcomes)
    return list(outputs(Decided(CUSTOMER, pairs, COVERS, Millis(now)), installation.writers))


@pytest.mark.parametrize(("outcome", "to_partner", "entries"), CASES)
def test_each_outcome_has_its_outputs_and_the_disclosure_comes_last(
    installation: Installation, outcome: Outcome, to_partner: list[str], entries: Entries
) -> None:
    found = written(installation, ("hoshi-card", outcome))
    expected = [f"partner.hoshi-card.{kind}" for kind in to_partner] + ([topics.DISCLOSURES] if entries else [])
    assert [one.topic for one in found] == expected
    if not entries:
        return
    disclosure = installation.decode(found[-1].value)
    assert found[-1].key == b"dell-crm:1"
    assert disclosure["covers"] == [{"topic": place.topic, "offset": place.offset} for place in COVERS]
    assert (disclosure["decided_at"], disclosure["contract_set"]) == (NOW, installation.writers.contract_set)
    told = [(entry["partner"], entry["action"], entry["reason"]) for entry in disclosure["entries"]]
    assert told == [("hoshi-card", action, reason) for action, reason in entries]


@pytest.mark.parametrize("outcome", [outcome for outcome, _, _ in CASES])
@pytest.mark.parametrize("before", [None, OLD])
def test_the_fold_of_what_is_disclosed_is_what_is_held_after(
    installation: Installation, before: Held | None, outcome: Outcome
) -> None:
    hoshi, adresso = PartnerId("hoshi-card"), PartnerId("adresso")
    row = Row(b"x", held={adresso: OLD} | ({} if before is None else {hoshi: before}))
    pairs = ((installation.partner("hoshi-card"), outcome), (installation.partner("adresso"), Unchanged()))
    decided = Decided(CUSTOMER, pairs, COVERS, NOW)
    folded = row
    for one in outputs(decided, installation.writers):
        if one.topic == topics.DISCLOSURES:
            folded = folding.with_disclosure(folded, installation.decode(one.value))
    assert folded.held == held_after(row.held, decided)
    assert folded.held[adresso] == OLD


def test_one_disclosure_tells_of_every_partner_that_is_touched(installation: Installation) -> None:
    found = written(installation, ("hoshi-card", Shared(NEW, b"r")), ("adresso", Recalled(OLD, Reason.OBJECTED)))
    assert [one.topic for one in found].count(topics.DISCLOSURES) == 1
    entries = installation.decode(found[-1].value)["entries"]
    assert [(entry["partner"], entry["action"]) for entry in entries] == [
        ("hoshi-card", "SHARED"),
        ("adresso", "RECALLED"),
    ]


def test_a_shared_record_stands_under_the_pseudonym_alone(installation: Installation) -> None:
    record, _ = written(installation, ("hoshi-card", Shared(NEW, b"record")))
    assert (record.key, record.value) == (b"new-pseudonym-22-chars", b"record")


@pytest.mark.parametrize(("reason", "kind"), [(reason, KINDS.get(reason, "WITHDRAW")) for reason in Reason])
def test_a_recall_is_a_tombstone_and_what_to_do_by_when_and_no_reason(
    installation: Installation, reason: Reason, kind: str
) -> None:
    tombstone, control, disclosure = written(installation, ("hoshi-card", Recalled(OLD, reason)))
    assert (tombstone.key, tombstone.value) == (b"old-pseudonym-22-chars", None)
    assert control.key == tombstone.key
    message = installation.decode(control.value)
    assert message.pop("action")
    assert message == {
        "decision_id": installation.decode(disclosure.value)["entries"][0]["decision_id"],
        "type": kind,
        "customer": "old-pseudonym-22-chars",
        "deadline": NOW + 3 * DAY_MS,
        "issued_at": NOW,
    }
    assert control.value is not None
    assert b"dell-crm" not in control.value
    assert reason.value.encode() not in control.value


@pytest.mark.parametrize(
    ("outcome", "kind"), [(Restricted(KEPT), "RESTRICT"), (Shared(RECTIFIED, b"record", rectifies=True), "RECTIFY")]
)
def test_what_is_kept_or_put_right_is_told_with_a_deadline(
    installation: Installation, outcome: Outcome, kind: str
) -> None:
    *_, control, disclosure = written(installation, ("hoshi-card", outcome))
    message = installation.decode(control.value)
    assert (message["type"], message["customer"]) == (kind, control.key.decode() if control.key else None)
    assert message["deadline"] == NOW + 3 * DAY_MS
    assert message["decision_id"] == installation.decode(disclosure.value)["entries"][0]["decision_id"]


def test_another_pseudonym_takes_the_old_record_back_before_the_new_one_comes(installation: Installation) -> None:
    tombstone, control, record, disclosure = written(installation, ("hoshi-card", Shared(NEW, b"record", OLD)))
    assert (tombstone.key, tombstone.value) == (b"old-pseudonym-22-chars", None)
    message = installation.decode(control.value)
    assert (message["type"], message["customer"]) == ("WITHDRAW", "old-pseudonym-22-chars")
    assert (record.key, record.value) == (b"new-pseudonym-22-chars", b"record")
    entries = installation.decode(disclosure.value)["entries"]
    assert [entry["pseudonym"] for entry in entries] == [OLD.pseudonym, NEW.pseudonym]


def test_a_former_partner_is_told_by_its_contracts_deadline() -> None:
    installation = Installation(HOSHI, former=["adresso"])
    (former,) = installation.former
    decided = Decided(CUSTOMER, ((former, Recalled(OLD, Reason.CONTRACT_ENDED)),), COVERS, NOW)
    tombstone, control, _ = outputs(decided, installation.writers)
    assert (tombstone.topic, control.topic) == ("partner.adresso.customers", "partner.adresso.control")
    message = installation.decode(control.value)
    assert (message["type"], message["deadline"]) == ("CONTRACT_ENDED", NOW + former.acknowledge_within_ms)


def test_a_customer_with_very_many_events_in_one_batch_makes_no_disclosure_too_large(
    installation: Installation,
) -> None:
    covers = tuple(Pointer(topics.CONSENT_EVENTS, 0, offset) for offset in range(5_000))
    pairs = ((installation.partner("hoshi-card"), Shared(NEW, b"record")),)
    *_, disclosure = outputs(Decided(CUSTOMER, pairs, covers, NOW), installation.writers)
    listed = [place["offset"] for place in installation.decode(disclosure.value)["covers"]]
    assert listed == list(range(4_000, 5_000)), "the newest"


def test_the_same_decision_has_the_same_id_and_another_another(installation: Installation) -> None:
    def ids(*outcomes: tuple[str, Outcome], now: int = NOW) -> list[str]:
        disclosure = installation.decode(written(installation, *outcomes, now=now)[-1].value)
        return [entry["decision_id"] for entry in disclosure["entries"]]

    both = (("hoshi-card", Shared(NEW, b"r")), ("adresso", Shared(NEW, b"r")))
    assert ids(*both) == ids(*both)
    assert len({*ids(*both), *ids(*both, now=NOW + 1)}) == 4


def test_a_disclosure_holds_no_value(installation: Installation) -> None:
    record = Shared(NEW, b"canary of a value")
    (disclosure,) = (one for one in written(installation, ("hoshi-card", record)) if one.topic == topics.DISCLOSURES)
    assert disclosure.value is not None
    assert b"canary" not in disclosure.value


def test_a_pointer_to_a_reject_is_filed_under_a_digest(installation: Installation) -> None:
    where = Pointer(topics.CUSTOMER_UPDATES, 3, 9)
    one = output.rejected(where, Cause.NOT_FRAMED, b"canary", NOW, installation.writers)
    same = output.rejected(where, Cause.UNDECODABLE, b"canary", NOW, installation.writers)
    nobody = output.rejected(where, Cause.KEY_UNREADABLE, None, NOW, installation.writers, schema_id=5)
    assert one.key == same.key != nobody.key
    assert (one.topic, len(one.key or b"")) == (topics.REJECTED, 16)
    assert installation.decode(nobody.value) == {
        "topic": topics.CUSTOMER_UPDATES,
        "partition": 3,
        "offset": 9,
        "cause": "key_unreadable",
        "schema_id": 5,
        "partner": None,
        "detected_at": NOW,
    }
    assert b"canary" not in (one.key or b"") + (one.value or b"")
