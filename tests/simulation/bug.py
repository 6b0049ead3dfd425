"""A fault put into the product or its log on purpose."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

Patch = AbstractContextManager[object]


@dataclass(frozen=True, slots=True)
class Bug:
    name: str
    what: str
    put_in: Callable[[], Patch]


BUGS: list[Bug] = []


def bug(what: str) -> Callable[[Callable[[], Patch]], Callable[[], Patch]]:
    def listed(put_in: Callable[[], Patch]) -> Callable[[], Patch]:
        BUGS.append(Bug(put_in.__name__.replace("_", " "), what, put_in))
        return put_in

    return listed
