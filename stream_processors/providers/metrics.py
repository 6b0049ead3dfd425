"""Every metric of the providers' processor: what it counts, in what unit. Labels never come from data."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "sluice_provider_requests_total",
            "Requests to service providers, committed.",
            ["partner"],
            registry=registry,
        )
        self.replies = Counter(
            "sluice_provider_replies_total",
            "Replies of service providers decided and recorded, by outcome and cause of a refusal.",
            ["partner", "outcome", "cause"],
            registry=registry,
        )
        self.taken_back = Counter(
            "sluice_enrichments_taken_back_total",
            "Customers whose appended values were taken back, because the provider may not hold them any more.",
            registry=registry,
        )
        self.unavailable = Gauge(
            "sluice_providers_unavailable",
            "1 while the providers' processor waits for the broker or the registry.",
            registry=registry,
        )
