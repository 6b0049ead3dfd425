"""What another contract set would change for one customer at one partner."""

from __future__ import annotations

from enum import StrEnum

from stream_processors.review.rulebook import Answer


class Change(StrEnum):
    NEWLY_SHARED = "newly_shared"
    RECALLED = "recalled"
    WIDENED = "widened"
    """The partner gets a field more, whether or not it loses another."""
    NARROWED = "narrowed"
    REWRITTEN = "rewritten"
    """The same fields with other values, or under another pseudonym."""
    SAME = "same"


def change(now: Answer, then: Answer) -> Change:
    """`now` is what holds, `then` what would."""
    if now.held is None or then.held is None:
        if now.is_shared == then.is_shared:
            return Change.SAME
        return Change.NEWLY_SHARED if then.is_shared else Change.RECALLED
    if set(then.fields) - set(now.fields):
        return Change.WIDENED
    if set(now.fields) - set(then.fields):
        return Change.NARROWED
    same = (now.held.pseudonym, now.held.digest) == (then.held.pseudonym, then.held.digest)
    return Change.SAME if same else Change.REWRITTEN
