"""What `sluice verify` tells: to people, and to programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from sluice.model import Millis
from stream_processors.review.findings import Difference, Figures, HoldingTold, State
from stream_processors.review.instant import written
from stream_processors.review.proving import Proof

_UNSETTLED = (State.WAITING, State.PENDING, State.MOVING, State.INDETERMINATE)
_MEANING = {
    State.WAITING: "hold less than they may, and are about to be given the rest",
    State.PENDING: "hold something else than they may, in a partition that is still being reconciled",
    State.MOVING: "were disclosed anew each time they were looked at",
    State.INDETERMINATE: "cannot be judged by the evidence there is",
}


class Report(msgspec.Struct):
    """Everything that was found, of all partitions."""

    equal: bool
    """There is no difference."""
    complete: bool
    """And nothing was left open: what is equal is everything."""
    customers: int
    """How many the logs name."""
    held: dict[str, int]
    """By partner: how many customers it holds rightly."""
    states: dict[str, dict[str, int]]
    """By partner: in how many customers' case which state was found."""
    faults: dict[str, int]
    doubts: dict[str, int]
    partitions: list[dict[str, Any]]
    differences: list[Difference]


def report(proofs: Sequence[Proof], listed: int, *, values: bool) -> Report:
    figures = Figures()
    for proof in proofs:
        figures.add(proof.figures)
    left = sum(figures.total(state) for state in _UNSETTLED)
    shown = figures.differences[:listed]
    return Report(
        equal=not figures.faults,
        complete=not figures.faults and not left,
        customers=sum(proof.customers for proof in proofs),
        held=dict(sorted(figures.held.items())),
        states={
            partner: {s.value: states.get(s, 0) for s in State} for partner, states in sorted(figures.states.items())
        },
        faults={fault.value: count for fault, count in figures.faults.items()},
        doubts={doubt.value: count for doubt, count in figures.doubts.items()},
        partitions=[_partition(proof) for proof in proofs],
        differences=shown if values else [msgspec.structs.replace(one, values={}) for one in shown],
    )


def sentences(found: Report) -> Iterator[str]:
    """The whole report, line by line."""
    for partition in found.partitions:
        settled = "settled" if partition["settled"] else "not settled yet"
        yield (
            f"partition {partition['partition']}: {settled}, as of {written(Millis(partition['decided_at']))}, "
            f"contract set {partition['contract_set'][:12]}, offsets {partition['updates']:,} of updates, "
            f"{partition['consents']:,} of consents, {partition['disclosures']:,} of disclosures"
        )
    for partner, states in found.states.items():
        yield f"{partner}: {found.held[partner]:,} held, {states[State.EQUAL]:,} of {sum(states.values()):,} equal"
        for state in _UNSETTLED:
            if states[state]:
                yield f"  {states[state]:,} {state.value}: they {_MEANING[state]}"
        if states[State.DIFFERENT]:
            yield f"  {states[State.DIFFERENT]:,} different"
    for doubt, count in sorted(found.doubts.items()):
        yield f"{count:,} indeterminate: {doubt}"
    for difference in found.differences:
        yield from _difference(difference)
    yield _verdict(found)


def _partition(proof: Proof) -> dict[str, Any]:
    names = (name for name in Proof.__struct_fields__ if name != "figures")
    return {name: getattr(proof, name) for name in names}


def _difference(one: Difference) -> Iterator[str]:
    whom = one.customer if one.customer is not None else "nobody who is known"
    faults = ", ".join(fault.value for fault in one.faults)
    yield f"DIFFERENCE {faults}: {whom} at {one.partner or 'every partner'}, pseudonym {one.pseudonym or 'not known'}"
    if one.held is not None or one.allowed is not None or one.refused is not None:
        yield f"  held:    {_holding(one.held) if one.held else 'nothing is disclosed'}"
        because = f"nothing, because: {one.refused}{_by(one.refusing)}"
        yield f"  allowed: {_holding(one.allowed) if one.allowed else because}"
    if one.fields:
        yield f"  fields that differ in the record: {', '.join(one.fields)}"
    for name, (there, wanted) in one.values.items():
        yield f"    {name}: {there!r} is held, {wanted!r} is allowed"
    yield f"  evidence: {', '.join(_places(one))}"


def _holding(told: HoldingTold) -> str:
    end = f", until {written(Millis(told.expires_at))}" if told.expires_at is not None else ""
    return f"{', '.join(told.fields)} (contract {told.contract[:12]}, key epoch {told.key_epoch}{_by(told.rules)}{end})"


def _by(rules: Iterable[str]) -> str:
    told = ", ".join(rules)
    return f", by {told}" if told else ""


def _places(one: Difference) -> list[str]:
    where = one.evidence
    places = [place for place in (where.update, where.disclosure, *where.delivered) if place is not None]
    return places + [f"consent {record}" for record in where.consents]


def _verdict(found: Report) -> str:
    if found.faults:
        counts = ", ".join(f"{fault} {count:,}" for fault, count in sorted(found.faults.items()))
        listed = len(found.differences)
        return f"NOT EQUAL: {counts}. Listed: {listed:,}."
    open_cases = sum(states[state] for states in found.states.values() for state in _UNSETTLED)
    if open_cases:
        return f"Equal as far as can be told; {open_cases:,} cases are left open (see above)."
    return f"Equal: {found.customers:,} customers, {sum(found.held.values()):,} records held, no difference."
