"""What the providers' processor counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from sluice.metrics import catalogue
from stream_processors.unavailable import Unavailable


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = catalogue.PROVIDER_REQUESTS.counter(registry)
        self.replies = catalogue.PROVIDER_REPLIES.counter(registry)
        self.taken_back = catalogue.TAKEN_BACK.counter(registry)
        self.unavailable = Unavailable(catalogue.PROVIDERS_UNAVAILABLE.gauge(registry))
