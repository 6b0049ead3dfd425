"""For whom a process waits, as its gauge says it."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from sluice.log import LogUnavailable
from sluice.metrics import catalogue
from sluice.registry import RegistryUnavailable
from stream_processors.unavailable import Unavailable

BROKER, REGISTRY = LogUnavailable("The broker is away."), RegistryUnavailable("The registry is away.")


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def unavailable(registry: CollectorRegistry) -> Unavailable:
    return Unavailable(catalogue.UNAVAILABLE.gauge(registry))


def told(registry: CollectorRegistry) -> dict[str, float | None]:
    return {one: registry.get_sample_value("sluice_unavailable", {"needs": one}) for one in ("broker", "registry")}


def test_nobody_is_waited_for_at_first_and_that_is_told(unavailable: Unavailable, registry: CollectorRegistry) -> None:
    assert unavailable.needed == ""
    assert told(registry) == {"broker": 0, "registry": 0}


def test_it_is_one_of_them_at_a_time(unavailable: Unavailable, registry: CollectorRegistry) -> None:
    unavailable.met(BROKER)
    assert told(registry) == {"broker": 1, "registry": 0}
    unavailable.met(REGISTRY)
    assert told(registry) == {"broker": 0, "registry": 1}
    unavailable.over()
    assert told(registry) == {"broker": 0, "registry": 0}


def test_that_the_broker_gives_records_says_nothing_of_the_registry(
    unavailable: Unavailable, registry: CollectorRegistry
) -> None:
    """What the registry has said before is not asked for again: records can be read without it."""
    unavailable.met(BROKER)
    unavailable.heard()
    assert told(registry) == {"broker": 0, "registry": 0}
    unavailable.met(REGISTRY)
    unavailable.heard()
    assert told(registry) == {"broker": 0, "registry": 1}
