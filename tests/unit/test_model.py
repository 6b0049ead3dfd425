"""The words: closed, distinct, and readable back from bytes."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from sluice.model import (
    Cause,
    Held,
    Millis,
    Outcome,
    Pointer,
    Pseudonym,
    Reason,
    Recalled,
    Rejected,
    Restricted,
    Shared,
    Unchanged,
    Withheld,
    label,
)

HELD = Held(Pseudonym("p" * 22), 1, "c0", ("email",), bytes(16), ("r1",), ("ZZ-R0",), Millis(5))
LABELS: list[tuple[Outcome, tuple[str, str]]] = [
    (Shared(HELD, b""), ("shared", "")),
    (Recalled(HELD, Reason.OBJECTED), ("recalled", "objected")),
    (Restricted(HELD), ("restricted", "")),
    (Unchanged(), ("unchanged", "")),
    (Unchanged(HELD), ("unchanged", "")),
    (Withheld(Reason.NO_PROFILE), ("withheld", "no_profile")),
    (Rejected(Cause.UNENCODABLE), ("rejected", "unencodable")),
    (Rejected(Cause.UNENCODABLE, HELD), ("rejected", "unencodable")),
]


@pytest.mark.parametrize(("outcome", "labels"), LABELS)
def test_an_outcome_has_a_name_and_a_reason(outcome: Outcome, labels: tuple[str, str]) -> None:
    assert label(outcome) == labels


def test_every_outcome_is_tried_here() -> None:
    assert {type(outcome) for outcome, _ in LABELS} == set(get_args(Outcome))


def test_what_is_held_survives_the_store() -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(HELD), type=Held) == HELD


def test_a_pointer_reads_as_operators_write_it() -> None:
    assert str(Pointer("crm.consent-events", 3, 17)) == "crm.consent-events/3@17"


def test_reasons_and_causes_are_labels() -> None:
    assert all(word.value == word.name.lower() for word in [*Reason, *Cause])
