"""What is ours: what the contracts ask for, and whatever is named `partner.*` or `sluice.*`. Nothing else is touched.

A user is ours when the contracts ask for it, or when topics or schemas are named after it; and `CN=<user>` is
that user: so a broker calls who comes with a certificate, unless it makes another name of that.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from sluice.planning.actual import Actual
from sluice.provisioning import Desired, Right

_OF_A_CERTIFICATE = "CN="
_OF_A_PARTNER = re.compile(r"partner\.([a-z][a-z0-9-]*)\..*")


def is_ours(name: str, wanted: Iterable[str]) -> bool:
    """Of a topic or a subject; `wanted` are those that the contracts ask for."""
    return name.startswith(("partner.", "sluice.")) or name in wanted


def partner_in(name: str) -> str | None:
    """Whose topic, subject or group it is."""
    found = _OF_A_PARTNER.fullmatch(name)
    return found[1] if found else None


def our_users(desired: Desired, actual: Actual) -> frozenset[str]:
    named = (partner_in(name) for name in (*actual.topics, *actual.subjects))
    return frozenset(desired.users).union(name for name in named if name)


def user_called(name: str, ours: Collection[str]) -> str | None:
    """Whom of ours the broker calls so."""
    user = name.removeprefix(_OF_A_CERTIFICATE)
    return user if user in ours else None


def touches_ours(right: Right, topic_names: Iterable[str]) -> bool:
    """Whether it lets somebody at a topic of ours, or keeps somebody from it."""
    return any(right.covers_topic(name) for name in topic_names)
