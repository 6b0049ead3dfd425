"""What a contract change is called, and how figures of shards become those of the whole."""

from __future__ import annotations

import pytest

from sluice.model import Held, Pseudonym
from stream_processors.review.comparison import Change, change
from stream_processors.review.figures import Figures, PartnerFigures
from stream_processors.review.problems import Problems
from stream_processors.review.rulebook import Answer
from stream_processors.review.subject import Problem


def shared(*fields: str, digest: bytes = b"1", pseudonym: str = "p") -> Answer:
    held = Held(Pseudonym(pseudonym), 1, "contract", fields, digest, (), (), None)
    return Answer("shared", None, ("ZZ-R1",), fields, held)


def withheld(reason: str) -> Answer:
    return Answer("withheld", reason, (), ())


NO, OTHER_NO = withheld("refused"), withheld("withdrawn")


@pytest.mark.parametrize(
    ("now", "then", "expected"),
    [
        (NO, NO, Change.SAME),
        (NO, OTHER_NO, Change.SAME),
        (NO, shared("a"), Change.NEWLY_SHARED),
        (shared("a"), NO, Change.RECALLED),
        (shared("a"), shared("a", "b"), Change.WIDENED),
        (shared("a", "b"), shared("a"), Change.NARROWED),
        (shared("a", "b"), shared("a", "c"), Change.WIDENED),
        (shared("a", "b"), shared("b", "a"), Change.SAME),
        (shared("a"), shared("a", digest=b"2"), Change.REWRITTEN),
        (shared("a"), shared("a", pseudonym="q"), Change.REWRITTEN),
    ],
)
def test_every_change_has_a_name(now: Answer, then: Answer, expected: Change) -> None:
    assert change(now, then) is expected


def test_a_change_is_counted_by_the_reason_of_the_side_that_does_not_share() -> None:
    figures = PartnerFigures()
    for now, then in ((NO, shared("a")), (shared("a", "b"), OTHER_NO), (shared("a"), shared("a", "b"))):
        figures.compare(change(now, then), now, then)
    assert figures.changes == {
        (Change.NEWLY_SHARED, "refused"): 1,
        (Change.RECALLED, "withdrawn"): 1,
        (Change.WIDENED, ""): 1,
    }
    assert figures.gained == {"a": 1, "b": 1}
    assert figures.lost == {"a": 1, "b": 1}


def test_figures_of_shards_add_up() -> None:
    whole = Figures()
    for answers in ([shared("a"), NO], [shared("a", "b")], []):
        part = Figures(customers=len(answers))
        for one in answers:
            part.of("hoshi-card").count(one)
        part.of("hoshi-card").kept_back.update([("b", "limited")])
        whole.add(part)
    own = whole.partners["hoshi-card"]
    assert (whole.customers, own.shared) == (3, 2)
    assert own.fields == {"a": 2, "b": 1}
    assert own.stopped == {("withheld", "refused"): 1}
    assert own.kept_back == {("b", "limited"): 3}


def test_the_first_problems_are_kept_and_all_are_counted() -> None:
    whole = Problems(keep=2)
    for lines in ((9, 3, 7, 8, 2), (1,)):
        part = Problems(keep=2)
        for line in lines:
            part.add(Problem("c.jsonl", line, "Bad.", nameless=line > 7))
        whole.merge(part)
    assert [problem.place for problem in whole.listed()] == [1, 2]
    assert (whole.count, whole.nameless) == (6, 2)
