"""An e-mail house: to whom a campaign is sent, and what comes of it. Nothing is sent, and that is invented."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

_BOUNCED_OF = 12
_UNSUBSCRIBED_OF = 10

Held = Mapping[str, Mapping[str, Any]]
"""By pseudonym, what the house may hold now."""


def chosen(held: Held, segment: str | None) -> Iterator[str]:
    """Those whom a campaign is sent to: who was recalled is not among them, for they are held no more."""
    return (name for name, record in held.items() if segment is None or segment in (record["segments"] or ()))


def came_of(campaign: str, name: str) -> str | None:
    """What kind of return comes of one mail, if any; the same whenever it is asked."""
    first, second = blake2b(f"{campaign}\n{name}".encode(), digest_size=2).digest()
    if first % _BOUNCED_OF == 0:
        return "BOUNCED"
    return "UNSUBSCRIBED" if second % _UNSUBSCRIBED_OF == 0 else None
