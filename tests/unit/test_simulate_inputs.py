"""Recorded inputs to customers: the newest row counts, what cannot be read is told and never helps anybody."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import catalogue
from sluice.avro import FRAME_BYTES, Reader, Writer
from sluice.errors import SluiceError
from sluice.files.conversion import Unfit, convert
from sluice.files.rows import Lines, Refused, json_row
from sluice.files.shape import read_shape
from sluice.model import Millis
from sluice.projection import Snapshot
from stream_processors.review import dealing, shards
from stream_processors.review.recorded_files import Files, deal_files
from stream_processors.review.subject import Problem, Subject
from stream_processors.sharing.pipeline import DELETED, NO_PROFILE, UNREADABLE

AT = Millis(1_780_000_000_000)
PROFILE = catalogue.text("customer_profile")
ANSWER = {
    "purpose": "marketing.communications.email",
    "state": "GIVEN",
    "expression": "explicit",
    "actor": "subject",
    "event_time": AT - 5,
}


def customer(name: str, **fields: Any) -> str:  # noqa: ANN401 - any field of the profile
    return json.dumps({"customer_id": name, "updated_at": 5, **fields})


def answer(name: str, **fields: Any) -> str:  # noqa: ANN401 - any field of the event
    return json.dumps({"subject_id": name, **ANSWER, **fields})


class Desk:
    """A folder with recorded files in it, and what simulation makes of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dealt_into = folder / "dealt"
        self.dealt_into.mkdir()

    def write(self, name: str, *lines: str) -> Path:
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def read(self, customers: Path, consents: Path, **files: Any) -> tuple[list[Subject], list[Problem]]:  # noqa: ANN401
        dealt = deal_files(Files(customers, consents, PROFILE, AT, **files), self.dealt_into, lambda _: None)
        found = [one for shard in range(dealt.shards) for one in dealt.inputs.subjects(shard)]
        subjects = sorted((one for one in found if isinstance(one, Subject)), key=lambda one: one.order)
        return subjects, [*dealt.problems, *(one for one in found if isinstance(one, Problem))]

    def json(self, customers: list[str], consents: list[str]) -> tuple[list[Subject], list[Problem]]:
        return self.read(self.write("c.jsonl", *customers), self.write("e.jsonl", *consents))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_customers_come_in_the_order_of_their_file_and_those_only_in_consents_behind(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 50)
    names = [f"c{n}" for n in (5, 3, 9, 1, 7, 5)]
    subjects, problems = desk.json([customer(name) for name in names], [answer("x"), answer("c9"), answer("a")])
    assert [one.customer for one in subjects] == ["c5", "c3", "c9", "c1", "c7", "x", "a"]
    assert [one.profile is NO_PROFILE for one in subjects] == [False] * 5 + [True] * 2
    assert problems == []


def test_the_newest_row_of_a_customer_counts(desk: Desk) -> None:
    subjects, _ = desk.json([customer("a", email="old"), customer("a", email="new")], [])
    (only,) = subjects
    assert isinstance(only.profile, Snapshot)
    assert only.profile.value("email") == "new"


def test_a_deletion_counts_like_any_row(desk: Desk) -> None:
    gone = json.dumps({"customer_id": "a", "$deleted": True})
    back = json.dumps({"customer_id": "b", "$deleted": True})
    subjects, _ = desk.json([customer("a"), gone, back, customer("b")], [])
    assert subjects[0].profile is DELETED
    assert isinstance(subjects[1].profile, Snapshot)


def test_a_customer_whose_newest_row_is_bad_is_unreadable(desk: Desk) -> None:
    subjects, problems = desk.json([customer("a"), customer("a", email=5), customer("b", email=5), customer("b")], [])
    assert subjects[0].profile is UNREADABLE
    assert isinstance(subjects[1].profile, Snapshot)
    assert [(one.place, one.sentence, one.nameless) for one in problems] == [
        (2, "`email` has to be text.", False),
        (3, "`email` has to be text.", False),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"purpose": "marketing.nothing"},
        {"state": "PERHAPS"},
        {"data_scope": ["user.nothing"]},
        {"surprise": 1},
        {"$deleted": True},
    ],
)
def test_an_unreadable_consent_counts_as_a_no_of_its_customer(desk: Desk, changes: dict[str, Any]) -> None:
    subjects, problems = desk.json([customer("a"), customer("b")], [answer("a"), answer("a", **changes), answer("b")])
    assert [len(one.row.consents.unreadable) for one in subjects] == [1, 0]
    (problem,) = problems
    assert (problem.place, problem.nameless) == (2, False)


def test_an_answer_dated_after_the_decision_is_read_like_any_other(desk: Desk) -> None:
    later = {"event_time": AT + 10_000_000, "recorded_at": AT + 10_000_000}
    ((one,), problems) = desk.json([customer("a")], [answer("a", **later)])
    assert (len(one.row.consents.events), problems) == (1, [])


def test_a_field_given_twice_still_tells_whose_row_it_is(desk: Desk) -> None:
    twice = '{"subject_id": "a", "state": "GIVEN", "state": "REFUSED"}'
    subjects, problems = desk.json([customer("a")], [twice])
    assert subjects[0].row.consents.unreadable
    assert not problems[0].nameless


@pytest.mark.parametrize(
    "row", ["{not json", "[]", '{"customer_id": 5}', '{"customer_id": " "}', '{"customer_id": "\\ud800"}', "{}"]
)
def test_a_row_that_names_nobody_is_told_and_lies_nowhere(desk: Desk, row: str) -> None:
    subjects, problems = desk.json([customer("a"), row], [])
    assert [one.customer for one in subjects] == ["a"]
    assert [(one.place, one.nameless) for one in problems] == [(2, True)]


def test_an_event_without_id_and_time_gets_them_and_always_the_same(desk: Desk) -> None:
    first, _ = desk.json([], [answer("a"), answer("a")])
    again, _ = desk.json([], [answer("a"), answer("a")])
    events = first[0].row.consents.events
    assert len({event.record_id for event in events}) == 2
    assert {event.recorded_at for event in events} == {AT}
    assert first[0].row == again[0].row


def test_csv_is_read_as_publishing_reads_it(desk: Desk) -> None:
    customers = desk.write("c.csv", "\ufeffcustomer_id,updated_at,email,address.city", "1, 1780000000000 ,,", "2,x,,")
    consents = desk.write(
        "e.csv", "subject_id,purpose,state,expression,actor,event_time", "1,*,REFUSED,explicit,subject,1780000000000"
    )
    subjects, problems = desk.read(customers, consents, source="crm")
    assert [one.customer for one in subjects] == ["crm:1", "crm:2"]
    assert [event.state for event in subjects[0].row.consents.events] == ["REFUSED"]
    assert subjects[1].profile is UNREADABLE
    assert [(Path(one.source).name, one.place) for one in problems] == [("c.csv", 3)]


def test_a_mapping_names_the_columns_of_customers(desk: Desk) -> None:
    customers = desk.write("c.csv", "id,mail,seen", "1,a@example.com,1780000000000")
    mapping = desk.write("m.yaml", "customer_id: id", "fields: {email: mail, updated_at: seen}")
    subjects, _ = desk.read(customers, desk.write("e.jsonl"), mapping=mapping)
    assert isinstance(subjects[0].profile, Snapshot)
    assert subjects[0].profile.value("email") == "a@example.com"


def test_a_file_whose_form_is_not_known_is_refused(desk: Desk) -> None:
    with pytest.raises(SluiceError, match=r"neither \.csv nor \.jsonl"):
        desk.read(desk.write("c.xml"), desk.write("e.jsonl"))
    with pytest.raises(SluiceError, match=r"neither \.csv nor \.jsonl"):
        desk.read(desk.write("c.avro"), desk.write("e.jsonl"))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["customer_id", "email", "address"]), _JSON), st.booleans())
def test_a_row_lies_with_the_customer_whom_publishing_reads_in_it(content: dict[str, Any], ascii_only: bool) -> None:  # noqa: FBT001
    reader = Files(Path(), Path(), PROFILE, AT).reader_of_customers()
    line = json.dumps(content, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    (found,) = dealing._json(Lines(io.BytesIO(line)), reader)
    if reader.named(content.get("customer_id")) is None or isinstance(json_row(1, line), Refused):
        assert isinstance(found, Refused) or found.customer == content["customer_id"]
    else:
        assert isinstance(found, dealing.Entry)
        assert found.customer == content["customer_id"]


_VALUES: dict[str, Any] = {
    '"string"': st.text(st.characters(codec="utf-8")),
    '"float"': st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30),
    '"double"': st.decimals(allow_nan=False, allow_infinity=False),
    '"long"': st.integers(-(2**63), 2**63 - 1),
    '["null", "boolean"]': st.none() | st.booleans(),
    '{"type": "array", "items": "float"}': st.lists(st.integers(-(10**9), 10**9), max_size=3),
    '{"type": "map", "values": "string"}': st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
}


@pytest.mark.parametrize("avro", _VALUES)
@given(data=st.data())
def test_a_row_is_what_the_processor_would_read_of_its_bytes(avro: str, data: st.DataObject) -> None:
    schema = f'{{"type": "record", "name": "R", "fields": [{{"name": "f", "type": {avro}}}]}}'
    try:
        record = convert(read_shape(schema), {"f": data.draw(_VALUES[avro])})
    except Unfit:
        return
    assert Reader(schema).read(Writer(schema, 1).write(record)[FRAME_BYTES:]) == record
