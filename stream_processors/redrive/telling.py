"""Verdicts as lines: words for outcomes, never a value, and no customer's id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from sluice.model import label
from stream_processors.redrive.advice import ADVICE
from stream_processors.redrive.deciding import State, Verdict

_MEANING: Mapping[State, str] = {
    State.TO_REDRIVE: "to be redriven",
    State.REDRIVEN: "redriven",
    State.SUPERSEDED: "superseded by a newer update",
    State.GONE: "gone: the record is no longer there",
    State.STILL_REJECTED: "still rejected",
    State.NEEDS_PRODUCER: "to be sent again by the producer",
    State.ACKNOWLEDGED: "acknowledged by an operator",
    State.ALREADY_ACCEPTED: "nothing to be done",
}


def as_data(verdict: Verdict) -> dict[str, object]:
    """For programs."""
    rejection = verdict.rejection
    return {
        "kind": "pointer",
        "pointer": str(rejection.where),
        "topic": rejection.topic,
        "partition": rejection.partition,
        "offset": rejection.offset,
        "cause": rejection.cause,
        "partner": rejection.partner,
        "state": verdict.state.value,
        "still": None if verdict.cause is None else verdict.cause.value,
        "outcomes": {partner: dict(zip(("outcome", "reason"), label(outcome), strict=True))
                     for partner, outcome in verdict.outcomes.items()},
        "changes": sorted(verdict.changed),
    }  # fmt: skip


def as_line(verdict: Verdict) -> str:
    rejection = verdict.rejection
    of = f" for {rejection.partner}" if rejection.partner else ""
    still = f": {verdict.cause}" if verdict.cause else ""
    return f"{rejection.where}  {rejection.cause}{of}  {_MEANING[verdict.state]}{still}{_given(verdict)}"


def _given(verdict: Verdict) -> str:
    if verdict.state not in (State.TO_REDRIVE, State.REDRIVEN):
        return ""
    told = []
    for partner, outcome in sorted(verdict.outcomes.items()):
        word, reason = label(outcome)
        told.append(f"{partner} {word}{f' ({reason})' if reason else ''}")
    return f"  {', '.join(told)}"


def summary(states: Mapping[State, int], causes: Counter[str]) -> Iterator[str]:
    """How many there are of each state; then what to do about what stays rejected."""
    if not states:
        yield "No rejected input is recorded that fits."
    for state in State:
        if states.get(state):
            yield f"{states[state]:>8}  {_MEANING[state]}"
    for cause, advised in ADVICE.items():
        if causes[cause.value]:
            yield f"{cause}: {advised}"
