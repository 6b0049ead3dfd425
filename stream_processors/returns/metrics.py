"""What the returns processor counts, and when."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from prometheus_client import CollectorRegistry

from sluice.metrics import catalogue
from sluice.model import PartnerId
from stream_processors.returns.deadlines import Account
from stream_processors.returns.deciding import Outcome, label
from stream_processors.returns.partner_return import PartnerReturn, RefusedFor


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.returns = catalogue.RETURNS.counter(registry)
        self.recalls = catalogue.RECALLS.gauge(registry)
        self.paused = catalogue.PARTNER_PAUSED.gauge(registry)
        self.unavailable = catalogue.RETURNS_UNAVAILABLE.gauge(registry)

    def settled(self, partner: PartnerId, said: PartnerReturn | RefusedFor, outcome: Outcome) -> None:
        kind = said.type.value if isinstance(said, PartnerReturn) else ""
        self.returns.labels(partner, kind, *label(outcome)).inc()

    def stand(self, accounts: Mapping[PartnerId, Account], paused: Collection[PartnerId]) -> None:
        for partner, account in accounts.items():
            for state in ("open", "due_soon", "overdue", "acknowledged"):
                self.recalls.labels(partner, state).set(getattr(account, state))
            self.paused.labels(partner).set(partner in paused)
