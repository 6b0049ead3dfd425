"""A consumer group with eager rebalances: a new generation begins when every member has come back or was given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Member:
    client_id: str
    has_joined: bool
    """It takes part in the generation that is being formed."""
    seen_at: float
    generation: int = 0
    """Of which it has been told its assignment."""


class Group:
    session_timeout_ms = 6_000.0

    def __init__(self, partitions: int, clock: Callable[[], float]) -> None:
        self._partitions = partitions
        self._clock = clock
        self._numbered = 0
        self.generation = 0
        self.is_forming = False
        self.members: dict[str, Member] = {}

    def join(self, client_id: str) -> str:
        """The new member's name."""
        self._numbered += 1
        name = f"{client_id}#{self._numbered}"
        self.members[name] = Member(client_id, has_joined=True, seen_at=self._clock())
        self._reform()
        self.members[name].has_joined = True
        self._complete()
        return name

    def leave(self, name: str) -> None:
        if self.members.pop(name, None) is not None:
            self._reform()
            self._complete()

    def heartbeat(self, name: str) -> None:
        if name in self.members:
            self.members[name].seen_at = self._clock()

    def expire(self) -> None:
        """Members who were silent for the session's time are given up."""
        for name, member in list(self.members.items()):
            if self._clock() - member.seen_at > self.session_timeout_ms:
                self.leave(name)

    def must_rejoin(self, name: str) -> bool:
        return self.is_forming and name in self.members and not self.members[name].has_joined

    def rejoin(self, name: str) -> None:
        self.members[name].has_joined = True
        self._complete()

    def assignment(self, name: str) -> frozenset[int] | None:
        """What is assigned to the member in a generation that it was not told of yet; None: nothing new."""
        member = self.members[name]
        if self.is_forming or member.generation == self.generation:
            return None
        member.generation = self.generation
        return self._range(name)

    def membership(self, name: str) -> str:
        """What a member captures at assignment, and shows when it sends offsets."""
        return f"{name}@{self.members[name].generation}"

    def knows(self, membership: str) -> bool:
        name, _, generation = membership.rpartition("@")
        return name in self.members and int(generation) == self.generation

    def rebalance(self) -> None:
        """Everybody has to come back, as when somebody joined and left."""
        if self.members:
            self._reform()

    def _reform(self) -> None:
        if not self.is_forming:
            self.is_forming = True
            for member in self.members.values():
                member.has_joined = False

    def _complete(self) -> None:
        if self.is_forming and all(member.has_joined for member in self.members.values()):
            self.is_forming = False
            self.generation += 1

    def _range(self, name: str) -> frozenset[int]:
        names = sorted(self.members)
        at, share, more = names.index(name), *divmod(self._partitions, len(names))
        first = at * share + min(at, more)
        return frozenset(range(first, first + share + (at < more)))
