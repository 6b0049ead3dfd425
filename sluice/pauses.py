"""Who gets nothing new because it leaves recalls unanswered: `sluice.pauses`, since when by partner. Pure.

A contract that does not say `limits.pause_when_overdue` is not touched by it.
"""

from __future__ import annotations

import msgspec

from sluice.log import Record
from sluice.model import Millis, PartnerId


class Unreadable(ValueError):
    """A record in sluice.pauses says no time."""


def encode(since: Millis | None) -> bytes | None:
    """None: the pause is over."""
    return None if since is None else msgspec.json.encode(since)


def fold(paused: dict[PartnerId, Millis], record: Record) -> None:
    """Into who is paused, and since when. Raises Unreadable."""
    partner = PartnerId((record.key or b"").decode(errors="replace"))
    if record.value is None:
        paused.pop(partner, None)
        return
    try:
        paused[partner] = Millis(msgspec.json.decode(record.value, type=int))
    except msgspec.MsgspecError:
        raise Unreadable from None
