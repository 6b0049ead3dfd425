"""Redriving: what becomes of each pointer, what is asked for, and what is waited for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sluice import topics
from sluice.avro import frame, unframe
from sluice.consent import ConsentRecord
from sluice.errors import SluiceError
from sluice.kafka.ranges import Ranges
from sluice.log import Record
from sluice.model import Cause, CustomerId, Held, Millis, PartnerId, Pointer, Shared
from sluice.partitioning import partition_of
from sluice.registry import RegistryUnavailable
from sluice.store import Row
from stream_processors.redrive import gathering, rejections, telling
from stream_processors.redrive.advice import ADVICE, advice
from stream_processors.redrive.asking import Asking, Waiting
from stream_processors.redrive.deciding import Judge, Source, State, Verdict
from stream_processors.redrive.rejections import Newest, Rejection, Selection
from stream_processors.sharing import folding
from stream_processors.sharing.pipeline import Case, reconcile, ruling_on
from tests.unit.installation import DISCLOSURE, NOW, PROFILE, Installation
from tests.unit.lane import DAMAGED, A

HOSHI = PartnerId("hoshi-card")
LATE_SCHEMA = 90
ROOT = Path(__file__).parents[2]


def rejection(topic: str = topics.CUSTOMER_UPDATES, offset: int = 5, **more: Any) -> Rejection:  # noqa: ANN401
    base = {"cause": "schema_unknown", "schema_id": None, "partner": None, "detected_at": NOW}
    return Rejection(topic, 0, offset, **(base | more))


def update(value: bytes | None, *, key: bytes = A.encode(), offset: int = 5, partition: int = 0) -> Record:
    return Record(topics.CUSTOMER_UPDATES, partition, offset, key, value, NOW)


def answer(installation: Installation, value: bytes | None = None) -> Record:
    value = installation.answer(A, HOSHI, 0) if value is None else value
    return Record(topics.CONSENT_EVENTS, 0, 5, A.encode(), value, NOW)


def consented(installation: Installation, *, held: Held | None = None, profile: bytes | None = None) -> Row:
    """Who said yes to the card."""
    row = Row(profile=profile, held={} if held is None else {HOSHI: held})
    event = folding.consent_in(answer(installation))
    return folding.with_consent(row, CustomerId(A), event, installation.decode)[0]


def shared(installation: Installation, row: Row) -> Held:
    """What the card holds once it has what today's rules give it."""
    view = installation.view()
    assert row.profile is not None
    profile = view.source.read(row.profile)
    case = Case(CustomerId(A), row, profile, ruling_on(row.consents, profile, view.policy, NOW), True, NOW, view.policy)
    outcome = reconcile(case, installation.partner("hoshi-card"))
    assert isinstance(outcome, Shared)
    return outcome.held


def judge(installation: Installation, **view: Any) -> Judge:  # noqa: ANN401
    return Judge(installation.view(**view), NOW, lambda _: bytes(32))


@pytest.fixture
def installation() -> Installation:
    return Installation()


def test_a_record_that_is_not_there_is_gone(installation: Installation) -> None:
    assert judge(installation).judge(rejection(), Source(None)).state is State.GONE


def test_what_names_nobody_is_for_its_producer_until_it_is_acknowledged(installation: Installation) -> None:
    nobody = Source(update(b"x", key=b"\xff"))
    assert judge(installation).judge(rejection(), nobody).state is State.NEEDS_PRODUCER
    seen = judge(installation, acknowledged=[f"{topics.CUSTOMER_UPDATES}/0@5"])
    assert seen.judge(rejection(), nobody).state is State.ACKNOWLEDGED


def test_a_misplaced_snapshot_is_for_its_producer_and_nothing_else_is(installation: Installation) -> None:
    wrong = 1 - partition_of(A.encode(), 2)
    two = judge(installation, partitions=2)
    for record, state in (
        (update(b"snapshot", partition=wrong), State.NEEDS_PRODUCER),
        (update(None, partition=wrong), State.ALREADY_ACCEPTED),
        (answer(installation)._replace(partition=wrong), State.ALREADY_ACCEPTED),
    ):
        assert two.judge(rejection(record.topic), Source(record)).state is state


def test_an_update_before_a_newer_one_is_superseded(installation: Installation) -> None:
    late = consented(installation, profile=installation.profile())
    source = Source(update(DAMAGED), late, newest=6)
    assert judge(installation).judge(rejection(), source).state is State.SUPERSEDED
    assert judge(installation).judge(rejection(), replace(source, newest=5)).state is State.TO_REDRIVE


def test_what_cannot_be_read_today_either_is_still_rejected(installation: Installation) -> None:
    value = frame(LATE_SCHEMA, unframe(installation.profile())[1])
    source = Source(update(value), consented(installation, profile=value), newest=5)
    verdict = judge(installation).judge(rejection(), source)
    assert (verdict.state, verdict.cause) == (State.STILL_REJECTED, Cause.SCHEMA_UNKNOWN)
    installation.shelf.texts[LATE_SCHEMA] = installation.shelf.texts[PROFILE]
    assert judge(installation).judge(rejection(), source).state is not State.STILL_REJECTED


def test_an_update_that_can_be_read_is_redriven_until_partners_hold_what_it_gives(installation: Installation) -> None:
    row = consented(installation, profile=installation.profile())
    verdict = judge(installation).judge(rejection(), Source(update(row.profile), row, 5))
    assert (verdict.state, verdict.changed) == (State.TO_REDRIVE, frozenset({HOSHI}))
    after = msgspec.structs.replace(row, held={HOSHI: shared(installation, row)})
    verdict = judge(installation).judge(rejection(), Source(update(row.profile), after, 5))
    assert (verdict.state, verdict.changed) == (State.ALREADY_ACCEPTED, frozenset())


def test_an_update_that_changes_nothing_is_not_asked_for(installation: Installation) -> None:
    row = Row(profile=installation.profile())
    assert judge(installation).judge(rejection(), Source(update(row.profile), row, 5)).state is State.ALREADY_ACCEPTED


@pytest.mark.parametrize("partner", [HOSHI, None])
def test_a_record_that_is_too_large_still_is_not_asked_for(partner: str | None) -> None:
    small = Installation(max_bytes=300)
    row = consented(small, profile=small.profile(given_name="x" * 200))
    told = rejection(cause="record_too_large", partner=partner)
    verdict = judge(small).judge(told, Source(update(row.profile), row, 5))
    assert (verdict.state, verdict.cause) == (State.STILL_REJECTED, Cause.RECORD_TOO_LARGE)


def test_a_partners_reject_is_not_redriven_for_what_another_partner_would_get(installation: Installation) -> None:
    row = consented(installation, profile=installation.profile())
    of_another = rejection(cause="record_too_large", partner="adresso")
    source = Source(update(row.profile), row, 5)
    assert judge(installation).judge(of_another, source).state is State.ALREADY_ACCEPTED
    assert judge(installation).judge(rejection(partner=HOSHI), source).state is State.TO_REDRIVE
    assert judge(installation).judge(rejection(partner="gone"), source).state is State.ALREADY_ACCEPTED


def test_a_consent_event_that_cannot_be_used_today_either_is_still_rejected(installation: Installation) -> None:
    for value, cause in (
        (b"\x00", Cause.NOT_FRAMED),
        (installation.answer(A, HOSHI, 0, subject_id="somebody"), Cause.KEY_CONTRADICTS_VALUE),
        (installation.answer(A, HOSHI, 0, data_scope=["no.such.data"]), Cause.NOT_UNDERSTOOD),
        (installation.answer(A, HOSHI, 0, event_time=NOW * 2, recorded_at=NOW * 2), Cause.DATED_IN_THE_FUTURE),
    ):
        source = Source(answer(installation, value), consented(installation, profile=installation.profile()), 0)
        verdict = judge(installation).judge(rejection(topics.CONSENT_EVENTS), source)
        assert (verdict.state, verdict.cause) == (State.STILL_REJECTED, cause)


def test_a_consent_event_is_asked_for_unless_somebody_holds_the_customer(installation: Installation) -> None:
    """Nobody could while the processor cannot read it; unless an operator has acknowledged it."""
    told, record = rejection(topics.CONSENT_EVENTS), answer(installation)
    unread = Row(consents=ConsentRecord())
    assert judge(installation).judge(told, Source(record, unread)).state is State.TO_REDRIVE
    row = consented(installation, profile=installation.profile())
    after = msgspec.structs.replace(row, held={HOSHI: shared(installation, row)})
    assert judge(installation).judge(told, Source(record, after, 0)).state is State.ALREADY_ACCEPTED
    seen = judge(installation, acknowledged=[str(told.where)])
    assert seen.judge(told, Source(record, after, 0)).state is State.TO_REDRIVE


def test_nothing_is_decided_while_the_registry_is_away(installation: Installation) -> None:
    row = consented(installation, profile=installation.profile())
    installation.unreachable.add(PROFILE)
    with pytest.raises(SluiceError, match="registry does not answer"):
        judge(installation).judge(rejection(), Source(update(row.profile), row, 5))
    installation.unreachable.add(2)
    with pytest.raises(RegistryUnavailable):
        judge(installation).judge(rejection(topics.CONSENT_EVENTS), Source(answer(installation), row, 0))


# --- what the topics say of them


class Topics(Ranges):
    """Partitions in memory."""

    def __init__(self, *records: Record) -> None:
        self.records = records
        self.reads: list[tuple[str, int, int, int]] = []

    def read(self, topic: str, partition: int, start: int, stop: int) -> Iterable[Record]:  # type: ignore[override]
        self.reads.append((topic, partition, start, stop))
        return [r for r in self.records if r[:2] == (topic, partition) and start <= r.offset < stop]

    def close(self) -> None:
        pass


def test_each_pointer_gets_its_record_and_all_that_is_known_of_its_customer(installation: Installation) -> None:
    good, other = installation.profile(given_name="New"), b"dell-crm:2"
    held = Topics(
        update(DAMAGED, offset=3),
        update(good, offset=7),
        update(good, key=other, offset=8),
        answer(installation),
        Record(topics.CONSENT_EVENTS, 0, 6, other, b"", NOW),
    )
    places = [Pointer(topics.CUSTOMER_UPDATES, 0, 3), Pointer(topics.CUSTOMER_UPDATES, 0, 4)]
    found = gathering.gather(places, held, installation.decode, 1, lambda _: None)
    assert found[places[1]] == Source(None)
    source = found[places[0]]
    assert source.record == held.records[0]
    assert (source.row.profile, source.newest) == (good, 7)
    assert len(source.row.consents.events) == 1
    assert held.reads[0] == (topics.CUSTOMER_UPDATES, 0, 3, 5), "only from the first place to the last"


def test_nothing_of_anybody_else_is_read(installation: Installation) -> None:
    seen: list[bytes | None] = []

    def decode(value: bytes | None) -> dict[str, Any]:
        seen.append(value)
        return installation.decode(value)

    mine, others = answer(installation), Record(topics.CONSENT_EVENTS, 0, 6, b"dell-crm:2", b"theirs", NOW)
    held = Topics(mine, others, mine._replace(offset=7))
    places = [Pointer(topics.CONSENT_EVENTS, 0, 5), Pointer(topics.CONSENT_EVENTS, 0, 7)]
    gathering.gather(places, held, decode, 1, lambda _: None)
    assert seen == [mine.value, mine.value]


def test_a_pointer_to_a_topic_that_is_no_input_points_at_nothing(installation: Installation) -> None:
    place = Pointer(topics.DISCLOSURES, 0, 0)
    held = Topics(Record(topics.DISCLOSURES, 0, 0, b"k", b"v", NOW))
    assert gathering.gather([place], held, installation.decode, 1, lambda _: None) == {place: Source(None)}
    assert held.reads == []


# --- asking and waiting


@dataclass
class Machine:
    """A clock that goes on by what is slept, and the requests that were written at each time."""

    at_ms: float = 0.0
    written: list[tuple[float, list[Record]]] = field(default_factory=list)
    disclosures: list[list[Record]] = field(default_factory=list)

    def monotonic_ms(self) -> float:
        return self.at_ms

    def sleep(self, seconds: float) -> None:
        self.at_ms += seconds * 1000

    def write(self, records: Iterable[tuple[Record, int]]) -> None:
        wanted = list(records)
        assert all(record.partition == partition for record, partition in wanted)
        self.written.append((self.at_ms, [record for record, _ in wanted]))

    def poll(self, wait_seconds: float) -> list[Record]:
        self.sleep(wait_seconds)
        return self.disclosures.pop(0) if self.disclosures else []


def to_redrive(number: int, *, offset: int | None = None, partner: str | None = None) -> Verdict:
    told = rejection(offset=number if offset is None else offset, partner=partner)
    return Verdict(told, State.TO_REDRIVE, customer=CustomerId(f"crm:{number}"))


def test_no_more_requests_in_a_second_than_were_allowed() -> None:
    machine = Machine()
    chunks = list(Asking(machine.write, 4, 10, machine).ask(to_redrive(n) for n in range(25)))
    assert [len(chunk) for chunk in chunks] == [10, 10, 5]
    assert [(at, len(records)) for at, records in machine.written] == [(0.0, 10), (1000.0, 10), (2000.0, 5)]


def test_a_request_names_record_and_customer_and_lies_in_the_customers_partition() -> None:
    machine = Machine()
    list(Asking(machine.write, 4, 10, machine).ask([to_redrive(7)]))
    ((_, (request,)),) = machine.written
    assert (request.topic, request.key, request.partition) == (topics.REDRIVES, b"crm:7", partition_of(b"crm:7", 4))
    assert msgspec.json.decode(request.value or b"") == {
        "customer": "crm:7",
        "topic": topics.CUSTOMER_UPDATES,
        "partition": 0,
        "offset": 7,
    }


def test_a_record_is_asked_for_once_however_many_pointers_there_are_to_it() -> None:
    machine = Machine()
    pointers = [to_redrive(1), to_redrive(1, partner="a"), to_redrive(2), to_redrive(1, partner="b")]
    chunks = list(Asking(machine.write, 4, 2, machine).ask(pointers))
    assert [one for chunk in chunks for one in chunk] == pointers
    assert sum(len(records) for _, records in machine.written) == 2


def test_what_was_yielded_was_asked_for_when_it_is_interrupted() -> None:
    machine = Machine()
    chunks = Asking(machine.write, 4, 2, machine).ask(to_redrive(n) for n in range(10))
    assert len(next(chunks)) == 2
    chunks.close()  # type: ignore[attr-defined]
    assert sum(len(records) for _, records in machine.written) == 2


def disclosure(installation: Installation, customer: str, *partners: str) -> Record:
    entries = [
        {"partner": one, "action": "SHARED", "pseudonym": "p", "key_epoch": 1, "contract": "c", "decision_id": "d"}
        for one in partners
    ]
    full = [e | {"reason": None, "fields": [], "digest": b"", "consents": [], "rules": [], "expires_at": None}
            for e in entries]  # fmt: skip
    value = installation.shelf.writer(DISCLOSURE).write(
        {"covers": [], "decided_at": NOW, "contract_set": "s", "entries": full}
    )
    return Record(topics.DISCLOSURES, 0, 0, customer.encode(), value, NOW)


def test_a_disclosure_is_waited_for_only_where_something_changes(installation: Installation) -> None:
    machine = Machine()
    row = consented(installation, profile=installation.profile())
    changed = judge(installation).judge(rejection(), Source(update(row.profile), row, 5))
    waiting = Waiting(machine, installation.decode, machine)
    waiting.awaits([to_redrive(1), changed])
    machine.disclosures = [
        [disclosure(installation, "somebody", HOSHI)],
        [disclosure(installation, A, "adresso")],
        [disclosure(installation, A, HOSHI)],
    ]
    assert waiting.wait(60) == {}
    assert machine.at_ms < 1_000, "and no longer than it takes"
    waiting.awaits([changed])
    assert waiting.wait(3) == {CustomerId(A): {HOSHI}}
    assert machine.at_ms >= 3_000


# --- pointers


def test_pointers_that_are_alike_are_counted_together() -> None:
    found = [
        rejection(offset=1, detected_at=Millis(30)),
        rejection(offset=2, detected_at=Millis(10)),
        rejection(offset=3, partner="a"),
        rejection(topics.CONSENT_EVENTS, detected_at=Millis(20)),
    ]
    groups = rejections.grouped(found)
    assert [(g.topic, g.partner, g.count) for g in groups] == [
        (topics.CUSTOMER_UPDATES, None, 2),
        (topics.CONSENT_EVENTS, None, 1),
        (topics.CUSTOMER_UPDATES, "a", 1),
    ]
    assert (groups[0].first, groups[0].last) == (10, 30)


def test_the_newest_are_listed_by_their_times() -> None:
    newest = Newest(2)
    found = [rejection(offset=at, detected_at=Millis(at)) for at in (3, 9, 1, 7)]
    assert list(newest.remembering(found)) == found
    assert [one.offset for one in newest.listed()] == [7, 9]
    none = Newest(0)
    assert list(none.remembering(found)) == found
    assert none.listed() == []


@pytest.mark.parametrize(
    ("selection", "offsets"),
    [
        (Selection(), [1, 2, 3]),
        (Selection(causes=frozenset({"misplaced"})), [2]),
        (Selection(topics=frozenset({topics.CONSENT_EVENTS})), [3]),
        (Selection(partners=frozenset({"a"})), [2]),
        (Selection(since=Millis(20)), [2, 3]),
        (Selection(places=frozenset({Pointer(topics.CUSTOMER_UPDATES, 0, 1)})), [1]),
        (Selection(causes=frozenset({"misplaced"}), since=Millis(30)), []),
    ],
)
def test_a_selection_holds_what_fits_in_every_way(selection: Selection, offsets: list[int]) -> None:
    found = [
        rejection(offset=1, detected_at=Millis(10)),
        rejection(offset=2, cause="misplaced", partner="a", detected_at=Millis(20)),
        rejection(topics.CONSENT_EVENTS, offset=3, detected_at=Millis(30)),
    ]
    assert [one.offset for one in found if selection.holds(one)] == offsets


def test_a_place_is_written_as_pointers_are_told() -> None:
    assert rejections.place("crm.consent-events/3@17") == Pointer("crm.consent-events", 3, 17)
    for wrong in ("", "crm.consent-events/3", "a/b@c", "x/1@2 "):
        with pytest.raises(SluiceError, match="is no place"):
            rejections.place(wrong)


# --- what is told


def test_every_cause_and_every_state_is_told_what_it_means() -> None:
    assert set(ADVICE) == set(Cause)
    assert set(telling._MEANING) == set(State)
    assert "newer" in advice("a_cause_to_come")
    text = (ROOT / "docs/rejected.md").read_text(encoding="utf-8")
    documented = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    assert documented == {one.value for one in (*Cause, *State)}


def test_what_is_told_holds_words_and_no_value(installation: Installation) -> None:
    row = consented(installation, profile=installation.profile(given_name="Canary"))
    verdict = judge(installation).judge(rejection(), Source(update(row.profile), row, 5))
    for told in (telling.as_line(verdict), msgspec.json.encode(telling.as_data(verdict)).decode()):
        assert "shared" in told
        assert "Canary" not in told
        assert A not in told
