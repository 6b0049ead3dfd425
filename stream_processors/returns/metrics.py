"""Every metric of the returns processor: what it counts, in what unit. Labels never come from data."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from sluice.model import PartnerId
from stream_processors.returns.deadlines import Account
from stream_processors.returns.deciding import Outcome, label
from stream_processors.returns.partner_return import PartnerReturn, RefusedFor


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.returns = Counter(
            "sluice_returns_total",
            "Returns of partners decided and recorded, by type (empty: unreadable), outcome and cause of a refusal.",
            ["partner", "type", "outcome", "cause"],
            registry=registry,
        )
        self.recalls = Gauge(
            "sluice_recalls",
            "Recalls that were ever sent, by what has become of them; due_soon and overdue are open too.",
            ["partner", "state"],
            registry=registry,
        )
        self.paused = Gauge(
            "sluice_partner_paused",
            "1 while the partner gets nothing new, because a recall is overdue and its contract says so.",
            ["partner"],
            registry=registry,
        )
        self.unavailable = Gauge(
            "sluice_returns_unavailable",
            "1 while the returns processor waits for the broker or the registry.",
            registry=registry,
        )

    def settled(self, partner: PartnerId, said: PartnerReturn | RefusedFor, outcome: Outcome) -> None:
        kind = said.type.value if isinstance(said, PartnerReturn) else ""
        self.returns.labels(partner, kind, *label(outcome)).inc()

    def stand(self, accounts: Mapping[PartnerId, Account], paused: Collection[PartnerId]) -> None:
        for partner, account in accounts.items():
            for state in ("open", "due_soon", "overdue", "acknowledged"):
                self.recalls.labels(partner, state).set(getattr(account, state))
            self.paused.labels(partner).set(partner in paused)
