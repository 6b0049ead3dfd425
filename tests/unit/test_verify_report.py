"""What is told of a proof, and how figures of partitions are put together."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from msgspec.structs import replace

from sluice.model import PartnerId, Pseudonym
from stream_processors.review.findings import Difference, Fault, Figures, State
from stream_processors.review.gathering import Gathered
from stream_processors.review.provers import recognise_strangers
from stream_processors.review.proving import Proof, file_of
from stream_processors.review.verify_report import report, sentences
from tests.unit.evidence_by_hand import HOSHI, NOW, ONE, Logs

ADRESSO = PartnerId("adresso")


def proof(logs: Logs, number: int = 0) -> Proof:
    return Proof(number, decided_at=NOW, contract_set="s" * 32, settled=True, customers=1, figures=logs.verify())


def shared() -> Logs:
    logs = Logs()
    logs.say()
    logs.update()
    logs.share()
    return logs


def withdrawn() -> Logs:
    logs = shared()
    logs.say("WITHDRAWN", said=NOW - 1_000_000)
    return logs


def forged() -> Logs:
    logs = Logs()
    logs.say()
    logs.update()
    allowed = logs.share()
    logs.deliver(logs.partner_record(allowed, email="forged@example.com"), allowed.pseudonym)
    return logs


def test_everything_equal_is_said_in_one_sentence() -> None:
    found = report([proof(shared()), proof(shared(), 1)], 10, values=False)
    assert (found.equal, found.complete, found.customers, found.held) == (True, True, 2, {HOSHI: 2})
    assert list(sentences(found))[-1] == "Equal: 2 customers, 2 records held, no difference."


def test_what_is_open_is_never_called_equal() -> None:
    logs = Logs()
    logs.say()
    logs.update()
    found = report([replace(proof(shared()), figures=logs.verify(settled=False))], 10, values=False)
    assert (found.equal, found.complete) == (True, False)
    told = list(sentences(found))
    assert "  1 waiting: they hold less than they may, and are about to be given the rest" in told
    assert told[-1] == "Equal as far as can be told; 1 cases are left open (see above)."


def test_a_difference_is_told_with_its_cause_and_evidence() -> None:
    told = "\n".join(sentences(report([proof(withdrawn())], 10, values=False)))
    assert f"DIFFERENCE held_without_reason: {ONE} at {HOSHI}" in told
    assert "allowed: nothing, because: withdrawn" in told
    assert "consent WITHDRAWN-" in told
    assert told.endswith("NOT EQUAL: held_without_reason 1. Listed: 1.")


def test_values_are_told_only_when_they_are_asked_for() -> None:
    without = report([proof(forged())], 10, values=False)
    assert "forged@" not in "\n".join(sentences(without))
    assert without.differences[0].values == {}
    told = "\n".join(sentences(report([proof(forged())], 10, values=True)))
    assert "    email: 'forged@example.com' is held, 'hana@example.com' is allowed" in told


def test_all_are_counted_and_the_first_are_listed() -> None:
    found = report([proof(withdrawn(), number) for number in range(3)], 2, values=False)
    assert found.faults == {"held_without_reason": 3}
    assert len(found.differences) == 2


def test_figures_add_up() -> None:
    one, other = Figures(), Figures()
    one.count(HOSHI, State.EQUAL, holds=True)
    other.count(HOSHI, State.EQUAL)
    other.count(HOSHI, State.WAITING, holds=True)
    other.count(ADRESSO, State.MOVING)
    one.add(other)
    assert one.states == {HOSHI: {State.EQUAL: 2, State.WAITING: 1}, ADRESSO: {State.MOVING: 1}}
    assert one.held == {HOSHI: 1, ADRESSO: 0}
    assert one.total(State.EQUAL) == 2


def test_a_record_in_the_wrong_partition_is_recognised_by_the_one_that_knows_its_customer(tmp_path: Path) -> None:
    stray, unknown = Pseudonym("stray"), Pseudonym("unknown")
    for number in range(2):
        with closing(Gathered(number, 2, file_of(tmp_path, number))) as gathered:
            if number == 1:
                gathered.name(HOSHI, stray, ONE)
    figures = Figures()
    for pseudonym in (stray, unknown):
        figures.differ(Difference(0, HOSHI, None, pseudonym, (Fault.NOT_DISCLOSED,)))
    recognise_strangers([Proof(0, figures=figures)], tmp_path, range(2))
    assert figures.faults == {Fault.NOT_DISCLOSED: 1, Fault.WRONG_PARTITION: 1}
    assert [(one.fault, one.customer) for one in figures.differences] == [
        (Fault.WRONG_PARTITION, ONE),
        (Fault.NOT_DISCLOSED, None),
    ]
