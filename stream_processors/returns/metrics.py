"""What the returns processor counts, and when."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from prometheus_client import CollectorRegistry

from sluice.metrics import catalogue
from sluice.model import PartnerId
from stream_processors.returns.deadlines import Account
from stream_processors.returns.deciding import Outcome, label
from stream_processors.returns.partner_return import PartnerReturn, RefusedFor
from stream_processors.returns.readership import Reader
from stream_processors.unavailable import Unavailable

_STATES = ("open", "due_soon", "overdue", "acknowledged")


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.returns = catalogue.RETURNS.counter(registry)
        self.recalls = catalogue.RECALLS.gauge(registry)
        self.due = catalogue.RECALLS_DUE.counter(registry)
        self._stood: set[PartnerId] = set()
        self._due: dict[tuple[PartnerId, str], int] = {}
        self.paused = catalogue.PARTNER_PAUSED.gauge(registry)
        self.lag = catalogue.PARTNER_LAG.gauge(registry)
        self.stalled = catalogue.PARTNER_STALLED.gauge(registry)
        self.unavailable = Unavailable(catalogue.RETURNS_UNAVAILABLE.gauge(registry))

    def settled(self, partner: PartnerId, said: PartnerReturn | RefusedFor, outcome: Outcome) -> None:
        kind = said.type.value if isinstance(said, PartnerReturn) else ""
        self.returns.labels(partner, kind, *label(outcome)).inc()

    def stand(
        self, accounts: Mapping[PartnerId, Account], paused: Collection[PartnerId], in_force: Collection[PartnerId]
    ) -> None:
        """How all of them stand who are in the set in force, their contracts ended or not.

        Who is not cannot answer any more; `sluice recalls` goes on telling what it never acknowledged.
        """
        for partner in self._stood - set(in_force):
            self._stood.remove(partner)
            self.paused.remove(partner)
            for state in _STATES:
                self.recalls.remove(partner, state)
        for partner, account in accounts.items():
            if partner not in in_force:
                continue
            self._stood.add(partner)
            for state in _STATES:
                self.recalls.labels(partner, state).set(getattr(account, state))
            self._count_due(partner, "in_time", account.in_time)
            self._count_due(partner, "late", account.late)
            self.paused.labels(partner).set(partner in paused)

    def _count_due(self, partner: PartnerId, outcome: str, ever: int) -> None:
        """All that ever were, as the logs tell them: a start of this process takes nothing back and hides nothing."""
        before = self._due.get((partner, outcome), 0)
        self._due[partner, outcome] = ever
        self.due.labels(partner, outcome).inc(max(ever - before, 0))

    def read_by(self, readers: Mapping[PartnerId, Reader]) -> None:
        self.lag.clear()
        self.stalled.clear()
        for partner, reader in readers.items():
            self.lag.labels(partner).set(reader.unread)
            for topic, seconds in reader.stalled_seconds.items():
                self.stalled.labels(partner, topic.rpartition(".")[2]).set(seconds)
