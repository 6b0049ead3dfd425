"""Metrics of one process, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server

from sluice.errors import SluiceError
from sluice.form import form, release
from sluice.metrics import catalogue


def registry_of_a_process() -> CollectorRegistry:
    """Which release it is, and what the operating system knows of it: memory, processor time, open files."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    catalogue.BUILD.gauge(registry).labels(release(), form()).set(1)
    return registry


@contextmanager
def served(registry: CollectorRegistry, host: str, port: int) -> Iterator[None]:
    """While inside; the log says where. `port` 0 takes a free one. Raises SluiceError."""
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        raise SluiceError(
            f"Cannot serve metrics on {host}:{port}: {error.strerror}. Choose another with --metrics-port."
        ) from error
    structlog.get_logger(__name__).info("serving_metrics", url=f"http://{host}:{server.server_port}/metrics")
    try:
        yield
    finally:
        server.shutdown()
